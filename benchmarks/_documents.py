"""Documents of made-up ghost-imaging scans, as a session would log them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np

from beamline.mask_plate import MaskPlate
from sims.samples import make_sample

PHOTONS = 1e5  # monitor counts an exposure
EXPOSURE_S = 0.1

_UNITS = {"diode_time": "s", "mask_stage_offset_y_um": "um", "mask_stage_offset_x_um": "um"}
_INTEGERS = ("mask_stage_index",)


def ghost_scan_documents(
    plate: MaskPlate, num: int, *, uid: str, seed: int, recipes: list[Any] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a scan of `num` masks; each says that it was measured at the moment when it is asked for.

    Parameters
    ----------
    plate : MaskPlate
        Masks in the beam, in order, from the first again after the last.
    num : int
        Realizations.
    uid : str
        Of the run.
    seed : int
        Of sample and photons.
    recipes : list, optional
        Reconstructions that the run asks for.

    Yields
    ------
    tuple of (str, dict)
        Name and document: start, descriptor, `num` events, stop.
    """
    rng = np.random.default_rng(seed)
    indices = np.arange(num) % len(plate)
    sample = make_sample("chromosomes", plate.shape, seed)
    transmission = np.tensordot(plate.patterns, sample, 2) / sample.size
    yield "start", _start(plate, uid, indices, recipes)
    descriptor = str(uuid.uuid4())
    yield "descriptor", _descriptor(descriptor, uid)
    for number, index in enumerate(indices, start=1):
        y_mm, x_mm = plate.positions_mm[index]
        data = {
            "diode": float(rng.poisson(PHOTONS * transmission[index])),
            "diode_monitor": float(rng.poisson(PHOTONS)),
            "diode_time": EXPOSURE_S,
            "mask_stage_index": int(index),
            "mask_stage_offset_y_um": float(rng.normal(0, 0.1)),
            "mask_stage_offset_x_um": float(rng.normal(0, 0.1)),
            "mask_stage_y": float(y_mm),
            "mask_stage_x": float(x_mm),
        }
        now = time.time()
        head = {"uid": str(uuid.uuid4()), "time": now, "descriptor": descriptor, "seq_num": number, "filled": {}}
        yield "event", {**head, "data": data, "timestamps": dict.fromkeys(data, now)}
    end = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "success", "reason": ""}
    yield "stop", {**end, "num_events": {"primary": num}}


def paced(documents: Iterator[tuple[str, dict[str, Any]]], rate: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same documents, `rate` of them a second: one that comes late does not delay those behind it."""
    began = time.monotonic()
    number = 0
    while True:
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        document = next(documents, None)
        if document is None:
            return
        yield document
        number += 1


def _start(plate: MaskPlate, uid: str, indices: np.ndarray, recipes: list[Any] | None) -> dict[str, Any]:
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
        "sample": "chromosomes",
        "mask_set": plate.identity,
        "ghost": {
            "buckets": ["diode"],
            "monitor": "diode_monitor",
            "time": "diode_time",
            "mask_index": "mask_stage_index",
            "offset": ["mask_stage_offset_y_um", "mask_stage_offset_x_um"],
            "shape": list(plate.shape),
            "pixel_size_um": plate.pixel_size_um,
            "exposure": EXPOSURE_S,
            "dark_stream": None,
            "open_beam_ratio": 1.0,
            "offset_tolerance_um": plate.pixel_size_um / 4,
            "saturation_counts": None,
            "order": "given",
            "indices": indices.tolist() if len(indices) <= len(plate) else None,
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
