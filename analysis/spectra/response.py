"""How a silicon drift detector sees a line: where, how wide, and with which tail."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erf, erfcx

_PAIR_KEV = 3.65e-3
"""Energy of an electron-hole pair in silicon."""

_REACH, _TAIL_REACH = 7.0, 16.0
"""Standard deviations, and decays of its tail, from which on a peak holds nothing."""

FANO = 0.115
"""Fano factor of silicon."""


@dataclass(frozen=True)
class Calibration:
    """What belongs to which energy, and how wide a peak is.

    Attributes
    ----------
    offset_kev, slope_kev : float
        Energy of bin n is offset + slope n.
    noise_kev : float
        Standard deviation of the electronics' noise. The variance of a peak at E is noise^2 + 3.65 eV * Fano * E.
    fano : float
        Fano factor, which takes up all that widens peaks with energy.
    tail : float
        Part of a peak's counts in its exponential tail towards low energies (incomplete charge collection).
    tail_kev : float
        Decay of that tail.
    angle_deg : float
        Angle by which photons were scattered that reach the detector: where the Compton peak is.
    beta_excess : tuple of (str, float)
        By which part there is more of an element's K-beta lines, beside K-alpha, than theory says: the sample absorbs K-alpha
        more on the way out.
    """

    offset_kev: float = 0.0
    slope_kev: float = 0.005
    noise_kev: float = 0.04
    fano: float = FANO
    tail: float = 0.02
    tail_kev: float = 0.25
    angle_deg: float = 90.0
    beta_excess: tuple[tuple[str, float], ...] = ()

    def energies(self, bins: int) -> np.ndarray:
        """Energy at the middle of each bin, (bins,)."""
        return self.offset_kev + self.slope_kev * np.arange(bins)

    def rebinned(self, factor: int) -> Calibration:
        """The calibration of a spectrum whose bins were added up in groups of `factor`."""
        first = self.offset_kev + self.slope_kev * (factor - 1) / 2
        return replace(self, offset_kev=first, slope_kev=factor * self.slope_kev)

    def bin_of(self, energy_kev: float) -> float:
        """The bin, with its fraction, that an energy falls into."""
        return (energy_kev - self.offset_kev) / self.slope_kev

    def sigma_kev(self, energy_kev: float) -> float:
        """Standard deviation of a peak."""
        return math.sqrt(self.noise_kev**2 + _PAIR_KEV * self.fano * max(energy_kev, 0.0))


def peak(calibration: Calibration, bins: int, energy_kev: float, *, wider_kev: float = 0.0, more_tail: float = 0.0) -> np.ndarray:
    """Counts in each bin, (bins,), of one count at an energy.

    Parameters
    ----------
    calibration : Calibration
    bins : int
    energy_kev : float
    wider_kev : float
        Standard deviation that is added in square: of the Compton peak, by the electrons' motion.
    more_tail : float
        Part of the counts that is in the tail in addition.
    """
    sigma, decay = math.hypot(calibration.sigma_kev(energy_kev), wider_kev), calibration.tail_kev + wider_kev
    part = min(calibration.tail + more_tail, 1.0)
    reach = _REACH * sigma + (_TAIL_REACH * decay if part > 0 else 0.0)
    first = min(max(int(calibration.bin_of(energy_kev - reach)), 0), bins)
    last = min(max(int(calibration.bin_of(energy_kev + _REACH * sigma)) + 2, first), bins)
    edges = calibration.offset_kev + calibration.slope_kev * (np.arange(first, last + 1) - 0.5)
    near = (edges - energy_kev) / sigma
    below = 0.5 * (1 + erf(near / math.sqrt(2)))
    if part > 0:
        below = below + part * _tail_below(near, sigma / decay)
    counts = np.zeros(bins)
    counts[first:last] = np.maximum(np.diff(below), 0.0)
    return counts


def _tail_below(near: np.ndarray, ratio: float) -> np.ndarray:
    """By how much the distribution function grows when all counts are in an exponential tail, convolved with the Gaussian.

    The distribution of a Gaussian plus a negative exponential exceeds the Gaussian's by exp(t^2/2) erfc(z)/2 with
    t the ratio of sigma to decay, in the form that does not overflow.
    """
    z = (near + ratio) / math.sqrt(2)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.where(
            z > 0,
            np.exp(-(near**2) / 2) * erfcx(np.maximum(z, 0)) / 2,
            np.exp(np.minimum(near * ratio + ratio**2 / 2, 700.0)) * (1 - erf(np.minimum(z, 0))) / 2,
        )
    return scaled
