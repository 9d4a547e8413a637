"""References: data that a reconstruction needs beside its run, stored under the hash of their content.

They are mask sets, probes, kernels, flat fields and trained weights. A run's start document or a recipe names the hash; if a
reference is missing or differs, a reconstruction waits for it or refuses the run. The store is local and works while all
servers are down; the archiver copies it to Tiled, one container per kind.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.private import private_folder

FOLDERS = {"mask_set": "masks", "probe": "probes", "kernel": "kernels", "flat_field": "flat_fields", "weights": "weights"}
"""The kinds of references, and the folder and container of each."""

_PART = 2**20  # values hashed at a time
_NAME, _RUNS = "name", "runs"  # entries of a file that are not part of the content


class ReferenceMissing(LookupError):
    """The store has no reference with this identity."""


class ReferenceDiffers(ValueError):
    """A stored reference does not match its identity."""


@dataclass(frozen=True)
class ReferenceName:
    """A reference by its kind, a key of `FOLDERS`, and its identity."""

    kind: str
    identity: str


@dataclass(frozen=True, eq=False)
class Reference:
    """Arrays and numbers with an identity.

    Parameters
    ----------
    kind : str
        A key of `FOLDERS`.
    arrays : mapping of str to ndarray
        The content. The shapes of all arrays follow from that of the first by name.
    attributes : mapping
        Numbers and text that belong to the content.
    name : str
        Name for display; not part of the content.
    runs : tuple of str
        Uids of the runs with which it was measured; not part of the content.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    runs: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """sha256 of the content."""
        arrays = [array for _, array in sorted(self.arrays.items())]
        header = json.dumps({"shape": list(arrays[0].shape), **self.attributes}, sort_keys=True)
        digest = hashlib.sha256(header.encode())
        for array in arrays:
            for part in _parts(array):
                digest.update(part.data)
        return digest.hexdigest()


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array in parts of some MB. Bits and bytes count as what they are in single precision, whose identity they share."""
    narrow = array.dtype.kind in "biu" and array.dtype.itemsize == 1
    rows = max(1, _PART // max(1, array[:1].size))
    for first in range(0, len(array), rows):
        yield np.ascontiguousarray(array[first : first + rows], dtype="<f4" if narrow else None)


class ReferenceStore:
    """References as `<folder of the kind>/<identity>.npz` below a state directory."""

    def __init__(self, state_dir: Path | str) -> None:
        self.state_dir = Path(state_dir)

    def save(self, reference: Reference) -> str:
        """Store a reference (once) and return its identity."""
        identity = reference.identity
        path = self.path(ReferenceName(reference.kind, identity))
        if not path.exists():
            private_folder(path.parent)
            entries: dict[str, Any] = {name: np.array(value) for name, value in reference.attributes.items()}
            entries |= {**reference.arrays, _NAME: np.array(reference.name), _RUNS: np.array(json.dumps(reference.runs))}
            # Written to a temporary file and renamed: a reader never sees half a file, nor does a crash leave one under the
            # final name.
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                np.savez_compressed(file, **entries)
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, path)
        return identity

    def load(self, name: ReferenceName) -> Reference:
        """The reference of this identity, its content checked against it.

        Raises
        ------
        ReferenceMissing
            If it is not in the store.
        ReferenceDiffers
            If the file is damaged or holds something else.
        """
        path, called = self.path(name), name.kind.replace("_", " ")
        if not path.exists():
            raise ReferenceMissing(f"{called} {name.identity[:12]} is not in {path.parent}: save it there")
        arrays: dict[str, np.ndarray] = {}
        attributes: dict[str, Any] = {}
        try:
            # Opened here, because numpy leaves a damaged file open.
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                for key in file.files:
                    value = file[key]
                    if value.ndim:
                        arrays[key] = value
                    else:
                        attributes[key] = value.item()
            title, runs = str(attributes.pop(_NAME)), tuple(json.loads(attributes.pop(_RUNS, "[]")))
            reference = Reference(name.kind, arrays, attributes, title, runs)
            differs = reference.identity != name.identity
        except Exception as error:  # a damaged file may raise any error in zipfile, zlib or numpy
            raise ReferenceDiffers(f"{called} file {path} cannot be read ({error}): delete it and save it again") from error
        if differs:
            raise ReferenceDiffers(f"{called} file {path} has other content than its name says: delete it and save it again")
        return reference

    def path(self, name: ReferenceName) -> Path:
        """The path of a reference, stored or not.

        Raises
        ------
        ReferenceMissing
            If the kind or the identity is invalid.
        """
        if name.kind not in FOLDERS:
            raise ReferenceMissing(f"there are no references of the kind {name.kind!r}; the kinds are {', '.join(FOLDERS)}")
        if not (len(name.identity) == 64 and set(name.identity) <= set("0123456789abcdef")):
            raise ReferenceMissing(
                f"{name.identity!r} is not the identity of a {name.kind.replace('_', ' ')} (64 hexadecimal digits)"
            )
        return self.state_dir / FOLDERS[name.kind] / f"{name.identity}.npz"

    def stamp(self, name: ReferenceName) -> tuple[float, int] | None:
        """An identification of the present state of a reference's file; None if there is no file."""
        try:
            stat = self.path(name).stat()
        except (OSError, ReferenceMissing):
            return None
        return stat.st_mtime, stat.st_size

    def names(self) -> list[ReferenceName]:
        """All stored references."""
        return [
            ReferenceName(kind, path.stem)
            for kind, folder in FOLDERS.items()
            for path in sorted((self.state_dir / folder).glob("*.npz"))
        ]
