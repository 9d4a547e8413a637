"""Files with a ptychographic scan measured elsewhere: frames and positions, and what is known of the experiment.

Four layouts are known, by the names that stand in the file:

- CXI: `entry_1/data_1/data`, with a translation in metres, x first;
- NeXus: `entry/data/data` or `entry/instrument/detector/data`, with two motors called alike but for y and x;
- an NPZ file with `diffraction` and `scan`, in pixels of the object, y first (as tike reads it), or `translation_xyz_m`;
- NPZ or HDF5 with `frames` and `positions_um`, y first.

In any other file the data sets are named by who ingests it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.offline.array_file import ArrayFile, listing
from analysis.offline.ingest_error import IngestError

MICROMETRES = {
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1e6),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1e3),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre", "nanometers", "nanometres"), 1e-3),
}
"""Lengths by their names in files."""

_LENGTHS = {**MICROMETRES, **dict.fromkeys(("angstrom", "Angstrom", "angstroms", "Å", "Å"), 1e-4)}

_KEV_UM = 1.2398419843320026e-3  # energy times wavelength
_JOULE_KEV = 1 / 1.602176634e-16
_SHORTEST_UM, _LONGEST_UM = 1e-4, 1e6  # no scan moves by less than an atom, none by more than a metre

_FRAMES = (
    "entry_1/data_1/data",
    "entry_1/instrument_1/detector_1/data",
    "entry/data/data",
    "entry/instrument/detector/data",
    "diffraction",
    "frames",
)
_XYZ_IN_METRES = (
    "entry_1/data_1/translation",
    "entry_1/sample_1/geometry_1/translation",
    "translation_xyz_m",
)
_ENERGY = {
    "entry_1/instrument_1/source_1/energy": "J",
    "entry/instrument/beam/incident_energy": "eV",
    "entry/sample/beam/incident_energy": "eV",
    "entry/instrument/monochromator/energy": "eV",
    "energy_kev": "keV",
}
_WAVELENGTH = {
    "entry_1/instrument_1/source_1/wavelength": "m",
    "entry/instrument/beam/incident_wavelength": "angstrom",
    "entry/sample/beam/incident_wavelength": "angstrom",
    "entry/instrument/monochromator/wavelength": "angstrom",
    "wavelength_m": "m",
}
_DISTANCE = {
    "entry_1/instrument_1/detector_1/distance": "m",
    "entry/instrument/detector/distance": "m",
    "distance_m": "m",
    "distance_mm": "mm",
}
_PIXEL = {
    "entry_1/instrument_1/detector_1/x_pixel_size": "m",
    "entry/instrument/detector/x_pixel_size": "m",
    "pixel_m": "m",
    "detector_pixel_um": "um",
}
_BASIS = "entry_1/instrument_1/detector_1/basis_vectors"
_SATURATION = ("entry/instrument/detector/saturation_value", "saturation_counts")
_MASK = ("entry_1/instrument_1/detector_1/mask", "entry/instrument/detector/pixel_mask", "mask")
_SAME, _MOST_REPEATED = 1e-3, 10_000_000  # numbers that differ by less are one; a number that is repeated for each frame
_KEV = {"J": _JOULE_KEV, "eV": 1e-3, "keV": 1.0, "kev": 1.0, "ev": 1e-3}


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan as it is in a file; the frames are still there.

    Attributes
    ----------
    frames : str
        Name of the data set with the frames, (M, H, W), or (lines, points, H, W).
    positions_um : ndarray, float64, (N, 2)
        Position (y, x) of each; NaN where it isn't known. In pixels of the object where their size isn't known.
    bad_pixels : ndarray, bool, (H, W), or None
        Pixels that the file says are bad.
    known : mapping
        Of the experiment, what is known: `energy_kev`, `distance_mm`, `detector_pixel_um`, `geometry`, `saturation_counts`,
        `focus_to_sample_mm`; else None.
    remarks : tuple of str
        What was assumed.
    """

    frames: str
    positions_um: np.ndarray
    bad_pixels: np.ndarray | None
    known: Mapping[str, Any]
    remarks: tuple[str, ...] = field(default=())


def find_scan(
    file: ArrayFile, *, frames: str | None = None, positions: Sequence[str] = (), unit: str | None = None
) -> Scan | None:
    """Find frames and positions in a file.

    Parameters
    ----------
    file : ArrayFile
        The file.
    frames : str, optional
        Name of the data set with the frames, where it is none of those that are known.
    positions : sequence of str
        Name of that with the positions, (N, 2) as y, x or (N, 3) as x, y, z; or of two, y and x.
    unit : str, optional
        Unit of the positions, where the file says none or a wrong one.

    Returns
    -------
    Scan or None
        None if nothing was named and the file holds no frames under a known name.

    Raises
    ------
    IngestError
        If positions are missing, or anything is inconsistent.
    """
    positions = [name.strip("/") for name in positions]
    name = frames.strip("/") if frames else next((known for known in _FRAMES if file.find(known) is not None), None)
    if name is None:
        if positions:
            raise IngestError(f"{file.path}: no frames were found. Name them with --frames; the file holds {listing(file)}")
        return None
    shape = _frame_shape(file, name)
    known = _known(file)
    remarks: list[str] = []
    places = _positions(file, shape, positions, unit, known, remarks)
    if known["geometry"] is None:
        known["geometry"] = _likely_geometry(known, places, remarks)
    return Scan(name, places, _bad_pixels(file, shape[-2:]), known, tuple(remarks))


def _frame_shape(file: ArrayFile, name: str) -> tuple[int, ...]:
    entry = file.find(name)
    if entry is None:
        raise IngestError(f"{file.path} has no data set {name}. It holds {listing(file)}")
    if len(entry.shape) not in (3, 4) or not all(entry.shape[-2:]):
        raise IngestError(
            f"{file.path}: {name} is {entry.shape}: frames must be (N, H, W), or (lines, points, H, W). Name them with --frames"
        )
    if entry.dtype.kind not in "biuf":
        raise IngestError(f"{file.path}: {name} is of type {entry.dtype}: frames must be counts. Name them with --frames")
    if 0 in entry.shape:
        raise IngestError(f"{file.path}: {name} holds no frame: there is nothing to ingest")
    return entry.shape


def _positions(
    file: ArrayFile, shape: tuple[int, ...], named: Sequence[str], unit: str | None, known: dict[str, Any], remarks: list[str]
) -> np.ndarray:
    """Positions (N, 2), y and x, in um, of frames of this shape."""
    if unit is not None and unit not in MICROMETRES:
        raise IngestError(f"{unit!r} is not a known unit of length: give --unit as m, mm, um or nm")
    scanned = shape[:-2]
    names = list(named) or _known_positions(file, scanned)
    columns, said = _columns(file, names, scanned)
    called = f"the positions {' and '.join(names)}"
    if unit is not None:
        scales = [MICROMETRES[unit]] * 2
        if any(MICROMETRES.get(str(one)) != MICROMETRES[unit] for one in said):
            remarks.append(f"{called} are taken in {unit} as given; the file says {said[0] or 'no unit'}")
    elif said[0] == _OBJECT_PIXELS:
        scales = [_object_pixel_um(shape[-2], known, remarks)] * 2
    elif said == [None, None]:
        scales = [1.0] * 2
        remarks.append(f"the file says no unit of {called}: they are taken as um")
    elif all(one in MICROMETRES for one in said):
        scales = [MICROMETRES[str(one)] for one in said]
    else:
        raise IngestError(
            f"{file.path}: {called} are in {said[0]}, {said[1]}, which are not units of length. Name others with --positions, or "
            "their unit with --unit"
        )
    places = np.stack(columns, axis=1) * scales
    _check_positions(f"{file.path}: {called}", places, remarks)
    return places


_OBJECT_PIXELS = "pixels of the object"


def _known_positions(file: ArrayFile, scanned: tuple[int, ...]) -> list[str]:
    for name in ("positions_um", *_XYZ_IN_METRES, "scan"):
        if file.find(name) is not None:
            return [name]
    pairs = _motors(file, scanned)
    if len(pairs) == 1:
        return list(pairs[0])
    if not pairs:
        raise IngestError(f"{file.path}: no positions were found. Name them with --positions; the file holds {listing(file)}")
    told = "; ".join(f"--positions {y} --positions {x}" for y, x in pairs)
    raise IngestError(f"{file.path}: positions may be any of these, name one: {told}")


def _motors(file: ArrayFile, scanned: tuple[int, ...]) -> list[tuple[str, str]]:
    """Pairs of data sets with numbers that are called alike but for y and x: those that fit the frames, with lengths, first."""
    numbers = {name: entry for name, entry in file.entries.items() if len(entry.shape) in (1, 2) and entry.dtype.kind in "iuf"}
    fitting = {name: entry for name, entry in numbers.items() if _fits(entry.shape, scanned)}
    lists = {name: entry for name, entry in numbers.items() if len(entry.shape) == 1 and entry.shape[0] > 1}
    for candidates in (fitting, lists):
        pairs = []
        for name in candidates:
            parts = name.split("/")
            for at, part in enumerate(parts):
                if re.search(r"[yY]$", part):
                    twin = "/".join([*parts[:at], part[:-1] + ("x" if part[-1] == "y" else "X"), *parts[at + 1 :]])
                    if twin in candidates:
                        pairs.append((name, twin))
        lengths = [pair for pair in pairs if all(candidates[name].units in MICROMETRES for name in pair)]
        if pairs:
            return lengths or pairs
    return []


def _fits(shape: tuple[int, ...], scanned: tuple[int, ...]) -> bool:
    """Whether there is a value a frame, or for frames in lines one a line or a point."""
    return shape in (scanned, *((num,) for num in scanned))


def _columns(file: ArrayFile, names: Sequence[str], scanned: tuple[int, ...]) -> tuple[list[np.ndarray], list[str | None]]:
    """The columns y and x, and the unit of each."""
    if len(names) > 2:
        raise IngestError(f"positions are one data set or two, y and x, not {len(names)}: give --positions once or twice")
    arrays, units = [], []
    for name in names:
        entry = file.find(name)
        if entry is None:
            raise IngestError(f"{file.path} has no data set {name}. It holds {listing(file)}")
        if entry.dtype.kind not in "iuf":
            raise IngestError(f"{file.path}: {name} is of type {entry.dtype}: positions must be numbers")
        arrays.append(file.array(name).astype(np.float64))
        units.append(_unit(name, entry.units))
    shapes = [array.shape for array in arrays]
    if len(names) == 2:
        if len(scanned) == 2 and shapes == [scanned[:1], scanned[1:]]:
            arrays = list(np.meshgrid(*arrays, indexing="ij"))  # a value a line, and one a point of each
        if len(scanned) == 2 and arrays[0].shape == arrays[1].shape == scanned:
            return [array.ravel() for array in arrays], units
        if shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise IngestError(
                f"{file.path}: {names[0]} is {shapes[0]} and {names[1]} {shapes[1]}: both must have a value a frame"
            )
        return arrays, units
    if len(shapes[0]) != 2 or shapes[0][1] not in (2, 3):
        raise IngestError(
            f"{file.path}: {names[0]} is {shapes[0]}: positions must be (N, 2) as y, x, or (N, 3) as x, y, z, or two "
            "data sets: --positions Y --positions X"
        )
    x_first = shapes[0][1] == 3 or names[0] in _XYZ_IN_METRES
    y, x = (1, 0) if x_first else (0, 1)
    return [arrays[0][:, y], arrays[0][:, x]], units * 2


def _unit(name: str, said: str | None) -> str | None:
    if said is not None:
        return said
    if name in _XYZ_IN_METRES:
        return "m"
    if name == "scan":
        return _OBJECT_PIXELS
    return next((unit for unit in ("um", "mm", "nm", "m") if name.endswith(f"_{unit}")), None)


def _object_pixel_um(pixels: int, known: Mapping[str, Any], remarks: list[str]) -> float:
    told = [known[key] for key in ("energy_kev", "distance_mm", "detector_pixel_um")]
    if None in told:
        remarks.append("positions are in pixels of the object, whose size is not known: one pixel counts as 1 um")
        return 1.0
    energy, distance, pixel = told
    size = _KEV_UM / energy * distance * 1e3 / (pixels * pixel)
    remarks.append(f"positions are in pixels of the object, {size:.4g} um each by energy, distance and detector")
    return float(size)


def _check_positions(called: str, places: np.ndarray, remarks: list[str]) -> None:
    finite = np.isfinite(places).all(axis=1)
    if not finite.any():
        raise IngestError(f"{called} hold no finite value: give a position for each frame")
    if not finite.all():
        remarks.append(f"{len(places) - np.count_nonzero(finite)} positions are NaN: their frames are not used")
    places = places[finite]
    if len(places) > 1:
        span = float(np.ptp(places, axis=0).max())
        if span == 0:
            raise IngestError(f"{called} are all the same: did the stage move? Name others with --positions")
        if not _SHORTEST_UM < span < _LONGEST_UM:
            raise IngestError(
                f"{called} span {span:.3g} um, which no scan does: they are in another unit. Name it: --unit m, mm, um or nm"
            )
    repeated = len(places) - len(np.unique(places, axis=0))
    if repeated:
        remarks.append(f"{repeated} positions stand in the file more than once: a map shows the mean of their frames")


def _known(file: ArrayFile) -> dict[str, Any]:
    energy = None
    for name, unit in _ENERGY.items():
        if (value := _number(file, name)) is not None:
            energy = value * _KEV.get(_said(file, name) or unit, _KEV[unit])
            break
    else:
        wavelength = _length_um(file, _WAVELENGTH)
        energy = None if wavelength is None else _KEV_UM / wavelength
    focus = _length_um(file, {"focus_to_sample_m": "m"})
    distance, pixel = _length_um(file, _DISTANCE), _length_um(file, _PIXEL) or _pixel_of_basis_um(file)
    saturation = next((value for name in _SATURATION if (value := _number(file, name)) is not None), None)
    # A distance from focus to sample says that frames are projections; positions in pixels of the object are of the far field.
    geometry = "near_field" if focus is not None else "far_field" if file.find("scan") is not None else None
    return {
        "energy_kev": energy,
        "distance_mm": None if distance is None else distance / 1e3,
        "detector_pixel_um": pixel,
        "focus_to_sample_mm": None if focus is None else focus / 1e3,
        "geometry": geometry,
        "saturation_counts": None if saturation is None else math.ceil(saturation),
    }


def _likely_geometry(known: Mapping[str, Any], places: np.ndarray, remarks: list[str]) -> str | None:
    """Far field, unless the patterns of neighbouring places would have no part of the sample in common then."""
    told = [known[key] for key in ("energy_kev", "distance_mm", "detector_pixel_um")]
    if None in told:
        return None
    energy, distance, pixel = told
    view_um = _KEV_UM / energy * distance * 1e3 / pixel
    steps = np.hypot(*np.diff(places[np.isfinite(places).all(axis=1)], axis=0).T)
    geometry = "near_field" if len(steps) and np.median(steps) > view_um else "far_field"
    remarks.append(
        f"the file says nothing of far or near field: taken as {geometry.replace('_', ' ')}, since in the far field a frame "
        f"would see {view_um:.3g} um of the sample"
    )
    return geometry


def _length_um(file: ArrayFile, names: Mapping[str, str]) -> float | None:
    for name, unit in names.items():
        if (value := _number(file, name)) is not None:
            return value * _LENGTHS.get(_said(file, name) or unit, _LENGTHS[unit])
    return None


def _pixel_of_basis_um(file: ArrayFile) -> float | None:
    """The detector's pixel by the vectors (3, 2) from one pixel to the next, in metres, as CXI has them."""
    entry = file.find(_BASIS)
    if entry is None or entry.shape != (3, 2) or entry.dtype.kind != "f":
        return None
    length = float(np.linalg.norm(file.array(_BASIS)[:, 0]))
    return 1e6 * length if math.isfinite(length) and length > 0 else None


def _said(file: ArrayFile, name: str) -> str | None:
    entry = file.find(name)
    return None if entry is None else entry.units


def _number(file: ArrayFile, name: str) -> float | None:
    """A positive number of the experiment, which may be repeated for each frame; None if it isn't there or can't be one."""
    entry = file.find(name)
    if entry is None or not 1 <= math.prod(entry.shape) <= _MOST_REPEATED or entry.dtype.kind not in "iuf":
        return None
    values = file.array(name).astype(np.float64).ravel()
    value = float(np.median(values))
    if not math.isfinite(value) or value <= 0 or np.ptp(values) > _SAME * value:
        return None
    return value


def _bad_pixels(file: ArrayFile, shape: tuple[int, ...]) -> np.ndarray | None:
    for name in _MASK:
        entry = file.find(name)
        if entry is not None and entry.shape == shape and entry.dtype.kind in "biu":
            return file.array(name) != 0
    return None
