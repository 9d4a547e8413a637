"""Where the axis of rotation lies on the detector."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

_EXACTLY_DEG = 2.0  # from half a turn, up to which two views show the same from both sides
_NEARLY_DEG = 15.0  # up to which they do well enough if nothing else is left
_PAIRS = 8  # of such views
_CUT = 0.3  # of the mean of a view: more at an edge, and the body goes on beyond it
_KNOWN_TO = 0.1  # bins to which the centre of mass is known at best
_BINS = 160  # that rows are binned to for the first look


def centre_of_rotation(sinogram: np.ndarray, angles_deg: np.ndarray) -> float:
    """The bin, counted from the middle of the first, at which the axis lies.

    Views from opposite sides are laid on each other, one of them mirrored. Without such views, the centre of mass is followed,
    which moves as centre + a cos(theta) + b sin(theta) if the whole body is seen (D. Ludwig, Comm. Pure Appl. Math. 19, 49
    (1966)). A part of half a turn tells the centre, too; the smaller it is, the more counts a guess, the middle of the detector.

    Parameters
    ----------
    sinogram : ndarray, (views, bins)
        Line integrals of one slice.
    angles_deg : ndarray, (views,)

    Raises
    ------
    ValueError
        If there are fewer than 3 views, or nothing is in them.
    """
    views, _ = sinogram.shape
    if views < 3 or not np.ptp(sinogram) > 0:
        raise ValueError("the centre of rotation is not found without a sample in 3 views or more: give it as the option centre")
    edges = sinogram[:, [0, 1, -2, -1]].mean(axis=0)
    cut = edges.max() > _CUT * sinogram.mean()
    first, second = _opposite(angles_deg, _NEARLY_DEG if cut else _EXACTLY_DEG)
    centre, cosine, sine = _motion_of_mass(sinogram, angles_deg)
    if not len(first):
        return centre
    mirrored = _mirrored(sinogram[first], sinogram[second])
    if cut:
        return mirrored
    # what is missing of half a turn moves the body beside the axis
    pairs = np.deg2rad(angles_deg[np.stack([first, second])])
    return mirrored - float(np.mean(cosine * np.cos(pairs) + sine * np.sin(pairs)))


def _motion_of_mass(sinogram: np.ndarray, angles_deg: np.ndarray) -> tuple[float, float, float]:
    """Centre, a and b of the centre of mass of each view."""
    bins = sinogram.shape[1]
    mass = sinogram.sum(axis=1)
    seen = mass > 0
    places = (sinogram @ np.arange(bins))[seen] / mass[seen]
    angles = np.deg2rad(angles_deg[seen])
    moving = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    fitted = np.linalg.lstsq(moving, places, rcond=None)[0]
    noise = float(np.sqrt(np.sum((places - moving @ fitted) ** 2) / max(len(places) - 3, 1)))
    middle, guessed_to = (bins - 1) / 2, bins / 8
    guess = max(noise, _KNOWN_TO) / guessed_to
    moving = np.vstack([moving, [guess, 0.0, 0.0]])
    centre, cosine, sine = np.linalg.lstsq(moving, np.append(places, guess * middle), rcond=None)[0].tolist()
    return min(max(centre, 0.0), bins - 1.0), cosine, sine


def _opposite(angles_deg: np.ndarray, within_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Some pairs of views from opposite sides, those that are most nearly so."""
    apart = np.abs((angles_deg[:, None] - angles_deg[None, :]) % 360 - 180)
    first, second = np.unravel_index(np.argsort(apart, axis=None, kind="stable")[: 2 * _PAIRS : 2], apart.shape)
    near = apart[first, second] <= min(within_deg, apart.min() + 1.0)
    return first[near], second[near]


def _mirrored(one: np.ndarray, other: np.ndarray) -> float:
    """The bin about which views (P, bins) are most like those from the other side, mirrored."""
    factor = max(1, one.shape[1] // _BINS)
    coarse = _Mirror(
        *(rows[:, : rows.shape[1] // factor * factor].reshape(len(rows), -1, factor).mean(2) for rows in (one, other))
    )
    bins = one.shape[1] // factor
    centres = np.arange(bins / 4, 3 * bins / 4, 0.5)
    best = float(centres[int(np.argmin([coarse(centre) for centre in centres]))]) * factor + (factor - 1) / 2
    found = minimize_scalar(_Mirror(one, other), bounds=(best - factor, best + factor), method="bounded", options={"xatol": 0.01})
    return float(found.x)


class _Mirror:
    """Mean squared difference of views (P, bins) to others that are mirrored at a bin.

    Between bins all frequencies are kept alike, and so is noise: with less of it between bins, the axis would be found there.
    """

    def __init__(self, one: np.ndarray, other: np.ndarray) -> None:
        self._one, self._bins = one, one.shape[1]
        self._margin = self._bins // 2 + 1
        padded = np.pad(other[:, ::-1], [(0, 0), (self._margin, self._margin)], mode="edge")
        self._length = padded.shape[1]
        self._spectrum = np.fft.rfft(padded)
        self._frequency = np.fft.rfftfreq(self._length)

    def __call__(self, centre: float) -> float:
        move = 2 * centre - (self._bins - 1)
        moved = np.fft.irfft(self._spectrum * np.exp(-2j * np.pi * self._frequency * move), self._length)
        low, high = max(0, int(np.ceil(move))), min(self._bins, self._bins + int(np.floor(move)))
        differences = self._one[:, low:high] - moved[:, self._margin + low : self._margin + high]
        return float(np.mean(differences**2))
