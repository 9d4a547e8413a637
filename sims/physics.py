"""The photons: a beam that drifts, and counters that detect part of it. Pure functions of their arguments and seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_MOST_PHOTONS = 1e12  # per second on one pixel; NumPy draws Poisson numbers up to about 1e18
_WANDER, _EXPOSURE = 1, 2  # kinds of random streams, so that no two share a seed
_SECOND_TONE = 3.618  # not a simple fraction: the wander does not repeat within a scan


@dataclass(frozen=True)
class Beam:
    """The incident beam.

    Parameters
    ----------
    photons : float
        Photons per second on one open mask pixel at the nominal ring current.
    current_ma : float
        Ring current just after a top-up, mA.
    lifetime_s, top_up_s : float
        The current decays with this lifetime and is restored in this period.
    drift : float
        Relative amplitude of the slow drift of the beam, which the monitor sees and the ring current does not.
    drift_period_s : float
        Period of the slower part of the drift.
    flicker : float
        Relative standard deviation of the flux from one exposure to the next.
    """

    photons: float = 1e4
    current_ma: float = 400.0
    lifetime_s: float = 36_000.0
    top_up_s: float = 180.0
    drift: float = 0.01
    drift_period_s: float = 120.0
    flicker: float = 0.002

    def __post_init__(self) -> None:
        if not 0 < self.photons < _MOST_PHOTONS:
            raise ValueError(f"photons per second must be above 0 and below {_MOST_PHOTONS:g}, not {self.photons!r}")

    @classmethod
    def steady(cls, photons: float = 1e4) -> Beam:
        """Return a beam that neither decays, drifts nor flickers."""
        return cls(photons=photons, lifetime_s=math.inf, drift=0.0, flicker=0.0)

    def ring_current(self, time_s: float) -> float:
        """Return the ring current in mA at a time in s."""
        return self.current_ma * math.exp(-(time_s % self.top_up_s) / self.lifetime_s)

    def intensity(self, time_s: float, seed: int) -> float:
        """Return the flux at a time in s, relative to the nominal one, before flicker.

        Parameters
        ----------
        time_s : float
        seed : int
            Seed of the drift's phases.
        """
        phases = np.random.default_rng((seed, _WANDER)).uniform(0, 2 * np.pi, 2)
        turns = 2 * np.pi * time_s / self.drift_period_s
        wander = 0.7 * np.sin(turns + phases[0]) + 0.3 * np.sin(turns * _SECOND_TONE + phases[1])
        return float(self.ring_current(time_s) / self.current_ma * (1 + self.drift * wander))


@dataclass(frozen=True)
class Counter:
    """A diode or ion chamber behind a voltage-to-frequency converter.

    Parameters
    ----------
    efficiency : float
        Detected quanta per incident photon, 0 to 1. The noise is that of these quanta, whatever the gain.
    gain : float
        Counts per quantum.
    dark_hz : float
        Counts per second without light.
    ceiling_hz : float
        Highest frequency of the converter: counts saturate at this frequency times the exposure.
    field : float
        Area of the beam that it sees, in units of the mask's area.
    """

    efficiency: float
    gain: float = 1.0
    dark_hz: float = 0.0
    ceiling_hz: float = 1e8
    field: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.efficiency <= 1:
            raise ValueError(f"the efficiency of a counter must be above 0 and at most 1, not {self.efficiency!r}")
        for name in ("gain", "ceiling_hz", "field"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"the {name} of a counter must be above 0, not {getattr(self, name)!r}")
        if not 0 <= self.dark_hz < math.inf:
            raise ValueError(f"the dark_hz of a counter must be 0 or more, not {self.dark_hz!r}")

    def expected(self, photons: float) -> float:
        """Return the expected counts, without dark counts, for a number of photons per mask area."""
        return photons * self.field * self.efficiency * self.gain

    def counts(self, photons: float, seconds: float, rng: np.random.Generator, gain_factor: float = 1.0) -> float:
        """Return the counts of one exposure, a whole number.

        Parameters
        ----------
        photons : float
            Expected photons per mask area.
        seconds : float
            Exposure time.
        rng : numpy.random.Generator
            Exactly two draws are taken from it.
        gain_factor : float
            Factor by which the amplifier is set too sensitive.
        """
        quanta = rng.poisson(photons * self.field * self.efficiency)
        dark = rng.poisson(self.dark_hz * seconds)
        return float(min(np.floor(self.gain * gain_factor * quanta) + dark, np.floor(self.ceiling_hz * seconds)))


BUCKET = Counter(efficiency=0.9, dark_hz=200.0)
"""The bucket diode."""

MONITOR = Counter(efficiency=0.225, dark_hz=50.0, ceiling_hz=1e12, field=4.0)
"""The incident-beam monitor: thin, but in a beam four times as large as the mask, so it detects as many quanta as the bucket
without mask and sample (the open-beam ratio is 1). Its range is always set correctly: it never saturates.
"""

SATURATED_GAIN = 1e4
"""Gain factor of an amplifier left on far too sensitive a range."""


@dataclass(frozen=True)
class Counts:
    """The counts of the counters after an exposure.

    Parameters
    ----------
    bucket, monitor : float
        Counts, whole numbers.
    seconds : float
        Counting time.
    """

    bucket: float
    monitor: float
    seconds: float


def open_beam_ratio(bucket: Counter = BUCKET, monitor: Counter = MONITOR) -> float:
    """Return the bucket counts expected per monitor count with neither plate nor sample in the beam."""
    return bucket.expected(1.0) / monitor.expected(1.0)


def expose(
    beam: Beam,
    bucket: Counter,
    monitor: Counter,
    overlap: float,
    num_pixels: int,
    *,
    seconds: float,
    lit: float = 1.0,
    time_s: float = 0.0,
    index: int = 0,
    seed: int = 0,
    saturated: bool = False,
) -> Counts:
    """Count for one exposure.

    Parameters
    ----------
    beam : Beam
    bucket, monitor : Counter
    overlap : float
        Sum over the pixels of mask transmission times sample transmission.
    num_pixels : int
        Number of pixels of a mask.
    seconds : float
        Counting time.
    lit : float
        Fraction of that time with light, 0 to 1.
    time_s : float
        Start of the exposure, on the clock of the beam's drift.
    index : int
        Number of this exposure. It and `seed` alone determine the random numbers, so a scan can be repeated.
    seed : int
    saturated : bool
        Whether the diode's amplifier is set to a range that is far too sensitive.

    Notes
    -----
    The exposure is short compared with the drift, so the flux is that at its middle.
    """
    rng = np.random.default_rng((seed, _EXPOSURE, index))
    flux = _flux(beam, time_s + seconds / 2, seed, rng)
    photons_per_pixel = beam.photons * flux * seconds * lit
    bucket_counts = bucket.counts(photons_per_pixel * overlap, seconds, rng, SATURATED_GAIN if saturated else 1.0)
    monitor_counts = monitor.counts(photons_per_pixel * num_pixels, seconds, rng)
    return Counts(bucket_counts, monitor_counts, seconds)


def relative_flux(beam: Beam, seconds: float, time_s: float, index: int, seed: int) -> float:
    """Return the flux of one exposure, relative to the nominal one, as `expose` uses it."""
    return _flux(beam, time_s + seconds / 2, seed, np.random.default_rng((seed, _EXPOSURE, index)))


def _flux(beam: Beam, time_s: float, seed: int, rng: np.random.Generator) -> float:
    return beam.intensity(time_s, seed) * max(0.0, 1 + beam.flicker * rng.standard_normal())
