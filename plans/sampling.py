"""How densely a scan samples, and how long it exposes: what follows from an overlap of neighbouring places, or from a dose."""

from __future__ import annotations

import math


def step_for_overlap(overlap: float, beam_um: float) -> float:
    """Return the distance in um of places of which neighbours share so much of the beam's diameter.

    Parameters
    ----------
    overlap : float
        1 - step / diameter, as in Bunk et al., Ultramicroscopy 108, 481 (2008), who found 0.6 to be enough.
    beam_um : float
        Diameter of the beam on the sample.
    """
    return (1.0 - overlap) * beam_um


def places_at_most_apart(first_um: float, last_um: float, step_um: float) -> int:
    """Return how many places from first to last, both included, are at most a step apart."""
    return math.ceil(abs(last_um - first_um) / step_um * (1 - 1e-9)) + 1


def exposure_for_dose(dose_um2: float, flux: float, step_um: tuple[float, float]) -> float:
    """Return the exposure in s at each place by which the scanned area gets so many photons per square micrometre.

    Parameters
    ----------
    dose_um2 : float
        Incident photons/um^2.
    flux : float
        Photons/s in the beam.
    step_um : (float, float)
        Distance of places in y and x: each place stands for their product.
    """
    return dose_um2 * step_um[0] * step_um[1] / flux
