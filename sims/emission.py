"""X-ray fluorescence of a sample: the photons in each element's lines from each pixel, per incident photon.

Line energies and cross sections are taken from xraylib.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_FINE = 4  # voxels per pixel and axis
_LINES = ("KL3", "KL2", "KM3", "KM2", "KN3", "KN2")
_IRON = 7.87  # g/cm3
_MOST_ABSORBED = 1e-3  # transmission below which an image of a foil gives no thickness
_WIRES = (("Cu", -0.34, 0.12, 0.075, 0.03), ("Fe", 0.0, -0.2, 0.09, -0.05), ("Cu", 0.36, 0.1, 0.06, 0.06))
"""Element, position across the beam and along it, radius and slope, in units of half the shorter side of the field."""
_DENSITY = {"Cu": 8.96, "Fe": _IRON}
_GLASS = {"Si": 0.33, "O": 0.48, "Na": 0.09, "Ca": 0.07, "Al": 0.03}
_GLASS_DENSITY = 2.5
_TUBE = (0.62, 0.72)


@dataclass(frozen=True, eq=False)
class Emission:
    """Emission of a sample towards a detector beside the beam, for each photon on a pixel, integrated over all directions.

    Attributes
    ----------
    elements : mapping of str to ndarray, (H, W)
        Photons of the K lines of each element, after absorption of the beam on the way in and of the lines on the way out.
    scattered : ndarray, (H, W)
        Scattered photons.
    transmission : ndarray, float32, (H, W)
        Part of the beam that is transmitted.
    """

    elements: Mapping[str, np.ndarray]
    scattered: np.ndarray
    transmission: np.ndarray


def k_lines(symbol: str, beam_kev: float) -> list[tuple[float, float]]:
    """Energy (keV) and cross section (cm2/g) of each K line of an element; empty where the beam does not excite them."""
    import xraylib

    number, lines = xraylib.SymbolToAtomicNumber(symbol), []
    for name in _LINES:
        code = getattr(xraylib, f"{name}_LINE")
        try:
            lines.append((xraylib.LineEnergy(number, code), xraylib.CS_FluorLine_Kissel(number, code, beam_kev)))
        except ValueError:  # there is no such line, or the beam energy is below the edge
            continue
    return [(energy, section) for energy, section in lines if section > 0]


def capillary(shape: tuple[int, int], pixel_um: float, beam_kev: float) -> Emission:
    """A glass capillary with three wires along y, two of copper and one of iron; the detector looks along -x.

    The sample is divided into voxels. The beam, along z, is absorbed on the way in, and each line on the way out along x. So
    a wire is brighter on the side that faces the detector, and a wire behind another one is in its shadow.
    """
    import xraylib

    half = min(shape) / 2
    y = (np.arange(shape[0]) + 0.5 - shape[0] / 2) / half
    x = ((np.arange(shape[1] * _FINE) + 0.5) / _FINE - shape[1] / 2) / half
    z = (np.arange(2 * int(half * 0.75 * _FINE)) + 0.5) / _FINE / half - 0.75
    across, along = x[None, :, None], z[None, None, :]
    density: dict[str, np.ndarray] = {}
    occupied = np.zeros((len(y), len(x), len(z)), dtype=bool)
    for symbol, place, depth, radius, slope in _WIRES:
        inside = np.hypot(across - place - slope * y[:, None, None], along - depth) < radius
        inside &= ~occupied
        occupied |= inside
        density[symbol] = density.get(symbol, np.zeros(occupied.shape, dtype=np.float32)) + _DENSITY[symbol] * inside
    ring = np.broadcast_to(np.hypot(across, along), occupied.shape)
    glass = (ring > _TUBE[0]) & (ring < _TUBE[1])
    for symbol, part in _GLASS.items():
        density[symbol] = (_GLASS_DENSITY * part * glass).astype(np.float32)

    step_cm = pixel_um * 1e-4 / _FINE

    def absorbed(energy: float) -> np.ndarray:
        """Return the absorption in each voxel."""
        numbers = {symbol: xraylib.SymbolToAtomicNumber(symbol) for symbol in density}
        return step_cm * sum(xraylib.CS_Total(numbers[symbol], energy) * density[symbol] for symbol in density)

    into = absorbed(beam_kev)
    arrives = np.exp(-(np.cumsum(into, axis=2) - into / 2))

    def seen(energy: float) -> np.ndarray:
        """Return the part of the light that reaches each voxel and then leaves the sample."""
        out = absorbed(energy)
        return arrives * np.exp(-(np.cumsum(out[:, ::-1], axis=1)[:, ::-1] - out / 2))

    def pixels(light: np.ndarray) -> np.ndarray:
        return light.sum(axis=2).reshape(shape[0], shape[1], _FINE).mean(axis=2)

    elements = {}
    for symbol, here in density.items():
        lines = k_lines(symbol, beam_kev)
        if lines and lines[0][0] > 1.0:
            elements[symbol] = pixels(here * seen(lines[0][0])) * step_cm * sum(section for _, section in lines)
    scattering = sum(_scattering(symbol, beam_kev) * here for symbol, here in density.items()) * step_cm
    transmission = np.exp(-into.sum(axis=2)).reshape(shape[0], shape[1], _FINE).mean(axis=2)
    return Emission(elements, pixels(scattering * seen(beam_kev)), transmission.astype(np.float32))


def iron_foil(transmission: np.ndarray, beam_kev: float) -> Emission:
    """Iron with the transmission that an image gives, seen at 45 degrees from the side of the incident beam."""
    import xraylib

    absorbance = -np.log(np.clip(transmission, _MOST_ABSORBED, 1.0))
    number = xraylib.SymbolToAtomicNumber("Fe")
    into = xraylib.CS_Total(number, beam_kev)
    lines = k_lines("Fe", beam_kev)

    def out_of(section: float, energy: float) -> np.ndarray:
        both = 1 + xraylib.CS_Total(number, energy) / into
        made: np.ndarray = section / into * (1 - np.exp(-absorbance * both)) / both
        return made

    elements = {"Fe": out_of(sum(section for _, section in lines), lines[0][0])} if lines else {}
    return Emission(elements, out_of(_scattering("Fe", beam_kev), beam_kev), transmission)


def _scattering(symbol: str, beam_kev: float) -> float:
    import xraylib

    number = xraylib.SymbolToAtomicNumber(symbol)
    return float(xraylib.CS_Rayl(number, beam_kev) + xraylib.CS_Compt(number, beam_kev))
