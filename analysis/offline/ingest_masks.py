"""Masks and buckets measured elsewhere as a run: the same one, whether it is stored or only reconstructed."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.streams import PRIMARY
from analysis.ghost.alignments import quick_image
from analysis.offline.ingest_documents import PLAN_NAME, data_key, descriptor, pages, stop
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints, Measurement, read_measurement
from analysis.offline.mending import Data, mended
from analysis.offline.orientation import orientation_doubt
from analysis.offline.reference_picture import reference_for
from analysis.techniques.ghost.mask_sets import MaskSet

REFERENCE = "reference"

Documents = Iterator[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class MaskFileRun:
    """A run of a file with masks and buckets.

    Attributes
    ----------
    masks : MaskSet
        Ingested masks have no place on a stage, and a pixel without a known size counts as 1 um.
    measurement : Measurement
        What was measured.
    order : array, int64
        The realizations that are used, in their order.
    name : str
        Of the file.
    """

    masks: MaskSet
    measurement: Measurement
    order: np.ndarray
    name: str

    def documents(self, mask_set: str, described: dict[str, Any]) -> Documents:
        """The documents of the run, with the identity of its mask set and further entries of the start document."""
        start = self._start(mask_set) | described
        yield "start", start
        num_events = {PRIMARY: len(self.order)}
        measured = self.measurement
        if measured.reference is not None:
            yield from _stream(start, REFERENCE, {REFERENCE: measured.reference[np.newaxis]})
            num_events[REFERENCE] = 1
        columns = {"mask_index": self.order.astype(np.int64), "bucket": measured.buckets[self.order]}
        if measured.errors is not None:
            columns["bucket_error"] = measured.errors[self.order]
        yield from _stream(start, PRIMARY, columns)
        yield stop(start, num_events)

    def _start(self, mask_set: str) -> dict[str, Any]:
        measured = self.measurement
        return {
            "uid": str(uuid.uuid4()),
            "time": time.time(),
            "plan_name": PLAN_NAME,
            "technique": "ghost_imaging",
            "num_points": len(self.order),
            "compression_ratio": math.prod(measured.masks.shape[1:]) / len(self.order),
            "source_file": self.name,
            "mask_set": mask_set,
            "ghost": {
                "buckets": ["bucket"],
                "errors": None if measured.errors is None else "bucket_error",
                "mask_index": "mask_index",
                "monitor": None,
                "time": None,
                "offset": [],
                "offset_tolerance_um": None,
                "saturation_counts": None,
                "may_be_negative": True,  # what is below zero may be noise, or be named as a mistake, and is never dropped
                "dark_stream": None,
                "open_beam_ratio": None,
                "exposure": None,
                "shape": list(measured.masks.shape[1:]),
                "pixel_size_um": measured.pixel_size_um,
                "order": "given",
                "remarks": list(measured.remarks),
                "doubts": list(measured.doubts),
            },
            "hints": {"dimensions": [[["mask_index"], PRIMARY]]},
        }


def mask_run(path: Path, *, fraction: float = 1.0, hints: Hints = Hints(), mend: Sequence[str] = ()) -> MaskFileRun:  # noqa: B008
    """Read a file with masks and buckets, and mend what is said to be wrong.

    Parameters
    ----------
    path : Path
        As `analysis.offline.ingest_file` describes it.
    fraction : float
        How much of the realizations to use, the first ones (of coefficients those of the coarse scales).
    hints : Hints
        What the file does not say itself.
    mend : sequence of str
        Words of `analysis.offline.mending`.

    Raises
    ------
    IngestError
        If the file is malformed, or a word senseless.
    """
    if not 0 < fraction <= 1:
        raise IngestError(f"the fraction of the realizations must be above 0 and at most 1, not {fraction}")
    measured = read_measurement(path, hints)
    if mend:
        measured = _mended(measured, mend)
    order = measured.order[: math.ceil(fraction * len(measured.order))]
    measured = _held_against_reference(measured, order)
    places = np.zeros((len(measured.masks), 2))
    return MaskFileRun(MaskSet(path.stem, measured.masks, places, measured.pixel_size_um or 1.0), measured, order, path.name)


def _mended(measured: Measurement, mend: Sequence[str]) -> Measurement:
    data = mended(Data(measured.masks, measured.buckets, measured.errors), mend)
    same = len(data.buckets) == len(measured.buckets)
    order = measured.order if same else np.arange(len(data.buckets))
    remarks = (*measured.remarks, f"mended as was said: {', '.join(mend)}")
    return replace(measured, masks=data.masks, buckets=data.buckets, errors=data.errors, order=order, remarks=remarks)


def _held_against_reference(measured: Measurement, order: np.ndarray) -> Measurement:
    """The measurement with a doubt if its image lies otherwise than its reference."""
    if measured.reference is None:
        return measured
    shape = measured.masks.shape[1:]
    reference = reference_for(measured.reference, shape)
    if reference is None:
        reference = reference_for(measured.reference, shape[::-1])  # it may lie across
    if reference is None or not np.isfinite(reference).all():
        return measured
    image = quick_image(measured.masks, measured.buckets, order[np.isfinite(measured.buckets[order])])
    doubt = None if image is None else orientation_doubt(image, reference)
    if doubt is None:
        return measured
    return replace(measured, doubts=(*measured.doubts, doubt))


def _stream(start: dict[str, Any], name: str, columns: dict[str, np.ndarray]) -> Documents:
    told = descriptor(start, name, {key: data_key(column) for key, column in columns.items()})
    yield "descriptor", told
    yield from pages(told, columns)
