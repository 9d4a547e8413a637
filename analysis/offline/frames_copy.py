"""Frames from elsewhere into a file as areaDetector writes it, a window at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from analysis.documents.private import private_folder
from analysis.offline.array_file import ArrayFile
from analysis.offline.ingest_error import IngestError

FRAMES = "/entry/data/data"
NUMBERS = "/entry/instrument/NDAttributes/NDArrayUniqueId"
BAD_PIXELS = "/entry/instrument/detector/pixel_mask"
_CHUNK = 64
_LARGEST_CHUNK = 2**26  # bytes: fewer frames are in a chunk where frames are large


@dataclass(frozen=True, eq=False)
class CopiedFrames:
    """What was written.

    Attributes
    ----------
    chunk : int
        Frames in a chunk.
    dtype : dtype
        Of the frames.
    lit : ndarray, bool, (N,)
        Which frames hold any count.
    full_scale : int
        Frames with a pixel of the largest value of their type that is not bad.
    marked : int
        Pixels that hold this value in every frame with counts: a mark for bad pixels.
    bad_pixels : bool
        Whether bad pixels are stored beside the frames: those that were known, and those so marked.
    corner : bool
        Whether the direct beam, or most of the light, is at the corners rather than at the centre.
    """

    chunk: int
    dtype: np.dtype
    lit: np.ndarray
    full_scale: int
    marked: int
    bad_pixels: bool
    corner: bool


def copy_frames(
    file: ArrayFile,
    name: str,
    num: int,
    path: Path,
    *,
    only: bool = False,
    bad_pixels: np.ndarray | None = None,
    counts: bool = True,
    most_in_chunk: int = _CHUNK,
) -> CopiedFrames:
    """Write the first frames of a data set into a new file, all of it or nothing.

    Parameters
    ----------
    file : ArrayFile
        Where they are.
    name : str
        Their data set, (M, H, W), or (lines, points, H, W).
    num : int
        How many to take, if there are as many.
    path : Path
        The file to write; bitshuffle-LZ4, `/entry/data/data` with the numbers of the frames, from 1, beside it.
    only : bool
        Whether frames that follow are left out on purpose; else they must be zero.
    bad_pixels : ndarray, bool, (H, W), optional
        Stored beside the frames.
    counts : bool
        Whether frames must be counts, whole numbers from 0; else floating-point numbers stay such, as float32.
    most_in_chunk : int
        Most frames in a chunk of the new file.

    Raises
    ------
    IngestError
        If the frames hold nothing, or the file cannot be written.
    """
    entry = file.find(name)
    assert entry is not None
    dtype = _stored_as(entry.dtype, counts)
    height, width = entry.shape[-2:]
    in_file = math.prod(entry.shape[:-2])
    chunk = max(1, min(most_in_chunk, _LARGEST_CHUNK // (height * width * dtype.itemsize)))
    num = min(num, in_file)
    lit, full, total, first = np.zeros(num, dtype=bool), np.zeros(num, dtype=np.int64), np.zeros((height, width)), 0
    always = np.full((height, width), dtype.kind != "f")
    with new_file(path) as copied:
        data, numbers = (
            copied.create_dataset(where, (num, *row), kind, chunks=(chunk, *row), maxshape=(None, *row), **compression)
            for where, row, kind, compression in (
                (FRAMES, (height, width), dtype, hdf5plugin.Bitshuffle(cname="lz4")),
                (NUMBERS, (), "<i8", {}),
            )
        )
        for block in file.frames(name, chunk):
            if only and first >= num:
                break
            images = _images(file, name, block, dtype, first)
            if not only and images[max(0, num - first) :].any():
                raise IngestError(
                    f"{file.path}: {name} holds {in_file} frames, and there are {num} positions: give a position for each "
                    "frame, or leave out the frames that have none"
                )
            images = images[: max(0, num - first)]
            if len(images):
                data[first : first + len(images)] = images
                lit[first : first + len(images)] = images.any(axis=(1, 2))
                if dtype.kind != "f":
                    largest = images == np.iinfo(dtype).max
                    full[first : first + len(images)] = np.count_nonzero(largest, axis=(1, 2))
                    always &= largest[images.any(axis=(1, 2))].all(axis=0)
                total += np.nan_to_num(images).sum(axis=0)
            first += len(block)
        if not lit.any():
            raise IngestError(f"{file.path}: {name} is zero everywhere: name the data set with the counts with --frames")
        numbers[:] = np.arange(1, num + 1)
        if np.count_nonzero(lit) == 1:  # one frame cannot tell
            always[:] = False
        bad = always if bad_pixels is None else bad_pixels | always
        if bad.any() or bad_pixels is not None:
            copied[BAD_PIXELS] = bad.astype(np.uint32)
            total[bad] = 0
    marked = int(np.count_nonzero(always))
    full_scale = int(np.count_nonzero(full[lit] > marked))
    return CopiedFrames(chunk, dtype, lit, full_scale, marked, bad_pixels is not None or bool(marked), _is_at_the_corners(total))


def _stored_as(dtype: np.dtype, counts: bool) -> np.dtype:
    """The type in the new file."""
    if dtype.kind in "iu":
        return dtype.newbyteorder("<")
    if dtype.kind == "b":
        return np.dtype("<u1")
    return np.dtype("<u4" if counts else "<f4")


def _images(file: ArrayFile, name: str, block: np.ndarray, dtype: np.dtype, first: int) -> np.ndarray:
    """A block as it is stored; floating-point numbers that become counts must be whole."""
    if block.dtype.kind == "f" and dtype.kind != "f":
        with np.errstate(invalid="ignore"):
            good = (block >= 0) & (block <= np.iinfo(dtype).max) & (block == np.rint(block))
        if not good.all():
            frame, *pixel = (int(at) for at in np.argwhere(~good)[0])
            raise IngestError(
                f"{file.path}: {name} holds {block[frame, *pixel]:g} in frame {first + frame + 1}, pixel {pixel}: frames must be "
                "counts, which are whole numbers from 0. Scale them back to counts, round, and write 0 for bad pixels"
            )
    return block.astype(dtype)


def _is_at_the_corners(total: np.ndarray) -> bool:
    height, width = total.shape
    centre = (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    return bool(np.fft.fftshift(total)[centre].sum() > total[centre].sum())


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that has its name only once it is whole and on the disk."""
    draft = path.with_suffix(".part")
    try:
        private_folder(path.parent)
        with h5py.File(draft, "w", libver="latest") as file:
            yield file
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise IngestError(f"frames cannot be written to {path} ({error}): make room, or see who may write there") from error
        raise
