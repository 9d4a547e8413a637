"""Made-up raster scans, as documents: a pencil beam over a square of iron and a bar of copper."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from made_runs import Documents
from spectral_runs import BEAM_KEV, ELEMENTS, spectrometer

from sims.fluorescence import BINS

SHAPE = (8, 8)
STEP_UM = 10.0
_KEYS = {"monitor": "diode_monitor", "y": "place_y_um", "x": "place_x_um"}
_SPECTRA = {"counts": "xrf_spectra", "real_time": "xrf_real_time", "live_time": "xrf_live_time"}


def raster_run(
    num: int = 64, *, detectors: int = 2, spectra: bool = True, values: dict[int, dict[str, Any]] | None = None, **entry: Any
) -> Documents:
    """A scan in lines; the last one is short if `num` is no multiple of 8, and after 64 points it begins again.

    `values` replaces readings: {seq_num: {key: value}}.
    """
    rng, uid = np.random.default_rng(7), str(uuid.uuid4())
    detector = spectrometer(detectors, 0, SHAPE)
    side = [-35.0, 35.0, 8]
    start: dict[str, Any] = {
        "uid": uid,
        "time": 1.0,
        "plan_name": "raster_scan",
        "technique": "raster",
        "num_points": SHAPE[0] * SHAPE[1],
        "raster": {
            "stream": "primary",
            "buckets": ["diode"],
            **_KEYS,
            "spectra": None,
            "grid": {"y_um": side, "x_um": side, "snake": False},
            "mode": "step",
            "exposure": 1.0,
            "beam_um": 10.0,
            **entry,
        },
    }
    if spectra:
        start["raster"]["spectra"] = {
            **_SPECTRA,
            "detector_elements": detectors,
            "bins": BINS,
            "elements": ELEMENTS,
            "energy_kev": BEAM_KEV,
            "offset_kev": 0.0,
            "slope_kev": 0.005,
            "lowest_kev": 1.0,
            "buckets": "fit",
        }
    number = {"source": "made", "dtype": "number", "shape": [], "dtype_numpy": "<f8"}
    keys: dict[str, Any] = dict.fromkeys(("diode", *_KEYS.values()), number)
    if spectra:
        of_each = {"source": "made", "dtype": "array", "shape": [detectors], "dtype_numpy": "<f8"}
        keys |= {"xrf_real_time": of_each, "xrf_live_time": of_each}
        keys["xrf_spectra"] = {**of_each, "shape": [detectors, BINS], "dtype_numpy": "<i4"}
    descriptor = {"uid": f"primary-{uid}", "run_start": uid, "time": 1.0, "name": "primary", "data_keys": keys}
    documents: Documents = [("start", start), ("descriptor", {**descriptor, "configuration": {}, "hints": {}, "object_keys": {}})]
    for event in range(1, num + 1):
        row, place = divmod((event - 1) % (SHAPE[0] * SHAPE[1]), SHAPE[1])
        beam = 1e6 * (1 + 0.2 * np.sin(event / 5))
        pencil = np.zeros(SHAPE)
        pencil[row, place] = 1.0
        data: dict[str, Any] = {
            "diode": float(row),
            "diode_monitor": beam,
            "place_y_um": -35 + STEP_UM * row + rng.uniform(-1, 1),
            "place_x_um": -35 + STEP_UM * place + rng.uniform(-1, 1),
        }
        if spectra:
            made = detector.expose(pencil, 60 * beam, 1.0, index=event, seed=1)
            data["xrf_spectra"] = np.stack([one.counts for one in made])
            data["xrf_real_time"] = np.array([one.real_s for one in made])
            data["xrf_live_time"] = np.array([one.live_s for one in made])
        data |= (values or {}).get(event, {})
        head = {"uid": f"primary-{event}-{uid}", "descriptor": f"primary-{uid}", "seq_num": event, "time": 1.0 + event}
        documents.append(("event", {**head, "data": data, "timestamps": dict.fromkeys(data, head["time"]), "filled": {}}))
    stop = {"uid": f"stop-{uid}", "time": 200.0, "run_start": uid, "exit_status": "success", "reason": ""}
    return [*documents, ("stop", {**stop, "num_events": {"primary": num}})]
