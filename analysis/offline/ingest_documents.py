"""Documents of a run whose data come from a file: descriptors, pages of events, and the stop."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from analysis.offline.frames_copy import FRAMES, NUMBERS, CopiedFrames

PLAN_NAME = "ingest"
_EVENTS_A_PAGE = 1000
_OBJECT = "ingest"


def descriptor(start: Mapping[str, Any], stream: str, data_keys: Mapping[str, Any]) -> dict[str, Any]:
    """The descriptor of a stream; the data keys come from the run's file."""
    keys = {key: {"source": f"file:{start['source_file']}", "object_name": _OBJECT, **entry} for key, entry in data_keys.items()}
    return {
        "uid": str(uuid.uuid4()),
        "run_start": start["uid"],
        "time": time.time(),
        "name": stream,
        "data_keys": keys,
        "object_keys": {_OBJECT: list(keys)},
        "configuration": {_OBJECT: {"data": {}, "data_keys": {}, "timestamps": {}}},
        "hints": {_OBJECT: {"fields": [key for key, entry in keys.items() if entry["dtype"] != "array"]}},
    }


def data_key(column: np.ndarray, **further: Any) -> dict[str, Any]:
    """The data key of a column (N, ...)."""
    kind = "array" if column.ndim > 1 else "integer" if column.dtype.kind == "i" else "number"
    return {"dtype": kind, "shape": list(column.shape[1:]), "dtype_numpy": column.dtype.str, **further}


def pages(descriptor: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All rows of columns as pages of events."""
    number = len(next(iter(columns.values())))
    for first in range(0, number, _EVENTS_A_PAGE):
        count = min(_EVENTS_A_PAGE, number - first)
        part = {key: column[first : first + count] for key, column in columns.items()}
        now = [time.time()] * count
        yield (
            "event_page",
            {
                "uid": [str(uuid.uuid4()) for _ in range(count)],
                "descriptor": descriptor["uid"],
                "time": now,
                "seq_num": list(range(first + 1, first + count + 1)),
                "data": {key: list(column) if column.ndim > 1 else column.tolist() for key, column in part.items()},
                "timestamps": dict.fromkeys(columns, now),
                "filled": {},
            },
        )


def frames_stream(
    start: Mapping[str, Any], stream: str, keys: tuple[str, str], shape: Sequence[int], frames: CopiedFrames, path: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of frames that lie in a file of their own, laid out as a detector's.

    Parameters
    ----------
    start : mapping
        The run's start document.
    stream : str
        Name of the stream.
    keys : pair of str
        Data keys of the frames and of their numbers.
    shape : sequence of int
        Rows and columns of a frame.
    frames : CopiedFrames
    path : Path
        The file.
    """
    image_key, number_key = keys
    image = {"dtype": "array", "shape": [1, *shape], "dtype_numpy": frames.dtype.str, "external": "STREAM:", "units": "counts"}
    number = {"dtype": "array", "shape": [1], "dtype_numpy": "<i8", "external": "STREAM:"}
    told = descriptor(start, stream, {image_key: image, number_key: number})
    yield "descriptor", told
    for key, dataset in ((image_key, FRAMES), (number_key, NUMBERS)):
        resource = {
            "uid": str(uuid.uuid4()),
            "run_start": start["uid"],
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{quote(str(path))}",
            "parameters": {"dataset": dataset, "chunk_shape": [frames.chunk]},
        }
        yield "stream_resource", resource
        taken = len(frames.lit)
        yield (
            "stream_datum",
            {
                "uid": f"{resource['uid']}/0",
                "stream_resource": resource["uid"],
                "descriptor": told["uid"],
                "indices": {"start": 0, "stop": taken},
                "seq_nums": {"start": 1, "stop": taken + 1},
            },
        )


def stop(start: Mapping[str, Any], num_events: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
    """The end of a run that is whole."""
    doc = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": start["uid"], "exit_status": "success", "reason": ""}
    return "stop", {**doc, "num_events": dict(num_events)}
