"""Masks and buckets in files beside each other: NPY, tables of text, and masks as images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tifffile

from analysis.offline.array_file import Entry, blocks
from analysis.offline.ingest_error import IngestError, check_memory
from analysis.offline.mask_forms import KEYS
from analysis.offline.text_table import read_table
from analysis.offline.tiff_stack import by_number

_TABLES = (".csv", ".txt", ".dat", ".tsv")
LOOSE = (".npy", *_TABLES)
"""Endings of files that hold one array each, or a table."""

_IMAGES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg")
_KNOWN = [name for key, names in KEYS.items() if key != "transform" for name in names]  # its name is no number


def holds_buckets(path: Path) -> bool:
    """Whether a folder holds a file with buckets, so that its images are masks."""
    return any(file.suffix.lower() in LOOSE and file.stem.lower() in KEYS["buckets"] for file in path.iterdir())


class MaskFolder:
    """The arrays of a folder by the names of their files.

    Each NPY file, and each table of text, is an array; a table with a line of headings is one a column. Images in the folder, or
    in a folder `masks` within it, are the masks, in the order of the numbers in their names.

    Parameters
    ----------
    path : Path
        The folder.
    chosen : Path, optional
        The file in it that was named; then other files count only if they are called as a key. If its own name is none, it
        holds the masks if it has three axes, else the buckets.

    Raises
    ------
    IngestError
        If a table or an image cannot be read, or images differ in size.
    """

    def __init__(self, path: Path, chosen: Path | None = None) -> None:
        self.path = path if chosen is None else chosen
        self._files: dict[str, Path] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._images: list[Path] = []
        for file in sorted(path.iterdir()):
            called = file.stem.lower()
            if file.suffix.lower() in LOOSE and (chosen is None or file == chosen or called in _KNOWN):
                self._take(file, named=called in _KNOWN or chosen is None)
        if not any(name in self._arrays or name in self._files for name in (*KEYS["masks"], *KEYS["coefficients"])):
            self._take_images(path)
        self.entries: Mapping[str, Entry] = {
            **{name: Entry(array.shape, array.dtype) for name, array in self._arrays.items()},
            **{name: _npy_entry(file) for name, file in self._files.items()},
        }

    def find(self, name: str) -> Entry | None:
        """What is said of an array; None if there is none."""
        return self.entries.get(name)

    def array(self, name: str) -> np.ndarray:
        """A whole array, if it fits into memory."""
        if name in self._arrays:
            return self._arrays[name]
        check_memory(self._files[name].stat().st_size)
        array: np.ndarray = np.load(self._files[name], allow_pickle=False)
        return array

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        """The frames of an array (..., H, W) in order, as blocks (num, H, W)."""
        return blocks(self.array(name), num)

    def _take(self, file: Path, *, named: bool) -> None:
        if file.suffix.lower() == ".npy":
            many = len(_npy_entry(file).shape) > 2
            self._files[file.stem if named else "masks" if many else "buckets"] = file
            return
        table, headings = read_table(file)
        self._arrays |= {heading: table[:, number] for number, heading in enumerate(headings) if heading}
        if not {heading.lower() for heading in headings} & set(_KNOWN):
            self._arrays[file.stem if named else "buckets"] = table[:, 0] if table.shape[1] == 1 else table

    def _take_images(self, path: Path) -> None:
        folder = next((path / name for name in ("masks", "Masks", "patterns") if (path / name).is_dir()), path)
        files = [file for file in folder.iterdir() if file.suffix.lower() in _IMAGES and file.stem.lower() != "reference"]
        files.sort(key=by_number)
        if not files:
            return
        images = [image for file in files for image in _pages(file)]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise IngestError(f"{folder}: its images are of {' and '.join(map(str, sorted(shapes)))} pixels: masks must be alike")
        self._arrays["masks"] = np.stack(images)


def _npy_entry(file: Path) -> Entry:
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    return Entry(array.shape, array.dtype)


def _pages(file: Path) -> list[np.ndarray]:
    """The images of a file, of which TIFF may hold many."""
    import imageio.v3 as imageio

    try:
        if file.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(file) as stack:
                return [_grey(file, page.asarray()) for page in stack.pages]
        return [_grey(file, np.asarray(imageio.imread(file)))]
    except IngestError:
        raise
    except Exception as error:  # whatever a damaged file makes of the libraries
        raise IngestError(f"{file} cannot be read as an image ({error}): give masks as grey PNG or TIFF images") from error


def _grey(file: Path, image: np.ndarray) -> np.ndarray:
    if image.ndim == 3 and image.shape[-1] in (2, 3, 4):
        colours = image[..., : 1 if image.shape[-1] == 2 else 3]
        if (colours == colours[..., :1]).all():  # grey in several channels; transparency says nothing
            return np.asarray(colours[..., 0])
    if image.ndim != 2:
        raise IngestError(f"{file} has the shape {image.shape}: a mask must be a grey image")
    return image
