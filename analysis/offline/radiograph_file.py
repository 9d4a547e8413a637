"""Files with radiographs measured elsewhere, and with dark and flat fields and angles where there are some.

Known by the names that stand in the file:

- Data Exchange: `exchange/data`, `exchange/data_dark`, `exchange/data_white`, `exchange/theta`;
- NXtomo: a data set `image_key` that says of each image what it is, beside the images and `rotation_angle`;
- NPZ or HDF5 with `projections`, and perhaps `darks`, `flats`, `static` and `theta_deg`;
- TIFF images (`analysis.offline.tiff_stack`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.offline.array_file import ArrayFile, listing
from analysis.offline.ingest_error import IngestError
from analysis.offline.tiff_stack import SUFFIXES

_SETS = (
    {"frames": "exchange/data", "darks": "exchange/data_dark", "flats": "exchange/data_white", "angles": "exchange/theta"},
    {"frames": "projections", "darks": "darks", "flats": "flats", "static": "static", "angles": "theta_deg"},
    {"frames": "projections", "darks": "darks", "flats": "flats", "angles": "theta"},
)
_IMAGE_KEYS = {"frames": 0, "flats": 1, "darks": 2}
_RADIANS = {"rad", "radian", "radians"}
_DEGREES = {"deg", "degree", "degrees", "°"}


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the images of a data set: those of `rows`, or all."""

    name: str
    rows: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """A series of radiographs as it is in a file; the pixels are still there.

    Attributes
    ----------
    parts : mapping of str to Part
        "frames", and perhaps "darks", "flats" and "static".
    shape : (H, W)
        Of an image.
    num : int
        Radiographs.
    angles_deg : ndarray, float64, (num,), or None
        Of a tomographic scan; NaN where one isn't known.
    remarks : tuple of str
        What was assumed.
    """

    parts: Mapping[str, Part]
    shape: tuple[int, int]
    num: int
    angles_deg: np.ndarray | None
    remarks: tuple[str, ...]


def find_series(file: ArrayFile, unit: str | None = None) -> Series | None:
    """Find radiographs in a file; None if it holds none under a known name.

    Parameters
    ----------
    file : ArrayFile
        The file.
    unit : str, optional
        Unit of the angles, where the file says none or a wrong one.

    Raises
    ------
    IngestError
        If they do not fit together, or the angles make no sense.
    """
    found = _by_image_key(file)
    if file.path.suffix.lower() in SUFFIXES:
        found = {"frames": Part("frames")}, None
    if found is None:
        for names in _SETS:
            present = {purpose: name for purpose, name in names.items() if file.find(name) is not None}
            if "frames" in present and ("angles" in present or names is not _SETS[1]):
                angles = present.pop("angles", None)
                found = {purpose: Part(name) for purpose, name in present.items()}, angles
                break
    if found is None:
        return None
    parts, angles_name = found
    shapes = {purpose: _shape(file, part) for purpose, part in parts.items()}
    num, *shape = shapes["frames"]
    for purpose, (_, *other) in shapes.items():
        if other != shape:
            raise IngestError(
                f"{file.path}: {purpose} are of {other[0]}x{other[1]} pixels and the radiographs of {shape[0]}x{shape[1]}: take "
                "those of the same part of the detector"
            )
    remarks: list[str] = []
    angles_deg = None
    if angles_name is not None:
        rows = parts["frames"].rows
        angles_deg = _angles(file, angles_name, rows, num, unit, remarks)
    elif parts["frames"].rows is not None or parts["frames"].name.startswith("exchange/"):
        remarks.append("the file holds no angles: there are no slices of it")
    if left_out := _unmarked(file, parts):
        remarks.append(f"{left_out} images are neither radiographs nor flat or dark fields (image_key): they are left out")
    for purpose in ("darks", "flats"):
        if purpose not in parts:
            remarks.append(f"the file holds no {purpose}")
    return Series(parts, (shape[0], shape[1]), num, angles_deg, tuple(remarks))


def _by_image_key(file: ArrayFile) -> tuple[dict[str, Part], str | None] | None:
    """Images of NXtomo, whose `image_key` is 0 for the sample, 1 for flat and 2 for dark fields."""
    keys = [name for name in file.entries if name.split("/")[-1] == "image_key"]
    for key_name in sorted(keys, key=len):
        entry = file.entries[key_name]
        stacks = [one for one, other in file.entries.items() if len(other.shape) == 3]
        images = [one for one in stacks if file.entries[one].shape[:1] == entry.shape]
        if not images and stacks:
            raise IngestError(
                f"{file.path}: {key_name} is {entry} and no images are as many: there must be one mark an image. It holds "
                f"{listing(file)}"
            )
        if not images:
            continue
        marks = file.array(key_name)
        parts = {purpose: Part(min(images, key=len), np.flatnonzero(marks == value)) for purpose, value in _IMAGE_KEYS.items()}
        parts = {purpose: part for purpose, part in parts.items() if part.rows is not None and len(part.rows)}
        if "frames" not in parts:
            raise IngestError(f"{file.path}: {key_name} is 0 nowhere, which marks radiographs: there are none to ingest")
        angles = [one for one in file.entries if one.split("/")[-1] == "rotation_angle"]
        return parts, min(angles, key=len) if angles else None
    return None


def _unmarked(file: ArrayFile, parts: Mapping[str, Part]) -> int:
    """Images that the `image_key` gives no purpose."""
    marked = [part.rows for part in parts.values() if part.rows is not None]
    return file.entries[parts["frames"].name].shape[0] - sum(map(len, marked)) if marked else 0


def _shape(file: ArrayFile, part: Part) -> tuple[int, int, int]:
    entry = file.find(part.name)
    assert entry is not None
    if len(entry.shape) != 3 or 0 in entry.shape:
        raise IngestError(
            f"{file.path}: {part.name} is {entry.shape}: images must be (N, H, W), one alone (1, H, W). It holds {listing(file)}"
        )
    if entry.dtype.kind not in "biuf":
        raise IngestError(f"{file.path}: {part.name} is of type {entry.dtype}: radiographs must be numbers")
    number, height, width = entry.shape
    return number if part.rows is None else len(part.rows), height, width


def _angles(file: ArrayFile, name: str, rows: np.ndarray | None, num: int, unit: str | None, remarks: list[str]) -> np.ndarray:
    entry = file.find(name)
    assert entry is not None
    if len(entry.shape) != 1 or entry.dtype.kind not in "iuf":
        raise IngestError(f"{file.path}: {name} is {entry}: there must be one angle a radiograph")
    angles = file.array(name).astype(np.float64)
    if rows is not None and len(angles) > int(rows.max(initial=0)):
        angles = angles[rows]  # one for each image, whatever it is of
    if len(angles) != num:
        raise IngestError(f"{file.path}: there are {num} radiographs and {len(angles)} angles: give an angle for each radiograph")
    if not np.isfinite(angles).any():
        raise IngestError(f"{file.path}: {name} holds no finite value: give an angle for each radiograph")
    if missing := int(np.count_nonzero(~np.isfinite(angles))):
        remarks.append(f"{missing} angles are no finite numbers: their radiographs are not used")
    said = entry.units if unit is None else unit
    if said in _RADIANS:
        return np.rad2deg(angles)
    if said is not None and said.lower() not in _DEGREES:
        raise IngestError(f"{file.path}: {name} is in {said!r}, which is not a unit of angles: name it, --unit deg or --unit rad")
    span = float(np.ptp(angles[np.isfinite(angles)]))
    if said is None and num > 8 and any(abs(span * num / (num - 1) - turn) < 0.03 * turn for turn in np.pi * np.arange(1, 5)):
        raise IngestError(
            f"{file.path}: {name} spans {span:.3g}, as half or whole turns in radians do, and the file says no unit: name it, "
            "--unit rad, or --unit deg if it is right"
        )
    if span == 0 and num > 1:
        raise IngestError(f"{file.path}: all angles in {name} are {angles[0]:g}: did the sample turn?")
    return angles
