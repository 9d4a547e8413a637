"""CH-MWCNN: a multi-level wavelet network, trained in advance, that cleans the fast linear image of compressed data."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress
from .groups import GROUPS, groups_of
from .linear_images import linear_images
from .problem import TEST_GROUP, deviation, row_weights
from .reconstructor import Reconstructor
from .store import Store
from .weights import SHIPPED, load_weights

if TYPE_CHECKING:
    from .wavelet_network import WaveletNetwork

_CHOOSING = tuple(group for group in range(GROUPS) if group != TEST_GROUP)
_CHANCE, _CERTAIN = 2.0, 3.5
"""Strength, in standard deviations of chance, up to which a prediction of left-out buckets counts as nothing, and strength
from which it counts fully.
"""


class CompressedHadamardNetwork(Reconstructor):
    """CH-MWCNN of Zhang et al., "Computational x-ray ghost imaging": compressed Hadamard data, multi-level wavelet CNN.

    The network computes the deviation from the mean level from two linear images, the correlation and the least-squares
    image, in units of their contrast. It was trained on programmed objects behind imperfect plates (`training/ch_mwcnn.py`),
    so it adds a prior to the data: the image of an object unlike the training objects may be wrong where the data say little.
    To prevent invented structure, images without one eighth of the realizations predict that eighth, for each eighth in turn:
    if they do no better than chance, for example because the buckets do not belong to their masks, the image is flat.
    """

    name: ClassVar[str] = "ch_mwcnn"
    fast: ClassVar[bool] = True
    summary: ClassVar[str] = "CH-MWCNN: wavelet network trained beforehand, for compressed Hadamard and other masks"
    defaults: ClassVar[dict[str, Any]] = {"weights": None, "sha256": None}

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        weights, wanted = self._given["weights"], self._given["sha256"]
        if weights is not None and not isinstance(weights, str):
            raise ValueError(f"weights must be the path of an NPZ file, or None for those that ship, not {weights!r}")
        if wanted is not None and not isinstance(wanted, str):
            raise ValueError(f"sha256 must be the SHA-256 that the weights must have, or None for any, not {wanted!r}")
        self._file = str(SHIPPED if weights is None else Path(weights))
        _, sha256 = _weights(self._file)
        if wanted not in (None, sha256):
            raise ValueError(f"sha256 is {wanted!r}, but the weights in {self._file} have {sha256}: give the path of those meant")
        self._chosen["sha256"] = sha256
        self._store = Store(self.shape[0] * self.shape[1], self.expected)

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def _final(self, progress: Progress | None) -> Estimate:
        groups = groups_of(self.seed, self.count)
        row = row_weights(self._store.errors)
        enough = len(np.unique(groups)) == GROUPS
        left_out: list[tuple[int, ...]] = [(), (TEST_GROUP,), *((group, TEST_GROUP) for group in _CHOOSING)]
        rows = np.stack([np.where(np.isin(groups, parts), 0.0, row) for parts in left_out[: None if enough else 1]])
        levels, deviations, spread = self._images(rows)
        deviation_kept, loss = deviations[0], float("nan")
        if enough:
            choosing = zip(_CHOOSING, levels[2:], deviations[2:], strict=True)
            kept = certainty([self._held(level, image, groups == group, row) for group, level, image in choosing])
            deviation_kept = kept * deviations[0]
            spread = np.hypot(spread, (1 - kept) * deviations[0])
            values, predicted, weights = self._held(levels[1], kept * deviations[1], groups == TEST_GROUP, row)
            span = deviation(self._store.buckets[groups == TEST_GROUP], weights)
            loss = deviation(values - predicted, weights) / span if span > 0 else float("nan")
        image = levels[0] + deviation_kept
        return Estimate(
            image=np.maximum(image, 0.0 if self.nonnegative else -np.inf).astype(np.float32),
            spread=spread.astype(np.float32),
            heldout_loss=loss,
            figures={"frc_resolution_px": float("nan")},
        )

    def _images(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return levels (S,), deviations from them (S, H, W) for row weights (S, M), and the spread (H, W) of the first."""
        buckets = np.broadcast_to(self._store.buckets, rows.shape)
        seen = linear_images(self._store.masks, buckets, rows)
        if not seen.unit[0]:
            return seen.level, np.zeros((len(rows), *self.shape)), np.full(self.shape, np.nan)
        import torch

        from .device import usable_device
        from .wavelet_network import network_inputs

        device = usable_device(self.device)
        network = _network(self._file).to(device)
        with torch.no_grad():
            made = network(network_inputs(seen, self.shape).to(device))
        deviations, spreads = (images.cpu().numpy().astype(np.float64) * seen.unit[:, None, None] for images in made)
        return seen.level, deviations, spreads[0]

    def _held(self, level: float, image: np.ndarray, held: np.ndarray, row: np.ndarray) -> Part:
        """Return the buckets `held`, bool (M,), minus the level's part, the prediction of a deviation (H, W), and weights."""
        masks = self._store.masks[held].astype(np.float64)
        return self._store.buckets[held] - level * masks.sum(axis=1), masks @ image.reshape(-1), row[held]


Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values, predictions of them and weights, each (M,)."""


def certainty(parts: Sequence[Part]) -> float:
    """Return how certain it is that predictions are better than chance, from 0 to 1.

    They may predict the values themselves or, as with Hadamard masks, each of which measures something that no other
    measures, only their magnitudes: those of the coarse masks are large.
    """
    centred = [(values - _mean(values, weights), made - _mean(made, weights), weights) for values, made, weights in parts]
    magnitudes = [(np.abs(values), np.abs(made), weights) for values, made, weights in centred]
    strength = max(_strength(centred), _strength(magnitudes))
    return float(np.clip((strength - _CHANCE) / (_CERTAIN - _CHANCE), 0.0, 1.0))


def _strength(parts: Sequence[Part]) -> float:
    """Return the covariance of values and predictions, over its standard deviation under permutations within each part."""
    covariance = variance = 0.0
    for values, predicted, weights in parts:
        centred = predicted - _mean(predicted, weights)
        covariance += float(weights @ (centred * values))
        variance += float(weights**2 @ centred**2) * deviation(values, weights) / float(weights.sum())
    return covariance / float(np.sqrt(variance)) if variance > 0 else 0.0


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ values / weights.sum())


@functools.cache
def _weights(file: str) -> tuple[dict[str, np.ndarray], str]:
    return load_weights(Path(file))


@functools.cache
def _network(file: str) -> WaveletNetwork:
    import torch

    from .wavelet_network import WaveletNetwork

    arrays, _ = _weights(file)
    network = WaveletNetwork()
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"the weights in {file} are not those of the wavelet network: {error}") from error
    return network
