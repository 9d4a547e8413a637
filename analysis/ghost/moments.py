"""Running sums over realizations from which the correlation images are computed, at a constant cost per realization."""

from __future__ import annotations

import numpy as np

from .groups import BLOCK, GROUPS, block_groups


class Moments:
    """Sums over realizations, kept separately for each group so that estimates without a group can be computed.

    With the mask sum R = sum_n w_n, the tracks t are 1, y, R and y / R (0 where R is 0):

    Attributes
    ----------
    with_mask : float64 array, (4, GROUPS, N)
        sum over realizations of t * w_n.
    alone : float64 array, (7, GROUPS)
        sums of 1, y, R, y / R, y R, R^2 and of the mean over pixels of w^2.
    """

    def __init__(self, pixels: int, seed: int) -> None:
        self._seed = seed
        self._blocks = 0
        self.with_mask = np.zeros((4, GROUPS, pixels))
        self.alone = np.zeros((7, GROUPS))

    def copy(self) -> Moments:
        """Return an independent copy."""
        twin = Moments(self.with_mask.shape[2], self._seed)
        twin._blocks = self._blocks
        twin.with_mask[:] = self.with_mask
        twin.alone[:] = self.alone
        return twin

    def add_block(self, masks: np.ndarray, buckets: np.ndarray) -> None:
        """Add the next block: masks (B, N), buckets (B,), B at most BLOCK; a shorter block can only be the last."""
        count = len(buckets)
        if count > BLOCK:
            raise ValueError(f"a block holds at most {BLOCK} realizations, not {count}")
        masks = masks.astype(np.float64)
        sums = masks.sum(axis=1)
        ratios = np.divide(buckets, sums, out=np.zeros(count), where=sums != 0)
        tracks = np.stack([np.ones(count), buckets, sums, ratios])
        members = block_groups(self._seed, self._blocks)[:count] == np.arange(GROUPS)[:, None]
        weights = (tracks[:, None, :] * members).reshape(-1, count)
        self.with_mask += (weights @ masks).reshape(self.with_mask.shape)
        power = np.einsum("bn,bn->b", masks, masks) / masks.shape[1]
        self.alone += np.concatenate([tracks, [buckets * sums, sums**2, power]]) @ members.T
        self._blocks += 1


class Means:
    """Averages over the realizations of some groups: the quantities of the correlation formulas.

    Attributes
    ----------
    count : float
        Realizations.
    y, R, ratio, yR, RR : float
        <y>, <R>, <y / R>, <y R>, <R^2>.
    w, yw, Rw, ratio_w : float64 array, (N,)
        <w>, <y w>, <R w>, <(y / R) w>.
    variance : float
        Variance of the masks over realizations, averaged over pixels; 0 for masks that do not vary.
    """

    def __init__(self, moments: Moments, groups: np.ndarray) -> None:
        alone = moments.alone[:, groups].sum(axis=1)
        self.count = float(alone[0])
        number = max(self.count, 1.0)
        _, self.y, self.R, self.ratio, self.yR, self.RR, power = (float(value) for value in alone / number)
        self.w, self.yw, self.Rw, self.ratio_w = moments.with_mask[:, groups].sum(axis=1) / number
        variance = power - float(np.mean(self.w**2))
        # the rounding error of identical masks is not a variance
        self.variance = variance if variance > 1e-12 * power else 0.0

    @property
    def level(self) -> float:
        """Mean of the object as determined by the sums of the masks, <y R> / <R^2>; 0 if every mask is dark."""
        return self.yR / self.RR if self.RR > 0 else 0.0
