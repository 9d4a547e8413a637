"""A ptychographic scan measured elsewhere becomes a raw run: frames in a file of their own, positions in the log."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.frame_folders import frame_folders
from analysis.offline.array_file import ArrayFile
from analysis.offline.frames_copy import BAD_PIXELS, CopiedFrames, copy_frames
from analysis.offline.ingest_documents import PLAN_NAME, data_key, descriptor, frames_stream, pages, stop
from analysis.offline.ingest_error import IngestError
from analysis.offline.scan_file import Scan
from analysis.offline.scan_grid import scan_grid

Documents = Iterator[tuple[str, dict[str, Any]]]
_IMAGE, _NUMBER = "pixel_detector_image", "pixel_detector_number"
_POSITION_NUMBER, _Y, _X = "position_number", "position_y", "position_x"


def scan_documents(file: ArrayFile, scan: Scan, state_dir: Path, *, fraction: float, described: dict[str, Any]) -> Documents:
    """Copy the frames of a scan below the state directory, and make the documents of a run of it.

    Parameters
    ----------
    file : ArrayFile
        The open file.
    scan : Scan
        What was found in it.
    state_dir : Path
        State directory.
    fraction : float
        How much of the scan to use, the first frames.
    described : dict
        Further entries of the start document.

    Raises
    ------
    IngestError
        If the frames make no sense; nothing is left behind then.
    """
    places = scan.positions_um[: math.ceil(fraction * len(scan.positions_um))]
    uid = str(uuid.uuid4())
    path = frame_folders(state_dir)[0].resolve() / f"ingest_{uid}.h5"
    frames = copy_frames(file, scan.frames, len(places), path, only=fraction < 1, bad_pixels=scan.bad_pixels)
    try:
        start = _start(uid, file, scan, places, frames) | described
    except IngestError:
        path.unlink()
        raise
    return _documents(start, places, frames, path)


def _start(uid: str, file: ArrayFile, scan: Scan, places: np.ndarray, frames: CopiedFrames) -> dict[str, Any]:
    entry = file.find(scan.frames)
    assert entry is not None
    known = dict(scan.known)
    taken = len(frames.lit)
    used = places[:taken][frames.lit]
    used = used[np.isfinite(used).all(axis=1)]
    if not len(used):
        raise IngestError(f"{file.path}: no frame that holds counts has a position: see how both belong together")
    remarks = [*scan.remarks, *_remarks(math.prod(entry.shape[:-2]), places, frames, scan)]
    far = known["geometry"] != "near_field"
    return {
        "uid": uid,
        "time": time.time(),
        "plan_name": PLAN_NAME,
        "technique": "ptychography",
        "source_file": file.path.name,
        "num_points": len(places),
        "ptychography": {
            "frames": {"stream": "frames", "image": _IMAGE, "number": _NUMBER},
            "positions": {
                "stream": "positions",
                "number": _POSITION_NUMBER,
                "y": _Y,
                "x": _X,
                "monitor": None,
                "time": None,
            },
            "shape": list(entry.shape[-2:]),
            "grid": scan_grid(used[:, 0], used[:, 1]),
            "rate_hz": None,
            "exposure_s": None,
            **known,
            "zero_frequency": ("corner" if frames.corner else "centre") if far else None,
            "bad_pixels": BAD_PIXELS if frames.bad_pixels else None,
            "remarks": remarks,
        },
        "hints": {"dimensions": [[[_Y, _X], "positions"]]},
    }


def _remarks(in_file: int, places: np.ndarray, frames: CopiedFrames, scan: Scan) -> list[str]:
    taken, remarks = len(frames.lit), []
    if taken < len(places):
        remarks.append(f"there are {len(places)} positions and {taken} frames: the first {taken} are taken to belong together")
    if in_file > len(scan.positions_um):
        remarks.append(f"the file has room for {in_file} frames; those after the {len(places)} positions are left out")
    if dark := int(np.count_nonzero(~frames.lit)):
        remarks.append(f"{dark} frames hold no count at all: they are not used")
    largest = f"{np.iinfo(frames.dtype).max}, the largest value of their type"
    if frames.marked:
        remarks.append(f"{frames.marked} pixels hold {largest}, in every frame: they are taken as bad")
    if frames.full_scale:
        remarks.append(f"{frames.full_scale} frames hold {largest}, in other pixels: these are taken as saturated")
    if scan.bad_pixels is not None and (bad := int(np.count_nonzero(scan.bad_pixels))):
        remarks.append(f"{bad} pixels are marked as bad: they are in the frames, and are not used")
    return remarks


def _documents(start: dict[str, Any], places: np.ndarray, frames: CopiedFrames, path: Path) -> Documents:
    yield "start", start
    shape, taken = start["ptychography"]["shape"], len(frames.lit)
    yield from frames_stream(start, "frames", (_IMAGE, _NUMBER), shape, frames, path)
    columns = {_POSITION_NUMBER: np.arange(1, len(places) + 1), _Y: places[:, 0], _X: places[:, 1]}
    units = {_POSITION_NUMBER: {}, _Y: {"units": "um"}, _X: {"units": "um"}}
    told = descriptor(start, "positions", {key: data_key(column, **units[key]) for key, column in columns.items()})
    yield "descriptor", told
    yield from pages(told, columns)
    yield stop(start, {"frames": taken, "positions": len(places)})
