"""Documents of synthetic ghost-imaging scans, as a session would log them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.techniques.ghost.mask_sets import MaskSet
from beamline.mask_plate import MaskPlate
from sims.samples import make_sample

PHOTONS = 1e5  # monitor counts per exposure
EXPOSURE_S = 0.1
SPECTRUM = "spectrum"  # data key of `spectra_documents`

_UNITS = {"diode_time": "s", "mask_stage_offset_y_um": "um", "mask_stage_offset_x_um": "um"}
_INTEGERS = ("mask_stage_index",)


def ghost_scan_documents(
    plate: MaskPlate, num: int, *, uid: str, seed: int, recipes: list[Any] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a scan of `num` masks; the time of each is the moment when it is requested.

    Parameters
    ----------
    plate : MaskPlate
        Masks in the beam, in order, from the first again after the last.
    num : int
        Realizations.
    uid : str
        Uid of the run.
    seed : int
        Seed of sample and photons.
    recipes : list, optional
        Reconstructions that the run requests.

    Yields
    ------
    tuple of (str, dict)
        Name and document: start, descriptor, `num` events, stop.
    """
    rng = np.random.default_rng(seed)
    sample = make_sample("chromosomes", plate.shape, seed)
    transmission = np.tensordot(plate.patterns, sample, 2) / sample.size
    diode = rng.poisson(PHOTONS * transmission[np.arange(num) % len(plate)])
    yield from counted_scan_documents(
        plate, diode, rng.poisson(PHOTONS, num), uid=uid, sample="chromosomes", seed=seed, recipes=recipes
    )


def counted_scan_documents(
    masks: MaskPlate | MaskSet,
    diode: np.ndarray,
    monitor: np.ndarray,
    *,
    uid: str,
    sample: str,
    seed: int,
    recipes: list[Any] | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a scan with given counts, in the form of `ghost_scan_documents`.

    Parameters
    ----------
    masks : MaskPlate or MaskSet
        Masks in the beam, in order, from the first again after the last.
    diode, monitor : ndarray, (num,)
        Counts of each realization; their ratio is the mean over pixels of mask times sample.
    uid : str
        Uid of the run.
    sample : str
        Name of the sample.
    seed : int
        Seed of the stage's offsets.
    recipes : list, optional
        Reconstructions that the run requests.
    """
    offsets = np.random.default_rng((seed, 1)).normal(0, 0.1, (len(diode), 2))
    indices = np.arange(len(diode)) % len(masks.patterns)
    yield "start", _start(masks, uid, indices, sample, recipes)
    descriptor = str(uuid.uuid4())
    yield "descriptor", _descriptor(descriptor, uid)
    for number, index in enumerate(indices, start=1):
        y_mm, x_mm = masks.positions_mm[index]
        y_um, x_um = offsets[number - 1]
        data = {
            "diode": float(diode[number - 1]),
            "diode_monitor": float(monitor[number - 1]),
            "diode_time": EXPOSURE_S,
            "mask_stage_index": int(index),
            "mask_stage_offset_y_um": float(y_um),
            "mask_stage_offset_x_um": float(x_um),
            "mask_stage_y": float(y_mm),
            "mask_stage_x": float(x_mm),
        }
        now = time.time()
        head = {"uid": str(uuid.uuid4()), "time": now, "descriptor": descriptor, "seq_num": number, "filled": {}}
        yield "event", {**head, "data": data, "timestamps": dict.fromkeys(data, now)}
    end = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "success", "reason": ""}
    yield "stop", {**end, "num_events": {"primary": len(diode)}}


def spectra_documents(num: int, channels: int, *, uid: str, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a scan with a spectrum of `channels` channels, uint32, at each of `num` points."""
    rng = np.random.default_rng(seed)
    yield "start", {"uid": uid, "time": time.time(), "plan_name": "count", "num_points": num}
    descriptor = str(uuid.uuid4())
    data_keys = {SPECTRUM: {"source": "made up", "dtype": "array", "shape": [channels], "dtype_numpy": "<u4"}}
    keys = {"data_keys": data_keys, "object_keys": {}, "configuration": {}, "hints": {}}
    yield "descriptor", {"uid": descriptor, "run_start": uid, "time": time.time(), "name": "primary", **keys}
    for number in range(1, num + 1):
        now = time.time()
        data = {SPECTRUM: rng.poisson(3.0, channels).astype(np.uint32)}
        head = {"uid": str(uuid.uuid4()), "time": now, "descriptor": descriptor, "seq_num": number, "filled": {}}
        yield "event", {**head, "data": data, "timestamps": {SPECTRUM: now}}
    end = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "success", "reason": ""}
    yield "stop", {**end, "num_events": {"primary": num}}


def paced(documents: Iterator[tuple[str, dict[str, Any]]], rate: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same documents at `rate` per second: a late one does not delay those after it."""
    began = time.monotonic()
    number = 0
    while True:
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        document = next(documents, None)
        if document is None:
            return
        yield document
        number += 1


def _start(masks: MaskPlate | MaskSet, uid: str, indices: np.ndarray, sample: str, recipes: list[Any] | None) -> dict[str, Any]:
    start: dict[str, Any] = {
        "uid": uid,
        "time": time.time(),
        "scan_id": 1,
        "plan_name": "ghost_scan",
        "num_points": len(indices),
        "detectors": ["diode"],
        "motors": ["mask_stage"],
        "technique": "ghost_imaging",
        "hints": {"dimensions": [[["time"], "primary"]]},
        "sample": sample,
        "mask_set": masks.identity,
        "ghost": {
            "buckets": ["diode"],
            "monitor": "diode_monitor",
            "time": "diode_time",
            "mask_index": "mask_stage_index",
            "offset": ["mask_stage_offset_y_um", "mask_stage_offset_x_um"],
            "shape": list(masks.patterns.shape[1:]),
            "pixel_size_um": masks.pixel_size_um,
            "exposure": EXPOSURE_S,
            "dark_stream": None,
            "open_beam_ratio": 1.0,
            "offset_tolerance_um": masks.pixel_size_um / 4,
            "saturation_counts": None,
            "order": "given",
            "indices": indices.tolist() if len(indices) <= len(masks.patterns) else None,
        },
    }
    return start if recipes is None else {**start, "recipes": recipes}


def _descriptor(uid: str, run: str) -> dict[str, Any]:
    keys = ("diode", "diode_monitor", "diode_time", "mask_stage_index", "mask_stage_offset_y_um", "mask_stage_offset_x_um")
    data_keys: dict[str, Any] = {}
    for key in (*keys, "mask_stage_y", "mask_stage_x"):
        whole = key in _INTEGERS
        device = "diode" if key.startswith("diode") else "mask_stage"
        data_keys[key] = {
            "source": f"made:{key}",
            "dtype": "integer" if whole else "number",
            "dtype_numpy": "<i8" if whole else "<f8",
            "shape": [],
            "object_name": device,
        }
        if key in _UNITS:
            data_keys[key]["units"] = _UNITS[key]
    objects = {name: [key for key in data_keys if data_keys[key]["object_name"] == name] for name in ("diode", "mask_stage")}
    configuration: dict[str, Any] = {name: {"data": {}, "data_keys": {}, "timestamps": {}} for name in objects}
    head = {"uid": uid, "run_start": run, "time": time.time(), "name": "primary"}
    return {**head, "data_keys": data_keys, "object_keys": objects, "configuration": configuration, "hints": {}}
