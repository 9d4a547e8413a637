"""Radiographs measured elsewhere become a raw run: images in a file of their own, angles in the log."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import hdf5plugin
import numpy as np

from analysis.documents.frame_folders import frame_folders
from analysis.offline.array_file import ArrayFile
from analysis.offline.frames_copy import FRAMES, NUMBERS, new_file
from analysis.offline.ingest_documents import PLAN_NAME, data_key, descriptor, pages, stop
from analysis.offline.radiograph_file import Part, Series

Documents = Iterator[tuple[str, dict[str, Any]]]
_IMAGE, _NUMBER = "camera_image", "camera_number"
_ANGLE_NUMBER, _ANGLE = "angle_number", "angle"
_CHUNK_BYTES = 2**22  # images in a chunk


def radiograph_documents(
    file: ArrayFile, series: Series, state_dir: Path, *, fraction: float, described: dict[str, Any]
) -> Documents:
    """Copy radiographs, dark and flat fields below the state directory, and make the documents of a run of them.

    Parameters
    ----------
    file : ArrayFile
        The open file.
    series : Series
        What was found in it.
    state_dir : Path
        State directory.
    fraction : float
        How much of the series to use, the first radiographs.
    described : dict
        Further entries of the start document.

    Raises
    ------
    IngestError
        If the file cannot be written; nothing is left behind then.
    """
    uid = str(uuid.uuid4())
    path = frame_folders(state_dir)[0].resolve() / f"ingest_{uid}.h5"
    num = math.ceil(fraction * series.num)
    # Those that correct come first, so that the first radiograph can be corrected.
    counts: dict[str, int] = {}
    purposes = sorted(series.parts, key=lambda purpose: purpose == "frames")
    dtype, chunk = _dtype(file, series), max(1, min(64, _CHUNK_BYTES // (4 * math.prod(series.shape))))
    with new_file(path) as copied:
        for purpose in purposes:
            images, numbers = _datasets(purpose)
            data = copied.create_dataset(
                images,
                (0, *series.shape),
                dtype,
                chunks=(chunk, *series.shape),
                maxshape=(None, *series.shape),
                **hdf5plugin.Bitshuffle(cname="lz4"),
            )
            counts[purpose] = _append(data, file, series.parts[purpose], num if purpose == "frames" else None)
            copied.create_dataset(numbers, data=np.arange(1, counts[purpose] + 1, dtype="<i8"))
    return _documents(uid, file, series, path, counts, dtype, chunk, described)


def _datasets(purpose: str) -> tuple[str, str]:
    """Data sets of images and numbers: a stream is served from the beginning of its own."""
    return (FRAMES, NUMBERS) if purpose == "frames" else (f"/entry/{purpose}/data", f"/entry/{purpose}/number")


def _dtype(file: ArrayFile, series: Series) -> np.dtype:
    """One type that holds the images of all parts."""
    kinds = [entry.dtype for part in series.parts.values() if (entry := file.find(part.name)) is not None]
    common = np.result_type(*kinds)
    return np.dtype("<f4") if common.kind == "f" else np.dtype("<u1") if common.kind == "b" else common.newbyteorder("<")


def _append(data: h5py.Dataset, file: ArrayFile, part: Part, limit: int | None) -> int:
    """Write the images of a part behind those that are there; returns how many there were."""
    first, taken = 0, 0
    for block in file.frames(part.name, data.chunks[0]):
        rows = np.arange(first, first + len(block))
        chosen = block if part.rows is None else block[np.isin(rows, part.rows)]
        first += len(block)
        if limit is not None:
            chosen = chosen[: limit - taken]
        if len(chosen):
            data.resize(len(data) + len(chosen), axis=0)
            data[len(data) - len(chosen) :] = chosen
            taken += len(chosen)
    return taken


def _documents(
    uid: str,
    file: ArrayFile,
    series: Series,
    path: Path,
    counts: Mapping[str, int],
    dtype: np.dtype,
    chunk: int,
    described: dict[str, Any],
) -> Documents:
    start = {
        "uid": uid,
        "time": time.time(),
        "plan_name": PLAN_NAME,
        "technique": "radiographs",
        "source_file": file.path.name,
        "num_points": counts["frames"],
        "radiographs": {
            "frames": {"stream": "frames", "image": _IMAGE, "number": _NUMBER},
            "shape": list(series.shape),
            "darks": "darks" if "darks" in counts else None,
            "flats": "flats" if "flats" in counts else None,
            "static": "static" if "static" in counts else None,
            "angles": None if series.angles_deg is None else {"stream": "angles", "number": _ANGLE_NUMBER, "angle": _ANGLE},
            "kernel": None,
            "rate_hz": None,
            "exposure_s": None,
            "pixel_um": None,
            "saturation_counts": None,
            "remarks": list(series.remarks),
        },
        "hints": {"dimensions": [[[_ANGLE], "angles"]] if series.angles_deg is not None else []},
    } | described
    yield "start", start
    image = {"dtype": "array", "shape": [1, *series.shape], "dtype_numpy": dtype.str, "external": "STREAM:", "units": "counts"}
    number = {"dtype": "array", "shape": [1], "dtype_numpy": "<i8", "external": "STREAM:"}
    for stream, count in counts.items():
        told = descriptor(start, stream, {_IMAGE: image, _NUMBER: number})
        yield "descriptor", told
        for key, dataset in zip((_IMAGE, _NUMBER), _datasets(stream), strict=True):
            yield from _in_file(start, told, key, dataset, path, chunk, count)
    events = dict(counts)
    if series.angles_deg is not None:
        angles = series.angles_deg[: counts["frames"]]
        columns = {_ANGLE_NUMBER: np.arange(1, len(angles) + 1), _ANGLE: angles}
        units = {_ANGLE_NUMBER: {}, _ANGLE: {"units": "deg"}}
        told = descriptor(start, "angles", {key: data_key(column, **units[key]) for key, column in columns.items()})
        yield "descriptor", told
        yield from pages(told, columns)
        events["angles"] = len(angles)
    yield stop(start, events)


def _in_file(
    start: Mapping[str, Any], told: Mapping[str, Any], key: str, dataset: str, path: Path, chunk: int, count: int
) -> Documents:
    resource = {
        "uid": str(uuid.uuid4()),
        "run_start": start["uid"],
        "data_key": key,
        "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{quote(str(path))}",
        "parameters": {"dataset": dataset, "chunk_shape": [chunk]},
    }
    yield "stream_resource", resource
    yield (
        "stream_datum",
        {
            "uid": f"{resource['uid']}/0",
            "stream_resource": resource["uid"],
            "descriptor": told["uid"],
            "indices": {"start": 0, "stop": count},
            "seq_nums": {"start": 1, "stop": count + 1},
        },
    )
