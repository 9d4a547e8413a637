"""Spectra of an energy-dispersive detector with several elements. Pure functions of their arguments and seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

from sims.emission import Emission, k_lines

BINS = 4096
BIN_KEV = 0.005
_SPECTRUM = 3  # kind of random stream, besides those of `sims.physics`
_PAIR_KEV, _FANO = 3.65e-3, 0.115  # of silicon
_COMPTON_PART = 0.6  # of the scattered photons
_BACKGROUND_PART = 0.02  # of the counts, spread over all energies: incomplete charge collection, scattered electrons


@dataclass(frozen=True)
class DetectorElement:
    """One chip of the detector with its electronics.

    Parameters
    ----------
    solid_angle : float
        Fraction of the full solid angle that it covers.
    gain, offset_kev : float
        Factor and offset applied to a photon's energy before it is sorted into bins.
    noise_kev : float
        Standard deviation of the electronics' noise.
    tail, tail_kev : float
        Fraction of the counts in an exponential tail towards low energies, and its decay constant.
    dead_time_s : float
        Time after each photon during which another one is lost.
    pile_up_s : float
        Time within which two photons count as one with the sum of their energies.
    """

    solid_angle: float = 1e-2
    gain: float = 1.0
    offset_kev: float = 0.0
    noise_kev: float = 0.045
    tail: float = 0.02
    tail_kev: float = 0.25
    dead_time_s: float = 1e-6
    pile_up_s: float = 1e-7


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Result of one exposure for one detector element.

    Attributes
    ----------
    counts : ndarray, int32, (4096,)
    real_s, live_s : float
        Elapsed time, and time in which the element was ready for a photon.
    input_hz, output_hz : float
        Rate of the incoming photons, and of the counted ones.
    """

    counts: np.ndarray
    real_s: float
    live_s: float
    input_hz: float
    output_hz: float


def detector_elements(number: int, seed: int = 0) -> tuple[DetectorElement, ...]:
    """Return detector elements that differ slightly in gain, offset, noise and solid angle."""
    rng = np.random.default_rng((seed, _SPECTRUM))
    return tuple(
        DetectorElement(
            solid_angle=1e-2 * rng.uniform(0.8, 1.2),
            gain=1 + rng.uniform(-0.004, 0.004),
            offset_kev=rng.uniform(-0.01, 0.01),
            noise_kev=rng.uniform(0.04, 0.055),
        )
        for _ in range(number)
    )


@dataclass(eq=False)
class Spectrometer:
    """A sample's emission as measured by the detector elements.

    Parameters
    ----------
    emission : Emission
    beam_kev : float
    elements : tuple of DetectorElement
    """

    emission: Emission
    beam_kev: float
    elements: tuple[DetectorElement, ...]
    _shapes: Mapping[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        shapes = {symbol: self._shape(k_lines(symbol, self.beam_kev)) for symbol in self.emission.elements}
        shifted = self.beam_kev / (1 + self.beam_kev / 510.999)
        elastic, compton = self._shape([(self.beam_kev, 1.0)]), self._shape([(shifted, 1.0)], wider_kev=0.012 * shifted)
        self._shapes = {**shapes, "": (1 - _COMPTON_PART) * elastic + _COMPTON_PART * compton}

    def expected(self, mask: np.ndarray, photons: float) -> np.ndarray:
        """Return the mean counts of each detector element without dead time, (E, 4096).

        Parameters
        ----------
        mask : ndarray, (H, W)
            Transmission.
        photons : float
            Photons on an open pixel.
        """
        mean = np.zeros((len(self.elements), BINS))
        for name, image in (*self.emission.elements.items(), ("", self.emission.scattered)):
            mean += float(np.sum(mask * image, dtype=float)) * self._shapes[name]
        highest = int(self.beam_kev / BIN_KEV)
        flat = mean.sum(axis=1, keepdims=True) * _BACKGROUND_PART / highest
        mean[:, :highest] += flat
        return mean * photons * np.array([[element.solid_angle] for element in self.elements])

    def expose(
        self, mask: np.ndarray, photons: float, seconds: float, *, index: int, seed: int, dead: frozenset[int] = frozenset()
    ) -> list[Spectrum]:
        """Count for one exposure.

        Parameters
        ----------
        mask : ndarray, (H, W)
            Transmission.
        photons : float
            Photons on an open pixel in that time.
        seconds : float
            Exposure time.
        index, seed : int
            Number of this exposure, and the seed: only they determine the random numbers.
        dead : frozenset of int
            Detector elements, counted from 0, that count nothing.

        Notes
        -----
        A paralyzable detector counts for a fraction exp(-rate x dead time) of the time. A fraction 1 - exp(-rate x pile-up
        time) of those counts has the energy of two photons.
        """
        spectra = []
        for number, (element, mean) in enumerate(zip(self.elements, self.expected(mask, photons), strict=True)):
            rng = np.random.default_rng((seed, _SPECTRUM, index, number))
            rate = float(mean.sum()) / seconds if seconds > 0 and number not in dead else 0.0
            live_part = math.exp(-rate * element.dead_time_s)
            live = seconds * live_part
            counts = rng.poisson(_piled(mean * (live_part if rate > 0 else 0.0), rate * element.pile_up_s))
            output = float(counts.sum()) / seconds if seconds > 0 else 0.0
            spectra.append(Spectrum(counts.astype(np.int32), seconds, live, rate, output))
        return spectra

    def _shape(self, lines: list[tuple[float, float]], wider_kev: float = 0.0) -> np.ndarray:
        """Return the shape of one count of several lines as measured by each detector element, (E, 4096)."""
        total = sum(strength for _, strength in lines)
        return np.stack(
            [sum(strength / total * _peak(element, energy, wider_kev) for energy, strength in lines) for element in self.elements]
        )


def _peak(element: DetectorElement, energy: float, wider_kev: float) -> np.ndarray:
    """Return the expected counts of one photon in each bin: a Gaussian, partly with an exponential tail to low energies."""
    edges = BIN_KEV * (np.arange(BINS + 1) - 0.5)
    place = element.gain * energy + element.offset_kev
    sigma = math.sqrt(element.noise_kev**2 + _PAIR_KEV * _FANO * energy + wider_kev**2)
    gaussian = np.diff(0.5 * (1 + erf((edges - place) / (sigma * math.sqrt(2)))))
    reach = int(10 * element.tail_kev / BIN_KEV)
    decay = np.exp(-np.arange(reach) * BIN_KEV / element.tail_kev)
    tailed = np.convolve(gaussian[::-1], decay / decay.sum())[:BINS][::-1]
    whole: np.ndarray = (1 - element.tail) * gaussian + element.tail * tailed
    return whole


def _piled(mean: np.ndarray, pairs: float) -> np.ndarray:
    """Return the spectrum (4096,) with pile-up, where on average `pairs` photons arrive within the resolving time."""
    total = mean.sum()
    part = 1 - math.exp(-pairs)
    if total == 0 or part == 0:
        return mean
    spectrum = np.fft.rfft(mean / total, 2 * BINS)
    doubled = np.maximum(np.fft.irfft(spectrum**2, 2 * BINS), 0.0)[:BINS]
    return mean * (1 - part) + 0.5 * part * total * doubled
