"""Made-up series of frame pairs: a detector's file, frame after frame, and the documents that tell of it."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter, shift

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Estimate
from analysis.techniques import technique_of
from analysis.worker.drive import Drive
from analysis.worker.pace import Points

Documents = list[tuple[str, dict[str, Any]]]
IMAGE, NUMBER = "dual_camera_image", "dual_camera_number"
DATASETS = {IMAGE: "/entry/data/data", NUMBER: "/entry/instrument/NDAttributes/NDArrayUniqueId"}
SIDE = 48
DARK = 100.0


def scene(side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Blobs of mean 1, float64 (side, side)."""
    smooth = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), side / 16)
    light = 0.2 + np.clip(smooth / smooth.std(), 0, None)
    return np.asarray(light / light.mean())


def halves(
    truth: np.ndarray,
    photons: float,
    seed: int,
    *,
    offset: tuple[float, float] = (0.0, 0.0),
    gain: float = 1.0,
    read: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of a frame of a scene, counts: Poisson and read noise, the second half displaced and of another gain."""
    rng = np.random.default_rng((seed, 7))
    second = gain * np.maximum(shift(truth, offset, order=3, mode="nearest"), 0)
    a, b = (rng.poisson(photons * half) + read * rng.standard_normal(half.shape) for half in (truth, second))
    return a, b


class PairSeries:
    """The documents of a run of frames whose halves are pairs.

    Parameters
    ----------
    path : Path
        The detector's file.
    num : int
        Frames announced.
    entry
        Replaces parts of the "pairs" entry.
    """

    def __init__(self, path: Path, num: int, *, side: int = SIDE, streams: tuple[str, ...] = ("frames",), **entry: Any) -> None:
        self.path, self.num, self.side = path, num, side
        self.shape = entry.get("shape", [side, 2 * side])
        self.uid = str(uuid.uuid4())
        self.entry = {
            "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
            "pairing": "halves",
            "halves": [[0, side, 0, side], [0, side, side, 2 * side]],
            "shape": self.shape,
            "darks": "darks" if "darks" in streams else None,
            "flats": "flats" if "flats" in streams else None,
            "static": False,
            "rate_hz": 24.0,
            "exposure_s": 0.04,
            "pixel_um": 6.5,
            "saturation_counts": 65535,
            **entry,
        }
        self._streams = streams
        self._datums = 0

    def write(self, frames: np.ndarray, numbers: list[int], stream: str = "frames") -> None:
        """Write the file of a stream as its detector does; frames (N, H, W) are rounded to uint16 unless they are floats."""
        path = self._path(stream)
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset(DATASETS[IMAGE], data=frames, chunks=(1, *frames.shape[1:]))
            file.create_dataset(DATASETS[NUMBER], data=np.array(numbers, dtype="<i8"), chunks=(64,), maxshape=(None,))

    def start(self, dtype: str = "<u2") -> Documents:
        """Everything before the first frame."""
        start = {
            "uid": self.uid,
            "time": 1000.0,
            "plan_name": "frame_pair_series",
            "technique": "pairs",
            "detectors": ["dual_camera"],
            "num_points": self.num,
            "pairs": self.entry,
        }
        keys = {
            IMAGE: {"dtype": "array", "shape": [1, *self.shape], "dtype_numpy": dtype, "external": "STREAM:"},
            NUMBER: {"dtype": "integer", "shape": [], "dtype_numpy": "<i8", "external": "STREAM:"},
        }
        documents: Documents = [("start", start)]
        for stream in self._streams:
            descriptor = {
                "uid": f"{stream}-{self.uid}",
                "run_start": self.uid,
                "time": 1000.5,
                "name": stream,
                "data_keys": {key: {"source": "made", "object_name": "dual_camera", **entry} for key, entry in keys.items()},
                "object_keys": {"dual_camera": list(keys)},
                "configuration": {},
                "hints": {},
            }
            documents += [("descriptor", descriptor), *(("stream_resource", self._resource(key, stream)) for key in DATASETS)]
        return documents

    def frames(self, first: int, last: int, stream: str = "frames") -> Documents:
        """Rows first to last - 1 of a stream's file are flushed."""
        self._datums += 1
        return [
            (
                "stream_datum",
                {
                    "uid": f"{key}-{self.uid}/{self._datums}",
                    "stream_resource": f"{key}-{stream}-{self.uid}",
                    "descriptor": f"{stream}-{self.uid}",
                    "indices": {"start": first, "stop": last},
                    "seq_nums": {"start": first + 1, "stop": last + 1},
                },
            )
            for key in DATASETS
        ]

    def stop(self, **num_events: int) -> Documents:
        """The end."""
        stop = {"uid": f"stop-{self.uid}", "time": 1100.0, "run_start": self.uid, "exit_status": "success", "reason": ""}
        return [("stop", {**stop, "num_events": num_events})]

    def _path(self, stream: str) -> Path:
        return self.path if stream == "frames" else self.path.with_name(f"{stream}_{self.path.name}")

    def _resource(self, key: str, stream: str) -> dict[str, Any]:
        return {
            "uid": f"{key}-{stream}-{self.uid}",
            "run_start": self.uid,
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{self._path(stream)}",
            "parameters": {"dataset": DATASETS[key], "chunk_shape": [1] if key == IMAGE else [64]},
        }


def frame(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Both halves side by side, with a dark level, as the detector counts: uint16."""
    return np.clip(np.rint(np.concatenate([a, b], axis=1) + DARK), 0, 65535).astype("<u2")


def pair_series(
    path: Path,
    num: int = 12,
    *,
    photons: float = 200.0,
    lost: tuple[int, ...] = (),
    side: int = SIDE,
    cuts: int = 4,
    **entry: Any,
) -> tuple[PairSeries, Documents, np.ndarray]:
    """A series that has ended, with dark frames; some frames were lost. Returns the scene too."""
    truth = scene(side)
    series = PairSeries(path, num, side=side, streams=("darks", "frames"), **entry)
    rng = np.random.default_rng(1)
    darks = np.rint(DARK + 2 * rng.standard_normal((8, side, 2 * side))).astype("<u2")
    series.write(darks, list(range(1, 9)), "darks")
    numbers = [number for number in range(1, num + 1) if number not in lost]
    series.write(np.stack([frame(*halves(truth, photons, number)) for number in numbers]), numbers)
    documents = [*series.start(), *series.frames(0, 8, "darks")]
    edges = np.linspace(0, len(numbers), cuts + 1).astype(int)
    for first, last in itertools.pairwise(edges.tolist()):
        documents += series.frames(first, last)
    return series, [*documents, *series.stop(darks=8, frames=len(numbers))], truth


def series_of(
    state_dir: Path,
    frames: np.ndarray,
    streams: tuple[str, ...] = ("frames",),
    flats: np.ndarray | None = None,
    dtype: str = "<u2",
    **entry: Any,
) -> Documents:
    """The documents of a series of given frames."""
    path = state_dir / "frames" / "pairs.h5"
    series = PairSeries(path, len(frames), shape=list(frames.shape[1:]), streams=streams, **entry)
    numbers = list(range(1, len(frames) + 1))
    series.write(frames, numbers)
    documents = series.start(dtype)
    if flats is not None:
        series.write(flats, list(range(1, len(flats) + 1)), "flats")
        documents += series.frames(0, len(flats), "flats")
    return [*documents, *series.frames(0, len(frames)), *series.stop(frames=len(frames))]


def driven(documents: Documents, state_dir: Path, method: str, **options: Any) -> tuple[Estimate, Drive]:
    """The final estimate of a series by a method, and what drove it."""
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(state_dir))
    drive = Drive(run, Recipe(method, options), lambda: iter(documents[1:]), Points())
    return list(drive.estimates())[-1].estimate, drive
