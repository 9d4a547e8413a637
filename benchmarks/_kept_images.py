"""Reconstructions that a long benchmark keeps in files, so that it can be stopped and continued."""

from __future__ import annotations

import hashlib
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import analysis.ghost
import analysis.imaging
from analysis.ghost import reconstruct


def kept_image(directory: Path, name: str, masks: np.ndarray, buckets: np.ndarray, method: str, **options: Any) -> np.ndarray:
    """Return the image of a method, from the directory if the same reconstruction has been done before.

    The file's name ends with a hash of the masks, the buckets, the options and the source code of the methods: if one of them
    changes, the image is reconstructed again.

    Parameters
    ----------
    directory : Path
    name : str
        Begins the file's name, and is printed with the time of the processor.
    masks : ndarray, (M, H, W)
    buckets : ndarray, (M,)
    method : str
    **options
        Of `reconstruct`; they are written as JSON.

    Returns
    -------
    ndarray, float32, (H, W)
    """
    digest = hashlib.sha256(source_code())
    digest.update(json.dumps([method, options, masks.shape], sort_keys=True).encode())
    for array in (masks, buckets):
        digest.update(np.ascontiguousarray(array))
    file = directory / f"{name}_{digest.hexdigest()[:12]}.npy"
    if file.exists():
        return np.load(file)
    started = time.process_time()
    image = reconstruct(masks, buckets, method, **options).image
    np.save(file, image)
    print(f"  {name}: {time.process_time() - started:.0f} s of the processor", flush=True)
    return image


@cache
def source_code() -> bytes:
    """Return a hash of the source code of all ghost imaging methods."""
    digest = hashlib.sha256()
    for package in (analysis.ghost, analysis.imaging):
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("*.py")):
                digest.update(file.name.encode() + file.read_bytes())
    return digest.digest()
