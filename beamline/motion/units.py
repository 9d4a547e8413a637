"""Units of motor records, as people write them into EGU."""

from __future__ import annotations

from typing import Literal

LengthUnit = Literal["mm", "um"]
Unit = Literal["mm", "um", "deg"]
UM_PER_UNIT: dict[LengthUnit, float] = {"mm": 1000.0, "um": 1.0}

_SPELLINGS = {
    "mm": ("mm", "millimeter", "millimetre", "millimeters", "millimetres"),
    "um": ("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"),
    "deg": ("deg", "degree", "degrees", "\u00b0"),
}


def why_wrong_unit(record: str, egu: str, expected: Unit, section: str) -> str | None:
    """Say that a motor record counts in another unit than the configuration says; None if it does not.

    Parameters
    ----------
    record : str
        The motor record.
    egu : str
        Its engineering units (EGU).
    expected : {"mm", "um", "deg"}
        What the configuration says.
    section : str
        Where it says so, such as "mask_stage".
    """
    if egu.strip().lower() in _SPELLINGS[expected]:
        return None
    if expected == "deg":
        return f"{record}.EGU says {egu!r}, but [{section}] turns in degrees: name another motor record, or correct EGU"
    return (
        f"{record}.EGU says {egu!r}, but [{section}] units is {expected!r}: positions would be wrong by orders of magnitude. "
        "Correct whichever is wrong"
    )
