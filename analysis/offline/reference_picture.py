"""A picture of the object that was taken otherwise, in the masks' pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from analysis.offline.ingest_error import IngestError


def reference_for(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a picture in the masks' pixels, float64 (H, W), or None if it can't be binned to them."""
    height, width = (length // wanted for length, wanted in zip(picture.shape, shape, strict=True))
    if picture.shape != (height * shape[0], width * shape[1]) or not picture.size:
        return None
    return picture.reshape(shape[0], height, shape[1], width).mean(axis=(1, 3), dtype=np.float64)


def read_reference(path: Path | str, shape: tuple[int, int]) -> np.ndarray:
    """Read a picture (NPY, or any image that Pillow knows, such as TIFF and PNG) in the masks' pixels, float64 (H, W).

    Raises
    ------
    IngestError
        If it is not a picture, can't be binned to the masks' pixels, or shows nothing.
    """
    path = Path(path)
    if not path.is_file():
        raise IngestError(f"there is no file {path} for a reference")
    try:
        if path.suffix == ".npy":
            picture = np.load(path, allow_pickle=False)
        else:
            from PIL import Image

            with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:  # of tags that don't matter here
                picture = np.asarray(opened if opened.mode in ("L", "I", "F", "I;16") else opened.convert("L"))
        picture = picture.astype(np.float64)
    except Exception as error:  # whatever a damaged file makes of the libraries
        raise IngestError(f"{path} cannot be read as a picture ({error}): give NPY, TIFF or PNG") from error
    binned = reference_for(picture, shape) if picture.ndim == 2 else None
    if binned is None:
        raise IngestError(
            f"{path} has the shape {picture.shape}: a reference must have the masks' {shape[0]}x{shape[1]} pixels, or a whole "
            "multiple of them along each axis; crop or bin it"
        )
    if not np.isfinite(binned).all() or binned.min() == binned.max():
        raise IngestError(f"{path} holds one value alone, or NaN or infinite ones: give a picture of the object")
    return binned
