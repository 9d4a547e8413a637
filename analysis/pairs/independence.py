"""Whether the noise of two images is independent, and whether that of neighbouring pixels is: what denoisers may be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from analysis.imaging import neighbours
from analysis.imaging.neighbours import block_correlations, neighbour_correlations

from .prepared import Pair

COMMON = 0.1
"""Part of the noise common to both images from which on they are no pair."""

SAME = 0.99
"""The same for one image given twice."""

_SIGMA = 2.0  # pixels of the Gaussian that brings out motion
_QUIET = 0.2  # part of the blocks that is the least alike in both images: there the scene is the smoothest


@dataclass(frozen=True)
class Independence:
    """What the noise of a pair is like.

    Attributes
    ----------
    across : float
        Part of the noise that both images have in common, 0 to 1.
    error : float
        Its standard error, which is that of `along_y` and `along_x` too, or a little more.
    along_y, along_x : float
        Correlation of the noise of pixels one above the other, and side by side, within one image.
    certain : bool
        Nothing but noise can have made `across`: it is of frames between which nothing else changed.
    """

    across: float
    error: float
    along_y: float
    along_x: float
    certain: bool

    def refusal_of_pairs(self) -> str | None:
        """Why no denoiser may learn one image from the other, in a sentence; None if one may."""
        if self.across > SAME:
            return "both images of the pair are the same frame (their noise has a correlation of 1): give two frames"
        if self._is_common and self.certain:
            return (
                f"{100 * self.across:.0f} % of the noise is common to both halves, so that one cannot be learned from the other: "
                "is there a scintillator before the beam splitter, or does a scene move that was said to be static? What is "
                "common stays whatever is done; use gaussian or non_local_means, or take two frames one after the other"
            )
        return None

    def doubt(self) -> str | None:
        """What speaks against the pair without being certain, in a sentence; None if nothing does."""
        if self._is_common and not self.certain and self.across <= SAME:
            return (
                f"both halves have {100 * self.across:.0f} % of the finest details in common: those of the scene, or noise. Flat "
                "frames in the same run, or a series of a static scene, would tell"
            )
        return None

    @property
    def _is_common(self) -> bool:
        return self.across > COMMON and self.across > 5 * self.error

    def refusal_of_blind_spots(self) -> str | None:
        """Why no denoiser may guess a pixel from those around it, in a sentence; None if one may."""
        return neighbours.refusal_of_blind_spots(self.along_y, self.along_x, self.error, "use a pair method")


def independence(a: np.ndarray, b: np.ndarray) -> Independence:
    """Test one pair of images (H, W) that lie on each other and have the same scale.

    The difference holds the noise alone, and tells about neighbours. What both have in common is the scene and, perhaps, noise.
    That is looked for in the finest details, in those blocks of 32x32 pixels where both are least alike: noise is everywhere, and
    the scene's edges are not. Noise that something has blurred, as a thick scintillator does, shows in a series alone.
    """
    noise = a.astype(np.float64) - b
    along_y, along_x = neighbour_correlations(noise)
    details = [_details(image) for image in (a, b)]
    shares = block_correlations(*details)
    return Independence(_lowest(shares), _error(details[0]), along_y, along_x, certain=False)


def independence_in_time(a: np.ndarray, b: np.ndarray) -> Independence:
    """Test a series of pairs (N, H, W) of a scene that stands still: from one to the next the noise alone changes."""
    changes_a, changes_b = np.diff(a.astype(np.float64), axis=0), np.diff(b.astype(np.float64), axis=0)
    shares = np.concatenate([block_correlations(one, other) for one, other in zip(changes_a, changes_b, strict=True)])
    noise = np.concatenate([changes_a, changes_b])
    along_y, along_x = (float(value) for value in np.median([neighbour_correlations(image) for image in noise], axis=0))
    error = _error(changes_a[0]) / len(changes_a) ** 0.5
    return Independence(float(np.median(shares)), error, along_y, along_x, certain=True)


def changed(first: Pair, later: Pair) -> float:
    """How alike the changes of both images from one pair to a later one are: 0 for noise, up to 1 where the scene has moved."""
    changes = [gaussian_filter(after - before, _SIGMA) for before, after in ((first.a, later.a), (first.b, later.b))]
    x, y = (change[first.measured & later.measured].astype(np.float64) for change in changes)
    return float(np.corrcoef(x, y)[0, 1])


def _details(image: np.ndarray) -> np.ndarray:
    """Second differences along both axes, in which a smooth scene leaves little; white noise keeps its deviation."""
    return np.asarray(np.diff(np.diff(image.astype(np.float64), 2, axis=0), 2, axis=1) / 6)


def _lowest(shares: np.ndarray) -> float:
    return float(np.quantile(shares, _QUIET))


def _error(image: np.ndarray) -> float:
    return float(np.sqrt(4 / image.size))  # details of neighbours share most of their pixels
