"""Documents of a run whose data come from a file: descriptors, pages of events, and the stop."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

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


def stop(start: Mapping[str, Any], num_events: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
    """The end of a run that is whole."""
    doc = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": start["uid"], "exit_status": "success", "reason": ""}
    return "stop", {**doc, "num_events": dict(num_events)}
