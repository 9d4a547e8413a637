"""Settings of detectors and trigger box before they start, and what a reconstruction must know about the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KEV_UM = 1.239841984e-3
"""Photon energy times wavelength."""


@dataclass(frozen=True)
class ZonePlate:
    """The zone plate that focuses the beam, and where the sample stands behind its focus.

    Parameters
    ----------
    diameter_um, outermost_zone_nm, central_stop_um : float
        Of the zone plate, and of the stop before it.
    defocus_mm : float
        How far behind the focus the sample stands; below 0 before it.
    """

    diameter_um: float
    outermost_zone_nm: float
    central_stop_um: float
    defocus_mm: float

    def beam_um(self, energy_kev: float) -> float:
        """Return the diameter of the beam on the sample.

        A zone plate spreads light, from edge to edge, by the angle of a wavelength over the outermost zone; in the focus the spot
        is 1.22 outermost zones wide (Attwood, Soft X-Rays and Extreme Ultraviolet Radiation, section 9.3).
        """
        zone_um = self.outermost_zone_nm / 1000
        return 1.22 * zone_um + abs(self.defocus_mm) * 1000 * KEV_UM / energy_kev / zone_um


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
    zone_plate : ZonePlate, optional
    """

    energy_kev: float
    distance_mm: float
    pixel_um: float
    geometry: Literal["far_field", "near_field"]
    zone_plate: ZonePlate | None = None


@dataclass(frozen=True)
class TriggeredFrames:
    """Frames that the detector is to take, one for each trigger.

    Parameters
    ----------
    exposure_s, period_s : float
        Length of an exposure, and the time from one to the next.
    shape : pair of int
        Rows and columns that the run says they have.
    before : int
        Triggers that the scan has had before: numbers go on after them.
    """

    exposure_s: float
    period_s: float
    shape: tuple[int, int]
    before: int = 0


@dataclass(frozen=True)
class FrameSeries:
    """Frames that a camera is to take by itself, one after the other.

    Parameters
    ----------
    num : int
        How many the series has.
    taken : int
        How many of them are in the camera's file already; 0 begins a file.
    exposure_s, period_s : float
        Length of an exposure, and the time from one to the next.
    shape : pair of int
        Rows and columns that the run says they have.
    before : int
        Frames of the same stream in files before: numbers go on after them.
    """

    num: int
    taken: int
    exposure_s: float
    period_s: float
    shape: tuple[int, int]
    before: int = 0


@dataclass(frozen=True)
class LineTriggers:
    """Triggers that the box is to give within one line, or while the sample stands still.

    Positions are in the unit of the encoders: um, or degrees of a rotation.

    Parameters
    ----------
    gate : float or None
        The dial position of the moving axis at which the first one comes; None: it comes at once, since the sample stands still.
    width : float
        How far from there they end at the latest.
    num : int
        How many.
    total : int
        How many the whole scan has.
    exposure_s, period_s : float
        Length of a trigger, which is the exposure, and the time from one to the next.
    offsets, signs : tuple of float
        For each captured axis: what is added to the dial position, and by what it is multiplied before, to give the user's
        position.
    """

    gate: float | None
    width: float
    num: int
    total: int
    exposure_s: float
    period_s: float
    offsets: tuple[float, ...]
    signs: tuple[float, ...]
