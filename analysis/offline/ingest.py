"""Data measured elsewhere become a mask set and a raw run, and are reconstructed like any other."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.streams import PRIMARY
from analysis.offline.ingest_file import IngestError, Measurement, read_measurement
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore

PLAN_NAME = "ingest"
REFERENCE = "reference"
_EVENTS_A_PAGE = 1000
_OBJECT = "ingest"


def ingest(
    path: Path | str, state_dir: Path | str, *, fraction: float = 1.0, sample: str | None = None, recipes: Sequence[Recipe] = ()
) -> str:
    """Store a file's masks and log its realizations as a raw run; returns the run's uid.

    Parameters
    ----------
    path : Path
        An NPZ or HDF5 file as `analysis.offline.ingest_file` describes it.
    state_dir : Path
        State directory with the document log and the mask sets.
    fraction : float
        How much of the realizations to use, the first ones (of Haar coefficients those of the coarse scales): a compressed
        acquisition.
    sample : str, optional
        The sample's name; by default the file's.
    recipes : sequence of Recipe
        How to reconstruct; none leaves it to the worker.

    Raises
    ------
    IngestError
        If the file is malformed, or the fraction makes no sense; nothing has been written then.
    LogError
        If the log cannot be written.
    """
    path = Path(path)
    if not 0 < fraction <= 1:
        raise IngestError(f"the fraction of the realizations must be above 0 and at most 1, not {fraction}")
    measurement = read_measurement(path)
    order = measurement.order[: math.ceil(fraction * len(measurement.order))]
    # Ingested masks have no place on a stage, and a pixel without a known size counts as 1 um.
    positions = np.zeros((len(measurement.masks), 2))
    masks = MaskSet(path.stem, measurement.masks, positions, measurement.pixel_size_um or 1.0)
    identity = MaskStore(state_dir).save(masks)
    start = _start_doc(path, measurement, order, identity)
    start["sample"] = path.stem if sample is None else sample
    if recipes:
        start["recipes"] = [recipe.to_doc() for recipe in recipes]
    writer = LogWriter(log_paths(state_dir).raw)
    try:
        for name, doc in _documents(start, measurement, order):
            writer(name, doc)
    finally:
        writer.close()
    return str(start["uid"])


def _start_doc(path: Path, measurement: Measurement, order: np.ndarray, identity: str) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "time": time.time(),
        "plan_name": PLAN_NAME,
        "technique": "ghost_imaging",
        "num_points": len(order),
        "compression_ratio": measurement.masks[0].size / len(order),
        "source_file": path.name,
        "mask_set": identity,
        "ghost": {
            "buckets": ["bucket"],
            "errors": None if measurement.errors is None else "bucket_error",
            "mask_index": "mask_index",
            "monitor": None,
            "time": None,
            "offset": [],
            "offset_tolerance_um": None,
            "saturation_counts": None,
            "dark_stream": None,
            "open_beam_ratio": None,
            "exposure": None,
            "shape": list(measurement.masks.shape[1:]),
            "pixel_size_um": measurement.pixel_size_um,
            "order": "given",
        },
        "hints": {"dimensions": [[["mask_index"], PRIMARY]]},
    }


def _documents(start: dict[str, Any], measurement: Measurement, order: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "start", start
    num_events = {PRIMARY: len(order)}
    if measurement.reference is not None:
        columns = {REFERENCE: measurement.reference[np.newaxis]}
        descriptor = _descriptor(start, REFERENCE, columns)
        yield "descriptor", descriptor
        yield "event_page", _page(descriptor, columns, first=1)
        num_events[REFERENCE] = 1
    columns = {"mask_index": order.astype(np.int64), "bucket": measurement.buckets[order]}
    if measurement.errors is not None:
        columns["bucket_error"] = measurement.errors[order]
    descriptor = _descriptor(start, PRIMARY, columns)
    yield "descriptor", descriptor
    for first in range(0, len(order), _EVENTS_A_PAGE):
        part = {key: column[first : first + _EVENTS_A_PAGE] for key, column in columns.items()}
        yield "event_page", _page(descriptor, part, first=first + 1)
    stop = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": start["uid"], "exit_status": "success", "reason": ""}
    yield "stop", {**stop, "num_events": num_events}


def _descriptor(start: dict[str, Any], stream: str, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    data_keys: dict[str, Any] = {}
    for key, column in columns.items():
        kind = "array" if column.ndim > 1 else "integer" if column.dtype.kind == "i" else "number"
        data_keys[key] = {
            "source": f"file:{start['source_file']}",
            "dtype": kind,
            "shape": list(column.shape[1:]),
            "dtype_numpy": column.dtype.str,
            "object_name": _OBJECT,
        }
    return {
        "uid": str(uuid.uuid4()),
        "run_start": start["uid"],
        "time": time.time(),
        "name": stream,
        "data_keys": data_keys,
        "object_keys": {_OBJECT: list(columns)},
        "configuration": {_OBJECT: {"data": {}, "data_keys": {}, "timestamps": {}}},
        "hints": {_OBJECT: {"fields": [key for key in columns if key != REFERENCE]}},
    }


def _page(descriptor: dict[str, Any], columns: dict[str, np.ndarray], *, first: int) -> dict[str, Any]:
    count = len(next(iter(columns.values())))
    now = [time.time()] * count
    return {
        "uid": [str(uuid.uuid4()) for _ in range(count)],
        "descriptor": descriptor["uid"],
        "time": now,
        "seq_num": list(range(first, first + count)),
        "data": {key: list(column) if column.ndim > 1 else column.tolist() for key, column in columns.items()},
        "timestamps": dict.fromkeys(columns, now),
        "filled": {},
    }
