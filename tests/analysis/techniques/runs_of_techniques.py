"""One small run of every technique, as documents, for the contract that holds all of them."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fly_runs import DetectorFile, FlyRun
from made_runs import Documents, MadeRun, mask_set
from mask_frames import calibration, designs
from pair_runs import pair_series
from radiograph_runs import RadiographRun, static_streams, tomography_streams
from raster_runs import raster_run
from spectral_runs import spectral_run

from analysis.documents.recipe import Recipe
from analysis.ghost import METHODS as GHOST_METHODS
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.techniques.pairs.methods import METHODS as PAIR_METHODS

THIRD = Path(__file__).parents[2] / "third_technique"
sys.path.append(str(THIRD))

MASKS = mask_set()
_FEW_STEPS = {"n2g", "n2i", "gidc", "inr"}


@dataclass(frozen=True)
class Case:
    """A technique's run and one of its methods.

    Attributes
    ----------
    name : str
    recipe : Recipe
    make : callable
        Gets a state directory, puts there what the run needs, and returns its documents.
    lost, late : callable
        Say of a document whether it is the one that is lost, or that comes last, in drills.
    """

    name: str
    recipe: Recipe
    make: Callable[[Path], Documents]
    is_row: Callable[[str, dict[str, Any]], bool] = field(default=lambda name, doc: name == "event" and "primary" in doc["uid"])


def _ghost(state_dir: Path) -> Documents:
    MaskStore(state_dir).save(MASKS)
    return MadeRun(MASKS, num=100, values={5: {"diode": None}}).documents()


def _spectra(state_dir: Path) -> Documents:
    run = spectral_run(num=100, values={5: {"diode_monitor": None}}, spectra={8: {"live_time": np.zeros(2)}})
    MaskStore(state_dir).save(run.masks)
    return run.documents()


def _raster(state_dir: Path) -> Documents:
    """A whole map and half of it again."""
    return raster_run(100, values={9: {"diode_monitor": 0.0}})


def _fly(state_dir: Path) -> Documents:
    """Four lines, each announced when it is over; three frames are lost."""
    run = FlyRun(state_dir / "frames" / f"{uuid.uuid4()}.h5", lines=4, points=40)
    lines = [[number for number in range(first, first + 40) if number not in (7, 8, 120)] for first in (1, 41, 81, 121)]
    documents, count = run.start(), 0
    with DetectorFile(run.path) as file:
        for line, taken in enumerate(lines):
            file.append(taken)
            documents += [*run.frames(count, count + len(taken)), *run.positions(list(range(40 * line + 1, 40 * line + 41)))]
            count += len(taken)
    return [*documents, *run.stop(count)]


def _pairs(state_dir: Path) -> Documents:
    """A hundred pairs, of which two are lost."""
    path = state_dir / "frames" / f"{uuid.uuid4()}.h5"
    return pair_series(path, 100, lost=(7, 50), side=40, cuts=10)[1]


def _radiographs(state_dir: Path) -> Documents:
    """A hundred and twenty radiographs in twenty portions, behind static frames of the same scene; two are lost."""
    path = state_dir / "frames" / f"{uuid.uuid4()}.h5"
    return RadiographRun(path, static_streams(120), lost=(7, 50), portions=20).documents()


def _static_series(state_dir: Path) -> Documents:
    """A hundred and twenty radiographs of a scene that stands still, in twenty portions; two are lost."""
    frames = static_streams(120)["frames"]
    run = RadiographRun(
        state_dir / "frames" / f"{uuid.uuid4()}.h5", {"frames": frames}, static="frames", lost=(40, 90), portions=20
    )
    return run.documents()


def _white(state_dir: Path) -> Documents:
    """The same of few pixels, without a scintillator."""
    path = state_dir / "frames" / f"{uuid.uuid4()}.h5"
    streams = static_streams(120, shape=(32, 32), decay_px=0.05)
    del streams["static"]
    return RadiographRun(path, streams, lost=(7, 50), portions=20).documents()


def _tomography(state_dir: Path) -> Documents:
    """A hundred views in twenty portions, each with its angles; two radiographs are lost."""
    angles = np.arange(0.0, 180.0, 1.8)
    path = state_dir / "frames" / f"{uuid.uuid4()}.h5"
    return RadiographRun(path, tomography_streams(angles), angles=angles, lost=(7, 50), portions=20).documents()


def _masks(state_dir: Path) -> Documents:
    """Twenty masks in five exposures each, of which two are lost."""
    path = state_dir / "frames" / f"{uuid.uuid4()}.h5"
    return calibration(path, state_dir, designs(20, 12), exposures=5, lost=(7, 50))


def _mean(state_dir: Path) -> Documents:
    rng, uid = np.random.default_rng(3), str(uuid.uuid4())
    start = {"uid": uid, "time": 1.0, "plan_name": "count", "technique": "mean", "mean": {"key": "camera"}, "num_points": 150}
    keys = {"camera": {"source": "made", "dtype": "array", "shape": [4, 5], "dtype_numpy": "<f8"}}
    descriptor = {"uid": f"primary-{uid}", "run_start": uid, "time": 1.0, "name": "primary", "data_keys": keys}
    documents: Documents = [("start", start), ("descriptor", {**descriptor, "configuration": {}, "hints": {}, "object_keys": {}})]
    for number in range(1, 151):
        head = {"uid": f"primary-{number}-{uid}", "descriptor": f"primary-{uid}", "seq_num": number, "time": 1.0 + number}
        data = {"camera": rng.random((4, 5))}
        documents.append(("event", {**head, "data": data, "timestamps": {"camera": head["time"]}, "filled": {}}))
    stop = {"uid": f"stop-{uid}", "time": 200.0, "run_start": uid, "exit_status": "success", "reason": ""}
    return [*documents, ("stop", {**stop, "num_events": {"primary": 150}})]


def _is_datum(name: str, doc: dict[str, Any]) -> bool:
    return name == "stream_datum"


def _is_frames_datum(name: str, doc: dict[str, Any]) -> bool:
    return name == "stream_datum" and doc["descriptor"].startswith("frames")


CASES = [
    *(
        Case(f"ghost-{method}", Recipe(method, {"steps": 4, "live_steps": 2} if method in _FEW_STEPS else {}), _ghost)
        for method in GHOST_METHODS
    ),
    Case("ghost-tv-spectra", Recipe("tv"), _spectra),
    Case("ghost-n2g-spectra", Recipe("n2g", {"steps": 4, "live_steps": 2}), _spectra),
    Case("ptychography-sums", Recipe("sums"), _fly, _is_datum),
    Case("ptychography-epie", Recipe("epie", {"sweeps": 3, "averaged": 2, "orientation": "+y+x"}), _fly, _is_datum),
    Case(
        "ptychography-epie-denoised",
        Recipe(
            "epie",
            {"sweeps": 2, "spread": 1.0, "orientation": "+y+x", "denoise": "prior_arch1", "prior_steps": 3, "denoise_every": 2},
        ),
        _fly,
        _is_datum,
    ),
    Case(
        "ptychography-epie-moved",
        Recipe("epie", {"sweeps": 3, "spread": 1.0, "orientation": "+y+x", "correct_positions": True, "binning": "auto"}),
        _fly,
        _is_datum,
    ),
    Case("ptychography-epie-binned", Recipe("epie", {"sweeps": 2, "binning": 3, "modes": 2}), _fly, _is_datum),
    *(
        Case(f"pairs-{method}", Recipe(method, {"steps": 4, "pairs": 2} if "steps" in info.defaults else {}), _pairs, _is_datum)
        for method, info in PAIR_METHODS.items()
    ),
    Case("radiographs-mean", Recipe("mean"), _tomography, _is_frames_datum),
    Case("radiographs-decorrelate", Recipe("decorrelate"), _radiographs, _is_frames_datum),
    Case("radiographs-static", Recipe("decorrelate"), _static_series, _is_frames_datum),
    Case("radiographs-noise2self", Recipe("noise2self", {"radiographs": 4, "steps": 4}), _white, _is_frames_datum),
    Case("radiographs-fbp", Recipe("fbp", {"slices": 2}), _tomography, _is_frames_datum),
    Case("radiographs-sirt", Recipe("sirt", {"iterations": 5, "centre": 11.5}), _tomography, _is_frames_datum),
    Case("masks-mask_calibration", Recipe("mask_calibration"), _masks, _is_frames_datum),
    Case("radiographs-tv", Recipe("tv", {"iterations": 5, "centre": 11.5, "weight": 0.1}), _tomography, _is_frames_datum),
    Case("raster-map", Recipe("map"), _raster),
    Case("mean-mean", Recipe("mean"), _mean),
]
