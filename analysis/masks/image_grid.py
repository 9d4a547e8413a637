"""From camera pixels to the image grid: the mean transmission of each mask pixel and its standard error."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu

from analysis.masks.geometry import Geometry

_RING = 1  # mask pixels around the mask that are also solved for, because camera pixels at its edge see both
_PROBES = 64  # random sign vectors that determine the amplification of noise
_RIDGE = 0.02  # relative to the mean number of camera pixels per mask pixel: unresolved detail stays as expected
_COARSEST = 0.95  # camera pixels per mask pixel
_SEEN = 0.25  # camera pixels: a mask pixel seen by fewer, because others are dead, stays as expected
_UNSEEN_PART = 0.05
_OWN_STEPS = 2  # further steps change the patterns by less than 1 %
_FAR = 8  # mask pixels around a mask in which its surroundings are modelled


class ImageGrid:
    """Means of frames over the pixels of the image grid.

    Least squares determine the grid, with a constant value in each square pixel, that would produce a given frame. This is exact
    for a mask whose pixels coincide with those of the grid, but the pixels of a displaced mask have edges inside those of the
    grid. Therefore the transmission of the mask's own pixels is determined first, at its registered position, starting from the
    expected mask. It is converted to the grid by areas, and least squares are used only for the remaining difference.

    The camera may be rotated by some degrees relative to the masks; a camera pixel is then treated as a square along the mask's
    axes.

    Parameters
    ----------
    geometry : Geometry
        Position of the image grid in the frames.
    shape : (H, W)
        Pixels of the grid.
    frame_shape : (H', W')
        Pixels of a frame.
    dead : ndarray, bool, (H', W'), optional
        Camera pixels that are not used.

    Raises
    ------
    ValueError
        If the camera pixels are larger than those of the grid, the grid is not completely inside the frame, or too many of its
        pixels are dead.
    """

    def __init__(
        self, geometry: Geometry, shape: tuple[int, int], frame_shape: tuple[int, int], dead: np.ndarray | None = None
    ) -> None:
        if geometry.scale < _COARSEST:
            raise ValueError(
                f"a camera pixel is as large as {1 / geometry.scale:.2f} mask pixels: use a camera or optics with pixels "
                "smaller than those of the masks"
            )
        self.shape = shape
        self._window, places = _camera_pixels(geometry, shape, frame_shape)
        around = (shape[0] + 2 * _RING, shape[1] + 2 * _RING)
        width = min(1 / geometry.scale, 1.0)
        corners = geometry.points(places) + np.array(around)[:, None] / 2 - width / 2
        inside = ((corners >= 0) & (corners <= np.array(around)[:, None] - width)).all(axis=0)
        if dead is not None:
            inside &= ~dead[self._window].ravel()
        self._used = np.flatnonzero(inside)
        self._places = places[:, self._used]
        areas = _areas(corners[:, self._used], width, around)
        self._to_grid = areas.T.tocsr()
        seen = np.asarray(areas.sum(axis=0)).ravel()
        inner = np.zeros(around, dtype=bool)
        inner[_RING:-_RING, _RING:-_RING] = True
        self._inner = inner.ravel()
        self._seen = np.where(seen[self._inner] < _SEEN, np.nan, seen[self._inner])
        unseen = int(np.count_nonzero(np.isnan(self._seen)))
        if unseen > _UNSEEN_PART * self._seen.size:
            raise ValueError(f"{unseen} mask pixels are seen only by dead camera pixels: move the camera")
        square = (self._to_grid @ areas).tocsc()
        square.setdiag(square.diagonal() + _RIDGE * float(seen.mean()))
        self._solver = splu(square)
        centres = [np.arange(side) - (side - 1) / 2 for side in shape]
        self._grid_places = geometry.places(np.stack([axis.ravel() for axis in np.meshgrid(*centres, indexing="ij")]))
        self._scale = geometry.scale
        self._amplified = self._amplification()

    def level_and_contrast(self, frame: np.ndarray, design: np.ndarray, mask: Geometry) -> tuple[float, float]:
        """Return the level and contrast for which level + contrast * design (H, W) fits a frame (H', W') best.

        For a uniform design the level is 0.
        """
        points = mask.points(self._places)
        inside = (np.abs(points) < np.array(self.shape)[:, None] / 2 - 0.5 / mask.scale).all(axis=0)
        seen = frame[self._window].ravel()[self._used][inside]
        modelled = _means(design, 0.0, points[:, inside], 1 / mask.scale)
        middle, spread = float(modelled.mean()), float(modelled.var())
        if np.ptp(design) == 0:
            return 0.0, float(seen.mean()) / middle if middle else 0.0
        contrast = float(np.mean((seen - seen.mean()) * (modelled - middle))) / spread
        return float(seen.mean()) - contrast * middle, contrast

    def pattern(self, frame: np.ndarray, expected: np.ndarray, mask: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of a frame (H', W') over each pixel of the grid, and its unexpected part, both float64 (H, W).

        Parameters
        ----------
        frame : ndarray, (H', W')
        expected : ndarray, (H, W)
            Expected transmission of the mask pixels.
        mask : Geometry
            Position of the mask in the frame.
        """
        seen = frame[self._window].ravel()[self._used]
        points = mask.points(self._places)
        outside = (np.abs(points) > np.array(self.shape)[:, None] / 2 + 0.5 / mask.scale).any(axis=0)
        surroundings = float(np.median(seen[outside])) if outside.any() else float(np.median(expected))
        own = self._own_pixels(seen, expected, surroundings, points, 1 / mask.scale)
        ideal = _means(own, surroundings, mask.points(self._grid_places), self._scale / mask.scale)
        rest = self._solved(seen - _means(own, surroundings, points, 1 / mask.scale))
        return np.asarray(ideal.reshape(self.shape) + rest), own - expected + rest

    def _own_pixels(
        self, seen: np.ndarray, expected: np.ndarray, surroundings: float, points: np.ndarray, width: float
    ) -> np.ndarray:
        """Return the transmission of the mask's own pixels, (H, W), which lie beside those of the grid.

        Starting from what is expected, each pixel takes the mean of what is left in the camera pixels with their centres in it.
        """
        height, length = self.shape
        y, x = np.floor(points + np.array(self.shape)[:, None] / 2).astype(int)
        inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < length))
        pixel = y[inside] * length + x[inside]
        number = np.maximum(np.bincount(pixel, minlength=height * length), 1)
        own = expected.astype(np.float64)
        for _ in range(_OWN_STEPS):
            rest = seen[inside] - _means(own, surroundings, points[:, inside], width)
            own = own + (np.bincount(pixel, rest, minlength=height * length) / number).reshape(self.shape)
        return own

    def error(self, variance: np.ndarray) -> np.ndarray:
        """Return the standard error of that mean, float64 (H, W), for a variance of each frame pixel (H', W')."""
        local = (self._to_grid @ variance[self._window].ravel()[self._used])[self._inner] / self._seen
        return np.asarray(np.sqrt(local * self._amplified).reshape(self.shape))

    def _solved(self, seen: np.ndarray) -> np.ndarray:
        return np.asarray(self._solver.solve(self._to_grid @ seen)[self._inner].reshape(self.shape))

    def _amplification(self) -> np.ndarray:
        """Return the variance of each grid pixel, (H W,), if all camera pixels have variance 1.

        This is the diagonal of P P' where pattern = P frame, estimated with random signs (C. Bekas, E. Kokiopoulou and Y. Saad,
        Appl. Numer. Math. 57, 1214, 2007).
        """
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_PROBES, len(self._used)))
        return np.asarray(sum(self._solved(one) ** 2 for one in signs)).ravel() / _PROBES


def _camera_pixels(
    geometry: Geometry, shape: tuple[int, int], frame_shape: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the window of the frame that sees the grid and its ring, and the positions of its pixels, (2, P)."""
    corners = np.array([[y, x] for y in (-0.5, 0.5) for x in (-0.5, 0.5)]).T
    grid = geometry.places(corners * np.array(shape)[:, None])
    if (grid < -0.5).any() or (grid > np.array(frame_shape)[:, None] - 0.5).any():
        raise ValueError(
            f"the masks are not completely inside the {frame_shape[0]}x{frame_shape[1]} pixels of the frames: centre the camera"
        )
    places = geometry.places(corners * (np.array(shape)[:, None] + 2 * _RING))
    low = np.maximum(np.floor(places.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(places.max(axis=1)).astype(int) + 1, np.array(frame_shape))
    sides = [np.arange(first, last) for first, last in zip(low, high, strict=True)]
    window = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
    return window, np.stack([axis.ravel().astype(float) for axis in np.meshgrid(*sides, indexing="ij")])


def _areas(corners: np.ndarray, width: float, shape: tuple[int, int]) -> csr_matrix:
    """Return the fraction (P, H W) of each square in each grid pixel; squares are `width` <= 1 wide, first corner at (2, P)."""
    first = np.floor(corners).astype(int)
    in_first = np.minimum((first + 1 - corners) / width, 1.0)
    rows, cells, weights = [], [], []
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = (np.minimum(one + step, side - 1) for one, step, side in zip(first, (dy, dx), shape, strict=True))
            part = np.prod([1 - one if step else one for one, step in zip(in_first, (dy, dx), strict=True)], axis=0)
            rows.append(np.arange(corners.shape[1]))
            cells.append(y * shape[1] + x)
            weights.append(part)
    placed = (np.concatenate(rows), np.concatenate(cells))
    return csr_matrix((np.concatenate(weights), placed), shape=(corners.shape[1], shape[0] * shape[1]))


def _means(pixels: np.ndarray, surroundings: float, points: np.ndarray, width: float) -> np.ndarray:
    """Return the means of an image (H, W) over squares, `width` wide, with centres at points (2, P) relative to its centre.

    The integral from a corner of the image is bilinear between the corners of pixels.
    """
    padded = np.pad(pixels.astype(np.float64) - surroundings, _FAR)
    integral = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1))
    integral[1:, 1:] = padded.cumsum(axis=0).cumsum(axis=1)
    middle = points + np.array(padded.shape)[:, None] / 2
    total = np.zeros(points.shape[1])
    for sign_y in (-1, 1):
        for sign_x in (-1, 1):
            corner = middle + np.array([[sign_y], [sign_x]]) * width / 2
            total += sign_y * sign_x * map_coordinates(integral, corner, order=1, mode="nearest")
    return total / width**2 + surroundings
