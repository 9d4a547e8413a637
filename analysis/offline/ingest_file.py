"""Files with single-pixel data measured elsewhere.

Two forms are read, as NPZ or HDF5 (datasets at the top):

- `masks` (M, H, W), `buckets` (M,), and perhaps `errors` (M,), `reference` (H', W') and `pixel_size_um` (one number);
- `coefficients` (N, N) of Haar masks as `analysis.offline.haar` describes them, and perhaps `ccd` (H', W'), a picture for
  reference, and `pixel_size_um`.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from analysis.documents.own_data import DataElsewhere, own_dataset
from analysis.offline.haar import COARSEST, coarse_to_fine, haar_masks

_FORMS = "`masks` and `buckets`, or `coefficients` of Haar masks"
MASK_FORMS = {"masks", "buckets", "coefficients"}
"""Names, at least one of which is in such a file."""

_KEYS = ("masks", "buckets", "errors", "reference", "pixel_size_um", "coefficients", "ccd")  # nothing else is read
_LARGEST_HAAR = 128  # 16384 masks of 128x128 pixels are 1 GB


class IngestError(ValueError):
    """A file cannot be ingested; the message names the key and the cure."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """Single-pixel data as they were in a file.

    Attributes
    ----------
    masks : ndarray, float32, (M, H, W)
        The masks.
    buckets : ndarray, float64, (M,)
        The signal of each; may hold NaN, which a reconstruction leaves out.
    errors : ndarray, float64, (M,), or None
        Standard errors of the buckets.
    reference : ndarray, float32, (H', W'), or None
        A picture of the same object.
    pixel_size_um : float or None
        Size of a mask pixel on the object.
    order : ndarray, int64, (M,)
        Realizations in the order in which they are taken.
    """

    masks: np.ndarray
    buckets: np.ndarray
    errors: np.ndarray | None
    reference: np.ndarray | None
    pixel_size_um: float | None
    order: np.ndarray


def read_measurement(path: Path | str) -> Measurement:
    """Read and check a file.

    Raises
    ------
    IngestError
        If it isn't such a file, something is missing, doesn't fit together, or doesn't fit into memory.
    """
    path = Path(path)
    try:
        return _measurement(path)
    except MemoryError as error:
        raise IngestError(f"{path} does not fit into memory ({error}): leave out realizations, or bin the pixels") from error


def _measurement(path: Path) -> Measurement:
    arrays = _arrays(path)
    if "coefficients" in arrays and "masks" not in arrays:
        return _haar(path, arrays)
    missing = [key for key in ("masks", "buckets") if key not in arrays]
    if missing:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise IngestError(
            f"{path} has no {' and no '.join(f'`{key}`' for key in missing)} (found: {found}): it must hold {_FORMS}"
        )
    with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
        masks = _real(path, "masks", arrays["masks"], ndim=3, shape="(M, H, W)").astype(np.float32)
    buckets = _real(path, "buckets", arrays["buckets"], ndim=1, shape="(M,)")
    if masks.size == 0:
        raise IngestError(f"{path}: `masks` is empty, {masks.shape}: give at least one mask of at least one pixel")
    if not np.isfinite(masks).all():
        raise IngestError(
            f"{path}: `masks` holds NaN or infinite values: replace them, or leave out those masks and their buckets"
        )
    if not masks.any():
        raise IngestError(f"{path}: `masks` are zero everywhere: nothing can be seen through them")
    _fits(path, "buckets", buckets, masks)
    if not np.isfinite(buckets).any():
        raise IngestError(f"{path}: `buckets` holds no finite value: give the signal measured with each mask")
    errors = None
    if "errors" in arrays:
        errors = _real(path, "errors", arrays["errors"], ndim=1, shape="(M,)")
        _fits(path, "errors", errors, masks)
        if not (errors[np.isfinite(buckets)] > 0).all():
            raise IngestError(
                f"{path}: `errors` must be positive: give standard errors in the buckets' unit, or leave the key out"
            )
    return Measurement(
        masks, buckets, errors, _reference(path, arrays, "reference"), _pixel_size(path, arrays), np.arange(len(masks))
    )


def _haar(path: Path, arrays: Mapping[str, np.ndarray]) -> Measurement:
    coefficients = _real(path, "coefficients", arrays["coefficients"], ndim=2, shape="(N, N)")
    size = len(coefficients)
    if coefficients.shape != (size, size) or not COARSEST <= size <= _LARGEST_HAAR or size & (size - 1):
        raise IngestError(
            f"{path}: `coefficients` is {coefficients.shape}: Haar coefficients are square, with a power of two from {COARSEST} "
            f"to {_LARGEST_HAAR} along each axis"
        )
    if not np.isfinite(coefficients).any():
        raise IngestError(f"{path}: `coefficients` holds no finite value: give the signal measured with each mask")
    reference, pixel_size_um = _reference(path, arrays, "ccd"), _pixel_size(path, arrays)
    return Measurement(haar_masks(size), coefficients.ravel(), None, reference, pixel_size_um, coarse_to_fine(size))


def _arrays(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise IngestError(f"there is no file {path}")
    try:
        if zipfile.is_zipfile(path):
            return _npz_arrays(path)
        import h5py

        if h5py.is_hdf5(path):
            return _hdf5_arrays(path)
    except (MemoryError, IngestError):
        raise
    except DataElsewhere as error:
        raise IngestError(f"{path} is not read: {error}. Write the data themselves into it") from error
    except Exception as error:  # whatever a damaged file makes of three libraries
        raise IngestError(f"{path} cannot be read ({error}): it is damaged or contains objects; write it again") from error
    raise IngestError(f"{path} is neither an NPZ nor an HDF5 file: write one with {_FORMS}")


def _npz_arrays(path: Path) -> dict[str, Any]:
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
        wanted = [key for key in file.files if key in _KEYS]
        sizes = {member.filename: member.file_size for member in file.zip.infolist()}
        check_memory(sum(sizes.get(f"{key}.npy", 0) for key in wanted))
        return dict.fromkeys(file.files) | {key: file[key] for key in wanted}


def _hdf5_arrays(path: Path) -> dict[str, Any]:
    import h5py
    import hdf5plugin  # noqa: F401  lets h5py read compressed datasets

    with h5py.File(path, "r") as file:
        wanted = {}
        for key in _KEYS:
            with contextlib.suppress(KeyError, TypeError):
                wanted[key] = own_dataset(file, key)
        check_memory(sum(data.nbytes for data in wanted.values()))
        return dict.fromkeys(file) | {key: data[()] for key, data in wanted.items()}


def check_memory(size: int) -> None:
    """Raise MemoryError before something is unpacked that can't fit: a small file may unpack to any size."""
    if size > (available := psutil.virtual_memory().available):
        raise MemoryError(f"its arrays take {size / 1e9:.1f} GB, and {available / 1e9:.1f} GB are free")


def _real(path: Path, key: str, value: Any, *, ndim: int, shape: str) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise IngestError(f"{path}: `{key}` is of type {array.dtype}: it must hold real numbers")
    if array.ndim != ndim:
        raise IngestError(f"{path}: `{key}` has the shape {array.shape}: it must be {shape}")
    return array.astype(np.float64)


def _fits(path: Path, key: str, values: np.ndarray, masks: np.ndarray) -> None:
    if len(values) != len(masks):
        raise IngestError(
            f"{path}: `{key}` has {len(values)} values for {len(masks)} `masks`: give one for each mask, in their order"
        )


def _reference(path: Path, arrays: Mapping[str, np.ndarray], key: str) -> np.ndarray | None:
    if key not in arrays:
        return None
    return _real(path, key, arrays[key], ndim=2, shape="(H, W)").astype(np.float32)


def _pixel_size(path: Path, arrays: Mapping[str, np.ndarray]) -> float | None:
    if "pixel_size_um" not in arrays:
        return None
    value = np.asarray(arrays["pixel_size_um"])
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or value.item() <= 0:
        raise IngestError(f"{path}: `pixel_size_um` must be one positive number, the size of a mask pixel in micrometres")
    return float(value.item())
