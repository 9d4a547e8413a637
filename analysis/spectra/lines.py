"""The fluorescence lines of the chemical elements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

_K_LINES = ("KL3", "KL2", "KM3", "KM2", "KM5", "KN3", "KN2")
_L_LINES = (
    "L3M5", "L3M4", "L3M1", "L3N5", "L3N4", "L3N1", "L3O45",
    "L2M4", "L2M1", "L2N4", "L2N1", "L2O4",
    "L1M3", "L1M2", "L1N3", "L1N2",
)  # fmt: skip
_M_LINES = ("M5N7", "M5N6", "M4N6", "M3N5", "M5N3", "M4N2")
_WEAKEST = 1e-3
"""Relative to the strongest line of the series; weaker ones are left out."""


class ElementUnknown(ValueError):
    """A chemical element that doesn't exist, or has no line that the beam excites and the detector sees."""


@dataclass(frozen=True)
class Line:
    """A fluorescence line.

    Attributes
    ----------
    energy_kev : float
    strength : float
        Part of the photons of its series, so that those of a series add up to 1.
    beta : bool
        Whether it is a K-beta line.
    """

    energy_kev: float
    strength: float
    beta: bool = False


def atomic_number(symbol: str) -> int:
    """Atomic number of a chemical element.

    Raises
    ------
    ElementUnknown
        If there is no such element.
    """
    import xraylib

    try:
        return int(xraylib.SymbolToAtomicNumber(symbol))
    except ValueError:
        raise ElementUnknown(f"there is no chemical element {symbol!r}: write its symbol, such as Cu") from None


@lru_cache(maxsize=256)
def lines_of(element: str, beam_kev: float) -> tuple[Line, ...]:
    """The lines of an element that a beam excites, in order of their energy.

    Parameters
    ----------
    element : str
        Symbol such as "Cu": its K lines, or the L (or M) lines where the beam does not reach the K (L) edge. Or the symbol with
        the series, such as "Pb_L".
    beam_kev : float
        Energy of the beam.

    Returns
    -------
    tuple of Line
        Relative strengths by photoionisation cross sections with cascades (Kissel).

    Raises
    ------
    ElementUnknown
        If there is no such element or series, or the beam excites none of its lines.
    """
    symbol, _, series = element.partition("_")
    number = atomic_number(symbol)
    wanted = (series,) if series else ("K", "L", "M")
    names = {"K": _K_LINES, "L": _L_LINES, "M": _M_LINES}
    if series and series not in names:
        raise ElementUnknown(f"{element!r}: the series is K, L or M, as in {symbol}_K, not {series!r}")
    for one in wanted:
        found = [line for name in names[one] if (line := _line(number, name, beam_kev)) is not None]
        total = sum(line.strength for line in found)
        if total > 0:
            strongest = max(line.strength for line in found)
            kept = [line for line in found if line.strength > _WEAKEST * strongest]
            total = sum(line.strength for line in kept)
            kept.sort(key=lambda line: line.energy_kev)
            return tuple(replace(line, strength=line.strength / total) for line in kept)
    raise ElementUnknown(f"{element} has no {' or '.join(wanted)} line that a beam of {beam_kev:g} keV excites: leave it out")


def _line(number: int, name: str, beam_kev: float) -> Line | None:
    import xraylib

    code = getattr(xraylib, f"{name}_LINE")
    try:
        strength = xraylib.CS_FluorLine_Kissel_Cascade(number, code, beam_kev)
        energy = xraylib.LineEnergy(number, code)
    except ValueError:  # this atom has no such line, or the beam doesn't excite it
        return None
    return Line(float(energy), float(strength), beta=name.startswith(("KM", "KN"))) if strength > 0 else None


def compton_kev(beam_kev: float, angle_deg: float = 90.0) -> float:
    """Energy of photons that free electrons scatter by an angle (Compton)."""
    return beam_kev / (1.0 + beam_kev / 510.999 * (1.0 - math.cos(math.radians(angle_deg))))
