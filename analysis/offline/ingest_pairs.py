"""Frame pairs measured elsewhere become a raw run: frames, darks and flats in files of their own."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.frame_folders import frame_folders
from analysis.documents.refusal import RunRefused
from analysis.offline.array_file import ArrayFile, Entry, listing
from analysis.offline.frames_copy import CopiedFrames, copy_frames
from analysis.offline.ingest_documents import PLAN_NAME, frames_stream, stop
from analysis.offline.ingest_error import IngestError
from analysis.techniques.pairs.layout import Layout

PAIRINGS = ("halves", "consecutive")

Documents = Iterator[tuple[str, dict[str, Any]]]
_IMAGE, _NUMBER = "dual_camera_image", "dual_camera_number"
_KNOWN = ("frames", "entry/data/data", "entry/instrument/detector/data")
_SATURATION = "saturation_counts"


@dataclass(frozen=True)
class Pairing:
    """Which images of a file are a pair.

    Parameters
    ----------
    kind : {"halves", "consecutive"}
        The two halves of a frame, or frames 1 and 2, 3 and 4, and so on.
    windows : sequence of (first row, row after the last one, first column, column after the last one)
        The two halves; by default the left and the right half of a frame.
    """

    kind: str
    windows: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        if self.kind not in PAIRINGS:
            raise IngestError(f"there is no pairing {self.kind!r}: say {' or '.join(PAIRINGS)}")
        if self.windows and self.kind != "halves":
            raise IngestError(f"windows of halves have no meaning where pairs are {self.kind}: leave either out")
        if self.windows and (len(self.windows) != 2 or any(len(window) != 4 for window in self.windows)):
            raise IngestError(
                "the halves are two windows of four whole numbers each: first row, row after the last one, first column, column "
                f"after the last one, not {[list(window) for window in self.windows]}"
            )

    def halves(self, shape: tuple[int, int]) -> list[list[int]] | None:
        """The windows in frames of this many rows and columns; None where consecutive frames are pairs."""
        if self.kind == "consecutive":
            return None
        rows, columns = shape
        middle = columns // 2
        return [list(window) for window in self.windows] or [[0, rows, 0, middle], [0, rows, middle, 2 * middle]]


def pair_documents(
    file: ArrayFile,
    pairing: Pairing,
    state_dir: Path,
    *,
    frames: str | None,
    fraction: float,
    described: dict[str, Any],
) -> Documents:
    """Copy the frames of a file below the state directory, and make the documents of a run of them.

    Data sets called `darks` and `flats` become streams of the same run.

    Parameters
    ----------
    file : ArrayFile
        The open file.
    pairing : Pairing
    state_dir : Path
        State directory.
    frames : str, optional
        Name of the data set with the frames, where it is none of those that are known.
    fraction : float
        How much of the series to use, the first frames.
    described : dict
        Further entries of the start document.

    Raises
    ------
    IngestError
        If the frames make no sense; nothing is left behind then.
    """
    name = frames.strip("/") if frames else next((known for known in _KNOWN if file.find(known) is not None), None)
    if name is None:
        raise IngestError(f"{file.path}: no frames were found. Name them with --frames; the file holds {listing(file)}")
    entry = _checked(file, name)
    shape = (int(entry.shape[-2]), int(entry.shape[-1]))
    num = math.ceil(fraction * math.prod(entry.shape[:-2]))
    sources = _streams(file, name, shape)
    start = _start(file, pairing, shape, num, list(sources)) | described
    _check(file, start)
    if entry.dtype.kind == "f":
        start["pairs"]["remarks"].append(
            "frames are floating-point numbers: they are taken as they are, and may be corrected already"
        )
    folder = frame_folders(state_dir)[0].resolve()
    copied: dict[str, tuple[CopiedFrames, Path]] = {}
    try:
        for stream, source in sources.items():
            path = folder / f"ingest_{start['uid']}{'' if stream == 'frames' else f'_{stream}'}.h5"
            count = num if stream == "frames" else math.prod(file.entries[source].shape[:-2])
            taken = copy_frames(file, source, count, path, only=True, counts=False, most_in_chunk=1)
            copied[stream] = taken, path
    except BaseException:
        for _, path in copied.values():
            path.unlink()
        raise
    return _documents(start, shape, copied)


def _start(file: ArrayFile, pairing: Pairing, shape: tuple[int, int], num: int, streams: list[str]) -> dict[str, Any]:
    alone = pairing.kind == "consecutive" and num % 2
    return {
        "uid": str(uuid.uuid4()),
        "time": time.time(),
        "plan_name": PLAN_NAME,
        "technique": "pairs",
        "source_file": file.path.name,
        "num_points": num,
        "pairs": {
            "frames": {"stream": "frames", "image": _IMAGE, "number": _NUMBER},
            "pairing": pairing.kind,
            "halves": pairing.halves(shape),
            "shape": list(shape),
            "darks": "darks" if "darks" in streams else None,
            "flats": "flats" if "flats" in streams else None,
            "static": False,
            "rate_hz": None,
            "exposure_s": None,
            "pixel_um": None,
            "saturation_counts": _saturation(file),
            "remarks": ["the last frame has no partner"] if alone else [],
        },
        "hints": {"dimensions": [[["time"], "frames"]]},
    }


def _check(file: ArrayFile, start: dict[str, Any]) -> None:
    """Raise if there is no pair in such a run."""
    try:
        layout = Layout.of(start)
    except RunRefused as error:
        raise IngestError(f"{file.path}: {error}") from error
    if layout.expected == 0:
        raise IngestError(f"{file.path}: {start['num_points']} frame makes no pair of consecutive frames: give two at least")


def _documents(start: dict[str, Any], shape: tuple[int, int], copied: dict[str, tuple[CopiedFrames, Path]]) -> Documents:
    yield "start", start
    for stream, (frames, path) in copied.items():
        yield from frames_stream(start, stream, (_IMAGE, _NUMBER), shape, frames, path)
    yield stop(start, {stream: len(frames.lit) for stream, (frames, _) in copied.items()})


def _streams(file: ArrayFile, name: str, shape: tuple[int, int]) -> dict[str, str]:
    """Data sets by the streams that they become, in the order in which they were measured."""
    found = {}
    for stream in ("darks", "flats"):
        if stream in file.entries and stream != name:
            size = _checked(file, stream).shape[-2:]
            if size != shape:
                raise IngestError(
                    f"{file.path}: {stream} have {size} pixels, the frames {shape}: give those of the same detector"
                )
            found[stream] = stream
    return found | {"frames": name}


def _checked(file: ArrayFile, name: str) -> Entry:
    entry = file.find(name)
    if entry is None:
        raise IngestError(f"{file.path} has no data set {name}. It holds {listing(file)}")
    if len(entry.shape) not in (3, 4) or 0 in entry.shape:
        raise IngestError(f"{file.path}: {name} is {entry.shape}: frames must be (N, H, W). Name others with --frames")
    if entry.dtype.kind not in "biuf":
        raise IngestError(f"{file.path}: {name} is of type {entry.dtype}: frames must be numbers. Name others with --frames")
    return entry


def _saturation(file: ArrayFile) -> int | None:
    if _SATURATION not in file.entries:
        return None
    value = np.asarray(file.array(_SATURATION))
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or value.item() < 1:
        raise IngestError(f"{file.path}: {_SATURATION} must be one number from 1: the counts from which a pixel is saturated")
    return int(value.item())
