"""Images and figures of compared methods as a file of arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.offline.comparison import Comparison
from analysis.offline.ingest_error import IngestError

SUFFIXES = (".npz", ".h5", ".hdf5")
_MADE_BY = "made_by"


def save_comparison(path: Path | str, comparison: Comparison, *, pixel_size_um: float | None = None) -> None:
    """Write `METHOD_image` and `METHOD_spread`, float32 (H, W), for each method, and what they were made with.

    Parameters
    ----------
    path : Path
        NPZ or HDF5, by its suffix.
    comparison : Comparison
        What to write. `METHOD_options` and `METHOD_figures` are JSON.
    pixel_size_um : float, optional
        Written if it is known.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays: dict[str, Any] = {_MADE_BY: "ghostbeam reconstruct"}
    if pixel_size_um is not None:
        arrays["pixel_size_um"] = pixel_size_um
    for one in comparison.done:
        method = one.result.method
        arrays[f"{method}_image"] = one.result.image
        arrays[f"{method}_spread"] = one.result.spread
        arrays[f"{method}_options"] = json.dumps(one.result.options)
        arrays[f"{method}_figures"] = json.dumps(one.figures)
    path = Path(path)
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
        return
    import h5py

    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value


def check_saving(path: Path | str) -> None:
    """Raise IngestError if `save_comparison` should not, or could not, write there."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise IngestError(f"{path} ends in none of {', '.join(SUFFIXES)}: the suffix says in which form to save")
    if not path.parent.is_dir():
        raise IngestError(f"there is no folder {path.parent} to save into: make it first")
    if path.exists() and not _is_own(path):
        raise IngestError(f"{path} exists and was not written by `ghostbeam reconstruct`: choose another name")


def _is_own(path: Path) -> bool:
    try:
        if path.suffix == ".npz":
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return _MADE_BY in file.files
        import h5py

        with h5py.File(path, "r") as file:
            return _MADE_BY in file
    except Exception:  # whatever it is, it is another's
        return False
