"""Weights of trained networks: an NPZ file without pickles, and beside it a card that describes how they were made."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LARGEST_FILE = 2**28
"""Maximum size of weights that are read, packed or unpacked, in bytes: about a hundred times that of the weights in the
package.
"""

SHIPPED = Path(__file__).with_name("ch_mwcnn.npz")
"""The weights of `ch_mwcnn` that are part of the package."""


def save_weights(path: Path, arrays: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> str:
    """Write arrays in half precision, and the card with their SHA-256 as JSON beside them; return the SHA-256."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: array.astype(np.float16) for name, array in arrays.items()})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({**card, "sha256": sha256}, indent=1) + "\n", encoding="utf-8")
    return sha256


def load_weights(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays, float32, of a file of `save_weights`, and the file's SHA-256.

    Raises
    ------
    ValueError
        There are no such weights, there is no card, or the file is not the one that its card describes.
    """
    try:
        content = _content(path)
        wanted = json.loads(_content(path.with_suffix(".json")))["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"no weights in {path}, or no card beside it with their SHA-256 ({error}): {_CURE}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != wanted:
        raise ValueError(f"the weights in {path} have the SHA-256 {sha256}, their card says {wanted}: {_CURE}")
    try:
        unpacked = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(content)).infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not an NPZ file ({error}): {_CURE}") from error
    if unpacked > LARGEST_FILE:
        raise ValueError(f"the weights in {path} unpack to {unpacked:,} bytes; at most {LARGEST_FILE:,} are allowed: {_CURE}")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}, sha256


def _content(path: Path) -> bytes:
    """The bytes of a file whose name may be arbitrary: devices and pipes are not read, nor files that are far too large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a regular file")
    if status.st_size > LARGEST_FILE:
        raise ValueError(f"{path} has {status.st_size:,} bytes; at most {LARGEST_FILE:,} are allowed")
    return path.read_bytes()


_CURE = "install ghostbeam again, or train them again as docs/how_to_train_ch_mwcnn.md tells"
