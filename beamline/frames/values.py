"""Settings of detectors and trigger box before they start, and what a reconstruction must know about the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Optics:
    """Where the detector stands and what light it sees.

    Parameters
    ----------
    energy_kev : float
        Photon energy.
    distance_mm : float
        From the sample to the detector.
    pixel_um : float
        Edge of a detector pixel.
    geometry : {"far_field", "near_field"}
    """

    energy_kev: float
    distance_mm: float
    pixel_um: float
    geometry: Literal["far_field", "near_field"]


@dataclass(frozen=True)
class TriggeredFrames:
    """Frames that the detector is to take, one for each trigger.

    Parameters
    ----------
    exposure_s, period_s : float
        Length of an exposure, and the time from one to the next.
    shape : pair of int
        Rows and columns that the run says they have.
    """

    exposure_s: float
    period_s: float
    shape: tuple[int, int]


@dataclass(frozen=True)
class FrameSeries:
    """Frames that a camera is to take by itself, one after the other.

    Parameters
    ----------
    num : int
        How many the series has.
    taken : int
        How many of them were taken before it was interrupted.
    exposure_s, period_s : float
        Length of an exposure, and the time from one to the next.
    shape : pair of int
        Rows and columns that the run says they have.
    """

    num: int
    taken: int
    exposure_s: float
    period_s: float
    shape: tuple[int, int]


@dataclass(frozen=True)
class LineTriggers:
    """Triggers that the box is to give within one line.

    Parameters
    ----------
    gate_um, width_um : float
        The dial position of x at which the first one comes, and how far from there they end at the latest.
    num : int
        How many.
    total : int
        How many the whole scan has.
    exposure_s, period_s : float
        Length of a trigger, which is the exposure, and the time from one to the next.
    offsets_um, signs : pair of float
        Of y and x: what is added to the dial position, and by what it is multiplied before, to give the user's position.
    """

    gate_um: float
    width_um: float
    num: int
    total: int
    exposure_s: float
    period_s: float
    offsets_um: tuple[float, float]
    signs: tuple[float, float]
