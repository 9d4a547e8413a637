"""Messages to the process that draws and writes frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sims.triggers import Triggers


@dataclass(frozen=True)
class Open:
    """Begin a file."""

    path: str


@dataclass(frozen=True)
class Take:
    """Draw frames and write them.

    Parameters
    ----------
    acquisition : int
        Number of the detector's acquisition.
    triggers : Triggers
    lit : bool
        Whether there is beam.
    spoiled : mapping of str to float
        Faults of the optics and the sensor, as `sims.frame_faults` names them.
    """

    acquisition: int
    triggers: Triggers
    lit: bool
    spoiled: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Flush:
    """Make all earlier frames readable."""


@dataclass(frozen=True)
class Close:
    """Close the file."""


@dataclass(frozen=True)
class Disk:
    """Whether the disk is full from now on."""

    full: bool


Message = Open | Take | Flush | Close | Disk
