"""Radiographs as a folder of TIFF images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tifffile

from analysis.offline.array_file import Entry
from analysis.offline.ingest_error import IngestError, check_memory

SUFFIXES = (".tif", ".tiff")
FRAMES, DARKS, FLATS, ANGLES = "projections", "darks", "flats", "theta"
_ANGLES_FILE = "angles.txt"
_STARTS = {DARKS: ("dark",), FLATS: ("flat", "white", "open")}


def is_tiff(path: Path) -> bool:
    """Whether a folder holds TIFF files."""
    return any(file.suffix.lower() in SUFFIXES for file in path.iterdir())


class TiffStack:
    """TIFF images as named arrays.

    In a folder the files are taken in the order of the numbers in their names. Those whose names begin with `dark` are dark
    fields, with `flat`, `white` or `open` flat fields, all others radiographs. `angles.txt` holds the angle of each radiograph, a
    line each.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    IngestError
        If it holds no radiograph, or images that do not fit together.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, list[Path]] = {}
        for file in sorted(path.iterdir(), key=by_number):
            if file.suffix.lower() in SUFFIXES:
                name = next((kind for kind, starts in _STARTS.items() if file.name.lower().startswith(starts)), FRAMES)
                self._files.setdefault(name, []).append(file)
        found = {name: _entry_of(of_kind) for name, of_kind in self._files.items()}
        if FRAMES not in found:
            raise IngestError(f"{path} holds no radiographs: all of its TIFF files are dark or flat fields")
        self._angles = _angles(path / _ANGLES_FILE) if (path / _ANGLES_FILE).exists() else None
        if self._angles is not None:
            found[ANGLES] = Entry(self._angles.shape, self._angles.dtype)
        self.entries: Mapping[str, Entry] = found

    def find(self, name: str) -> Entry | None:
        """What is said of an array; None if there is none."""
        return self.entries.get(name)

    def array(self, name: str) -> np.ndarray:
        """A whole array, if it fits into memory."""
        if name == ANGLES:
            assert self._angles is not None
            return self._angles
        entry = self.entries[name]
        check_memory(math.prod(entry.shape) * entry.dtype.itemsize)
        return np.concatenate([*self.frames(name, 64)])

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        """The images in order, as blocks (num, H, W)."""
        block: list[np.ndarray] = []
        for file in self._files[name]:
            with tifffile.TiffFile(file) as tiff:
                for page in tiff.pages:
                    block.append(page.asarray())
                    if len(block) == num:
                        yield np.stack(block)
                        block = []
        if block:
            yield np.stack(block)


def _entry_of(files: list[Path]) -> Entry:
    shapes, dtypes, number = set(), set(), 0
    for file in files:
        with tifffile.TiffFile(file) as tiff:
            for page in tiff.pages:
                shapes.add(page.shape)
                dtypes.add(page.dtype)
                number += 1
    if len(shapes) > 1 or len(dtypes) > 1 or any(len(shape) != 2 for shape in shapes):
        told = " and ".join(str(shape) for shape in sorted(shapes))
        raise IngestError(f"{files[0].parent}: images of {told}, {', '.join(map(str, dtypes))}: they must be grey, and all alike")
    return Entry((number, *shapes.pop()), np.dtype(dtypes.pop()))


def _angles(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, dtype=np.float64, ndmin=1)
    except ValueError as error:
        raise IngestError(f"{path} cannot be read ({error}): write an angle in each line, in degrees") from error


def by_number(path: Path) -> tuple[list[int], str]:
    """The numbers in a file's name, and the name: files are sorted by them."""
    return [int(number) for number in re.findall(r"\d+", path.stem)], path.name
