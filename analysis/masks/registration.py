"""Sub-pixel registration of frames of masks against their designs.

A frame shows a design with unknown level and contrast under an unknown geometry. Shift, magnification and rotation are determined
by least squares, with steps from the frame's gradient (B. D. Lucas and T. Kanade, IJCAI 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from analysis.masks.geometry import Geometry

_FINE = 2  # points per mask pixel along each axis
_STEPS = 10
_SETTLED = 1e-3  # pixels of the frame
_BLUR = 1.0  # mask pixels, for the first steps: coarse structure converges from larger distances
_ALIKE = 0.8  # correlation of a frame with its design after successful registration
_NOT_ALIKE = 0.5
_SEARCHED = 4  # number of masks used to search for an unknown magnification
_DETERMINED = 1e-3  # relative to the best determined direction; directions below this are undetermined
_UNKNOWN = 0.25  # mask pixels: a shift with a larger standard error counts as unknown


class NotTheMasks(ValueError):
    """The frames do not look like the designs that they should show."""


@dataclass(frozen=True)
class Registration:
    """Geometry of a mask relative to its design.

    Attributes
    ----------
    geometry : Geometry
    errors : ndarray, (4,)
        Standard errors of shift along y and x, of magnification and of rotation, all as shifts in mask pixels (the last two at
        the mask's edge); infinite where the design has no structure that determines the value.
    likeness : float
        Correlation of frame and design.
    """

    geometry: Geometry
    errors: np.ndarray
    likeness: float

    @property
    def known(self) -> np.ndarray:
        """Whether shift along y, shift along x, magnification and rotation are known, bool (4,)."""
        return self.errors < _UNKNOWN


def common_geometry(frames: Sequence[np.ndarray], designs: Sequence[np.ndarray], scale: float) -> Geometry:
    """Return the geometry common to all frames (H', W'), under which they look like their designs (H, W).

    Parameters
    ----------
    frames, designs : sequence of ndarray
        Of some masks; those with a uniform design are ignored.
    scale : float
        Expected number of frame pixels per mask pixel. If the masks do not match at this magnification, all others at which they
        fit into the frame are tried.

    Raises
    ------
    NotTheMasks
        If the frames do not look like the designs, or are too small for them.
    """
    telling = [(frame, design) for frame, design in zip(frames, designs, strict=True) if design.max() > design.min()]
    if not telling:
        raise NotTheMasks("the designs of these masks are uniform: measure masks that have a pattern")
    frame, design = telling[0]
    told = _has_room(design, frame, scale)
    found, likeness = _finely(telling, _coarsely(telling, scale)[0] if told else _searched(telling))
    if told and likeness < _NOT_ALIKE:
        found, likeness = _finely(telling, _searched(telling))
    if likeness < _NOT_ALIKE:
        raise NotTheMasks(
            f"the frames do not look like the masks that the run names (correlation {likeness:.2f} in the median): is another "
            "plate on the stage, or is the camera's image flipped or turned?"
        )
    return found


def registered(frame: np.ndarray, design: np.ndarray, start: Geometry) -> Registration:
    """Register a frame (H', W') against its design (H, W), starting from a geometry correct to within some mask pixels."""
    found = _refined([(frame, design)], start)
    fit = _Fit(frame, design, found)
    if fit.likeness < _ALIKE:  # a mask farther away is found by its coarse structure
        other = _refined([(gaussian_filter(frame, _BLUR * start.scale), design)], start)
        other = _refined([(frame, design)], other)
        if (again := _Fit(frame, design, other)).likeness > fit.likeness:
            found, fit = other, again
    return Registration(found, fit.errors / found.scale, fit.likeness)


def _has_room(design: np.ndarray, frame: np.ndarray, scale: float) -> bool:
    return all(max(1, round(side * scale)) <= most for side, most in zip(design.shape, frame.shape, strict=True))


def _searched(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Geometry:
    """Return the position of some of the masks at unknown magnification, in steps of half a mask pixel at the mask's edge."""
    frame, design = pairs[0]
    most = min(np.array(frame.shape) / np.array(design.shape))
    if most < 1:
        raise NotTheMasks(
            f"the frames have {frame.shape[0]}x{frame.shape[1]} pixels, fewer than masks of {design.shape[0]}x{design.shape[1]}: "
            "these are not frames of the masks, or the camera is too coarse"
        )
    steps = 1 + int(np.ceil(np.log(most) * max(design.shape)))
    tried = [_coarsely(pairs[:_SEARCHED], float(scale)) for scale in np.geomspace(1, most, steps)]
    return max(tried, key=lambda one: one[1])[0]


def _finely(pairs: Sequence[tuple[np.ndarray, np.ndarray]], found: Geometry) -> tuple[Geometry, float]:
    """Return the refined geometry, and the median correlation of frames and designs."""
    for blur in (_BLUR * found.scale, 0.0):
        smooth = [(gaussian_filter(frame, blur) if blur else frame, design) for frame, design in pairs]
        found = _refined(smooth, found)
    return found, float(np.median([_Fit(frame, design, found).likeness for frame, design in pairs]))


def _coarsely(pairs: Sequence[tuple[np.ndarray, np.ndarray]], scale: float) -> tuple[Geometry, float]:
    """Return the position at which all frames correlate best with their designs, and their mean correlation."""
    from scipy.signal import fftconvolve  # takes a while to load, and every service loads this module

    total: np.ndarray | float = 0.0
    for frame, design in pairs:
        size = [max(1, round(side * scale)) for side in design.shape]
        at = [np.minimum((np.arange(side) / scale).astype(int), most - 1) for side, most in zip(size, design.shape, strict=True)]
        rendered = design[np.ix_(*at)].astype(np.float64)
        rendered -= rendered.mean()
        smooth = gaussian_filter(frame.astype(np.float64), scale / 2)
        total = total + fftconvolve(smooth - smooth.mean(), rendered[::-1, ::-1], mode="valid") / (rendered.std() * smooth.std())
    total = np.asarray(total)
    y, x = np.unravel_index(int(np.argmax(total)), total.shape)
    design = pairs[0][1]
    place = Geometry(float(y) + (design.shape[0] * scale - 1) / 2, float(x) + (design.shape[1] * scale - 1) / 2, scale)
    return place, float(total.max()) / rendered.size


def _refined(pairs: Sequence[tuple[np.ndarray, np.ndarray]], geometry: Geometry) -> Geometry:
    for _ in range(_STEPS):
        fits = [_Fit(frame, design, geometry) for frame, design in pairs]
        normal = sum(fit.normal / fit.noise for fit in fits)
        towards = sum(fit.towards / fit.noise for fit in fits)
        step = -_inverse(np.asarray(normal)) @ np.asarray(towards)
        step *= min(1.0, geometry.scale / max(float(np.abs(step).max()), 1e-12))  # at most one mask pixel per step
        geometry = geometry.moved(step, fits[0].reach)
        if np.abs(step).max() < _SETTLED:
            break
    return geometry


class _Fit:
    """Values of a frame at the points of a mask, and their derivatives by shift, magnification and rotation."""

    def __init__(self, frame: np.ndarray, design: np.ndarray, geometry: Geometry) -> None:
        points, values = _points(design)
        self.reach = max(design.shape) / 2
        places = geometry.places(points)
        seen = map_coordinates(frame, places, order=1, mode="nearest", output=np.float64)
        half = geometry.scale / 2  # over a mask pixel: noise of single camera pixels is no gradient
        along = [
            map_coordinates(frame, places + half * axis, order=1, mode="nearest", output=np.float64)
            - map_coordinates(frame, places - half * axis, order=1, mode="nearest", output=np.float64)
            for axis in (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]))
        ]
        gradient = np.stack(along) / (2 * half)
        arm = (places - np.array([[geometry.y], [geometry.x]])) / (geometry.scale * self.reach)
        grown = gradient[0] * arm[0] + gradient[1] * arm[1]
        turned = gradient[0] * arm[1] - gradient[1] * arm[0]
        changes = np.stack([gradient[0], gradient[1], grown, turned])
        # Level and contrast are free: their contribution is projected out.
        basis = np.stack([np.ones(values.size), values - values.mean()])
        norms = np.maximum((basis**2).sum(axis=1), 1e-300)
        fitted = basis @ seen / norms
        rest = seen - fitted @ basis
        changes = changes - (changes @ basis.T / norms) @ basis
        self.normal, self.towards = changes @ changes.T, changes @ rest
        self.noise = max(float(rest.var()), 1e-30)
        spread = float(seen.var())
        self.likeness = float(np.sqrt(max(0.0, 1 - self.noise / spread))) * float(np.sign(fitted[1])) if spread > 0 else 0.0

    @property
    def errors(self) -> np.ndarray:
        """Standard errors (4,), frame pixels; points within one mask pixel are not independent."""
        weights, axes = np.linalg.eigh(self.normal)
        good = weights > _DETERMINED * max(float(weights.max()), 1e-300)
        variances = np.where(good, self.noise * _FINE**2 / np.where(good, weights, 1.0), np.inf)
        share = axes**2
        with np.errstate(invalid="ignore"):
            total = np.where(share > 1e-6, share * variances, 0.0).sum(axis=1)
        return np.asarray(np.sqrt(total))


def _inverse(normal: np.ndarray) -> np.ndarray:
    """Return the inverse of a symmetric matrix, without undetermined directions."""
    weights, axes = np.linalg.eigh(normal)
    good = weights > _DETERMINED * max(float(weights.max()), 1e-300)
    return np.asarray((axes[:, good] / weights[good]) @ axes[:, good].T)


def _points(design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (2, P) on the pixels of a mask, relative to its centre, and the values of the design there."""
    sides = [(np.arange(side * _FINE) + 0.5) / _FINE - side / 2 for side in design.shape]
    points = np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")])
    values = np.repeat(np.repeat(design, _FINE, axis=0), _FINE, axis=1).ravel().astype(np.float64)
    return points, values
