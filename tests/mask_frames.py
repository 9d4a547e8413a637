"""Made-up frames of masks, as a camera with finer pixels sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from radiograph_runs import IMAGE, NUMBER, Documents, RadiographRun
from scipy.ndimage import shift as moved
from scipy.ndimage import uniform_filter

from analysis.masks.geometry import Geometry
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore

METAL = 0.17
_FINE = 20
_AROUND = 4
_PARTS = 8


def designs(number: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """Random masks of a plate with a modulation depth of 83 %."""
    return (METAL + (1 - METAL) * np.random.default_rng(seed).integers(0, 2, (number, size, size))).astype(np.float32)


def shifted_mask(mask: np.ndarray, shift_px: tuple[float, float]) -> np.ndarray:
    """What is on the image grid (H, W) if a mask lies beside its place, metal around it."""
    fine = _fine(mask)
    fine = moved(fine, np.array(shift_px) * _FINE, order=1, mode="nearest")
    inner = fine[_AROUND * _FINE : -_AROUND * _FINE, _AROUND * _FINE : -_AROUND * _FINE]
    return inner.reshape(mask.shape[0], _FINE, mask.shape[1], _FINE).mean(axis=(1, 3))


def frame_of(mask: np.ndarray, geometry: Geometry, shape: tuple[int, int], slope: float = 0.0) -> np.ndarray:
    """Transmission (H', W') at each pixel of a camera, of a mask whose edges slope over so many mask pixels."""
    parts = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    sides = [(np.arange(side)[:, None] + parts).ravel() for side in shape]
    places = np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")])
    points = geometry.points(places) + np.array(mask.shape)[:, None] / 2 + _AROUND
    fine = _fine(mask)
    if slope:
        fine = uniform_filter(fine, max(1, round(slope * _FINE)))
    y, x = np.clip((points * _FINE).astype(int), 0, np.array(fine.shape)[:, None] - 1)
    return fine[y, x].reshape(shape[0], _PARTS, shape[1], _PARTS).mean(axis=(1, 3))


def _fine(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask.astype(float), _AROUND, constant_values=METAL)
    return np.repeat(np.repeat(padded, _FINE, axis=0), _FINE, axis=1)


def plate_of(patterns: np.ndarray) -> MaskSet:
    """A plate with these masks, 10 um a pixel, side by side."""
    return MaskSet("made", patterns, np.stack([np.arange(len(patterns)) * 0.5, np.zeros(len(patterns))], axis=1), 10.0)


def calibration(
    path: Path,
    state_dir: Path,
    masks: np.ndarray,
    *,
    exposures: int = 4,
    camera: Geometry | None = None,
    shape: tuple[int, int] = (44, 46),
    light: float = 2000.0,
    lost: tuple[int, ...] = (),
    design: np.ndarray | None = None,
    portions: int = 20,
    beam: np.ndarray | None = None,
    **entry: Any,
) -> Documents:
    """Documents of a calibration of these masks; the plate, as designed, is put into the store.

    With a `beam`, one for each mask, there is an event with the monitor's counts for each mask, which is NaN where the beam is 0.
    """
    rng = np.random.default_rng(5)
    camera = camera or Geometry(22.3, 21.8, 2.51, 0.01)

    def counted(transmission: np.ndarray) -> np.ndarray:
        return np.minimum(100 + rng.poisson(light * transmission), 65_000).astype("<u2")

    repeats = max(exposures, 1)
    seen = np.stack([frame_of(mask, camera, shape) for mask in masks])
    streams = {
        "darks": counted(np.zeros((4, *shape))),
        "flats": counted(np.ones((10, *shape))),
        "frames": counted(np.repeat(seen if beam is None else seen * beam[:, None, None], repeats, axis=0)),
    }
    plate = plate_of(masks if design is None else design)
    MaskStore(state_dir).save(plate)
    documents = RadiographRun(path, streams, lost=lost, portions=portions).documents()
    start = documents[0][1]
    del start["radiographs"]
    start |= {"plan_name": "mask_calibration", "technique": "masks"}
    start["masks"] = {
        "mask_set": plate.identity,
        "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
        "shape": list(shape),
        "exposures": exposures,
        "order": list(range(len(masks))),
        "darks": "darks",
        "flats": "flats",
        "pixel_um": 4.0,
        "saturation_counts": 60_000,
        **entry,
    }
    if beam is not None:
        start["masks"].setdefault("positions", {"stream": "positions", "monitor": "monitor"})
        documents[1:1] = _positions(start["uid"], beam)
    return documents


def _positions(uid: str, beam: np.ndarray) -> Documents:
    descriptor = {
        "uid": f"{uid}-positions",
        "run_start": uid,
        "name": "positions",
        "time": 1000.0,
        "hints": {},
        "configuration": {},
    }
    descriptor |= {"data_keys": {"monitor": {"source": "made", "dtype": "number", "shape": []}}, "object_keys": {}}
    events: Documents = [("descriptor", descriptor)]
    for number, light in enumerate(beam.tolist(), start=1):
        event = {"uid": f"{uid}-{number}", "descriptor": descriptor["uid"], "seq_num": number, "time": 1000.0 + number}
        events.append(("event", {**event, "data": {"monitor": 1e5 * light}, "timestamps": {"monitor": 1000.0}}))
    return events
