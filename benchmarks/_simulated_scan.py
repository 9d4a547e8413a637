"""A scan of the simulated experiment without devices: corrected buckets."""

from __future__ import annotations

import numpy as np

from sims.etched_plate import EtchedPlate
from sims.experiment import Experiment
from sims.physics import Beam


def simulated_scan(plate: EtchedPlate, sample: np.ndarray, number: int, photons: float, seed: int) -> np.ndarray:
    """Return the buckets of the plate's first masks, one second each, in units of mask times sample transmission.

    Parameters
    ----------
    plate : EtchedPlate
    sample : array, (H, W)
    number : int
    photons : float
        Photons on an open pixel, per exposure.
    seed : int
        Seed of beam and counters.

    Returns
    -------
    float64 array, (number,)
        Corrected for dark counts, and divided by the monitor.
    """
    experiment = Experiment(plate, sample, beam=Beam(photons=photons), seed=seed)
    counts = [experiment.expose(1.0, tuple(position)) for position in plate.plate.positions_mm[:number]]
    bucket = np.array([one.bucket for one in counts]) - experiment.bucket.dark_hz
    monitor = np.array([one.monitor for one in counts]) - experiment.monitor.dark_hz
    return bucket / monitor * sample.size
