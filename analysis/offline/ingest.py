"""Data measured elsewhere become a raw run, and are reconstructed like any other."""

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
from analysis.offline.array_file import listing, open_arrays
from analysis.offline.ingest_documents import PLAN_NAME, data_key, descriptor, pages, stop
from analysis.offline.ingest_file import MASK_FORMS, IngestError, Measurement, read_measurement
from analysis.offline.ingest_pairs import Pairing, pair_documents
from analysis.offline.ingest_radiographs import radiograph_documents
from analysis.offline.ingest_scan import scan_documents
from analysis.offline.radiograph_file import find_series
from analysis.offline.scan_file import find_scan
from analysis.techniques import TECHNIQUES
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore

REFERENCE = "reference"

Documents = Iterator[tuple[str, dict[str, Any]]]


def ingest(
    path: Path | str,
    state_dir: Path | str,
    *,
    fraction: float = 1.0,
    sample: str | None = None,
    recipes: Sequence[Recipe] = (),
    frames: str | None = None,
    positions: Sequence[str] = (),
    unit: str | None = None,
    pairing: Pairing | None = None,
) -> str:
    """Store what a file holds and log it as a raw run; returns the run's uid.

    Masks and buckets become a mask set and a run of ghost imaging, frames and positions one of ptychography, projections one of
    radiographs, and frames whose pairing is given a series of frame pairs.

    Parameters
    ----------
    path : Path
        A file, or a folder of TIFF images, as `analysis.offline.ingest_file`, `analysis.offline.scan_file` or
        `analysis.offline.radiograph_file` describe it.
    state_dir : Path
        State directory with the document log, the mask sets and the frames.
    fraction : float
        How much of the realizations or frames to use, the first ones (of Haar coefficients those of the coarse scales): a
        compressed acquisition.
    sample : str, optional
        The sample's name; by default the file's.
    recipes : sequence of Recipe
        How to reconstruct; none leaves it to the worker.
    frames, positions, unit
        Of a file whose names are not known: see `analysis.offline.scan_file.find_scan`.
    pairing : Pairing, optional
        Which images are a pair, of a file with frame pairs.

    Raises
    ------
    IngestError
        If the file is malformed or a parameter is impossible; nothing has been written then.
    LogError
        If the log cannot be written.
    """
    path, state_dir = Path(path), Path(state_dir)
    if not 0 < fraction <= 1:
        raise IngestError(f"the fraction of the data must be above 0 and at most 1, not {fraction}")
    described: dict[str, Any] = {"sample": path.stem if sample is None else sample}
    if recipes:
        described["recipes"] = [recipe.to_doc() for recipe in recipes]
    if pairing is not None and (positions or unit):
        raise IngestError("frame pairs have no positions: leave positions and unit out, or the pairing")
    with open_arrays(path) as file:
        if pairing is not None:
            _check_recipes(path, "pairs", recipes)
            return _log(
                state_dir, pair_documents(file, pairing, state_dir, frames=frames, fraction=fraction, described=described)
            )
        series = None if frames or positions else find_series(file, unit)
        scan = None if series is not None else find_scan(file, frames=frames, positions=positions, unit=unit)
        if series is not None:
            _check_recipes(path, "radiographs", recipes)
            documents = radiograph_documents(file, series, state_dir, fraction=fraction, described=described)
        elif scan is not None:
            _check_recipes(path, "ptychography", recipes)
            documents = scan_documents(file, scan, state_dir, fraction=fraction, described=described)
        elif not MASK_FORMS & set(file.entries):
            raise IngestError(
                f"{path} holds neither masks and buckets nor frames under a known name. Name the frames and their positions with "
                f"--frames and --positions, or say with --pairs which frames are pairs; the file holds {listing(file)}"
            )
    if scan is None and series is None:
        _check_recipes(path, "ghost", recipes)
        documents = _ghost_documents(path, state_dir, fraction, described)
    return _log(state_dir, documents)


def _ghost_documents(path: Path, state_dir: Path, fraction: float, described: dict[str, Any]) -> Documents:
    """Store the masks of a file, and make the documents of a run of it."""
    measurement = read_measurement(path)
    order = measurement.order[: math.ceil(fraction * len(measurement.order))]
    # Ingested masks have no place on a stage, and a pixel without a known size counts as 1 um.
    places = np.zeros((len(measurement.masks), 2))
    masks = MaskSet(path.stem, measurement.masks, places, measurement.pixel_size_um or 1.0)
    start = _start_doc(path, measurement, order, MaskStore(state_dir).save(masks)) | described
    return _mask_documents(start, measurement, order)


def _check_recipes(path: Path, entry: str, recipes: Sequence[Recipe]) -> None:
    """Raise if a method is none of the technique's."""
    methods = TECHNIQUES[entry].methods
    if other := [recipe.method for recipe in recipes if recipe.method not in methods]:
        raise IngestError(f"{path} is reconstructed by {', '.join(methods)}, not by {', '.join(other)}: name one of them")


def _log(state_dir: Path, documents: Documents) -> str:
    writer = LogWriter(log_paths(state_dir).raw)
    try:
        uid = ""
        for name, doc in documents:
            uid = uid or str(doc["uid"])
            writer(name, doc)
    finally:
        writer.close()
    return uid


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


def _mask_documents(start: dict[str, Any], measurement: Measurement, order: np.ndarray) -> Documents:
    yield "start", start
    num_events = {PRIMARY: len(order)}
    if measurement.reference is not None:
        yield from _stream(start, REFERENCE, {REFERENCE: measurement.reference[np.newaxis]})
        num_events[REFERENCE] = 1
    columns = {"mask_index": order.astype(np.int64), "bucket": measurement.buckets[order]}
    if measurement.errors is not None:
        columns["bucket_error"] = measurement.errors[order]
    yield from _stream(start, PRIMARY, columns)
    yield stop(start, num_events)


def _stream(start: dict[str, Any], name: str, columns: dict[str, np.ndarray]) -> Documents:
    told = descriptor(start, name, {key: data_key(column) for key, column in columns.items()})
    yield "descriptor", told
    yield from pages(told, columns)
