"""Made-up fly scans: an HDF5 file as areaDetector writes it, frame after frame, and the documents that tell of it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

Documents = list[tuple[str, dict[str, Any]]]
IMAGE, NUMBER = "pixel_detector_image", "pixel_detector_number"
DATASETS = {IMAGE: "/entry/data/data", NUMBER: "/entry/instrument/NDAttributes/NDArrayUniqueId"}
SHAPE = (12, 10)
CHUNK = 64


def frame(number: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """The frame of a trigger, unlike that of any other."""
    return np.random.default_rng(number).poisson(3.0, shape).astype("<u2")


class DetectorFile:
    """A file that is written while others read it. A context manager."""

    def __init__(self, path: Path, shape: tuple[int, int] = SHAPE) -> None:
        self.path, self.shape = path, shape
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(path, "w", libver="latest")
        options = {IMAGE: (shape, "<u2", hdf5plugin.Bitshuffle(cname="lz4")), NUMBER: ((), "<i8", {})}
        self._data = {
            key: self._file.create_dataset(
                DATASETS[key], (0, *row), dtype, chunks=(CHUNK, *row), maxshape=(None, *row), **dict(compression)
            )
            for key, (row, dtype, compression) in options.items()
        }
        self._file.swmr_mode = True

    def append(self, numbers: list[int]) -> None:
        """Write the frames of these triggers, and flush."""
        for key, data in self._data.items():
            rows = numbers if key == NUMBER else [frame(number, self.shape) for number in numbers]
            data.resize(len(data) + len(numbers), axis=0)
            data[len(data) - len(numbers) :] = rows
            data.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> DetectorFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class DetectorProcess:
    """A `DetectorFile` in a process of its own, as a detector's is: HDF5 keeps what one process writes and reads together."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, __file__, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._said("ready")

    def append(self, numbers: range) -> None:
        """Write the frames of these triggers; they are flushed when this returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{numbers.start} {numbers.stop}\n")
        self._process.stdin.flush()
        self._said("flushed")

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._process.communicate()

    def __enter__(self) -> DetectorProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _said(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"


class FlyRun:
    """The documents of a run: frames in a file, and the positions at the triggers.

    Parameters
    ----------
    path : Path
        The detector's file.
    lines, points : int
        Lines of the scan, and triggers of each.
    """

    def __init__(self, path: Path, *, lines: int = 4, points: int = 50, shape: tuple[int, int] = SHAPE) -> None:
        self.path, self.shape = path, shape
        self.lines, self.points = lines, points
        self.uid = str(uuid.uuid4())
        self._datums = 0
        self._positions = 0

    def start(self) -> Documents:
        """Everything before the first frame."""
        start = {
            "uid": self.uid,
            "time": 1000.0,
            "plan_name": "fly_scan",
            "technique": "ptychography",
            "detectors": ["pixel_detector"],
            "motors": ["sample_stage"],
            "num_points": self.lines * self.points,
            "ptychography": {
                "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
                "positions": {
                    "stream": "positions",
                    "number": "trigger_box_number",
                    "y": "trigger_box_y",
                    "x": "trigger_box_x",
                    "monitor": None,
                    "time": "trigger_box_time",
                },
                "shape": list(self.shape),
                "grid": {"y_um": [-2.0, 2.0, self.lines], "x_um": [-2.0, 2.0, self.points], "snake": True},
                "rate_hz": 2000.0,
                "exposure_s": 0.0005,
                "energy_kev": 11.1,
                "distance_mm": 10000.0,
                "detector_pixel_um": 100.0,
                "geometry": "far_field",
                "saturation_counts": None,
            },
        }
        keys = {
            IMAGE: {"dtype": "array", "shape": list(self.shape), "dtype_numpy": "<u2", "external": "STREAM:"},
            NUMBER: {"dtype": "integer", "shape": [], "dtype_numpy": "<i8", "external": "STREAM:"},
        }
        positions = {
            "trigger_box_number": {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"},
            **{f"trigger_box_{key}": {"dtype": "number", "shape": [], "dtype_numpy": "<f8"} for key in ("y", "x", "time")},
        }
        return [
            ("start", start),
            ("descriptor", self._descriptor("frames", "pixel_detector", keys)),
            ("descriptor", self._descriptor("positions", "trigger_box", positions)),
            *(("stream_resource", self._resource(key)) for key in DATASETS),
        ]

    def frames(self, first: int, last: int) -> Documents:
        """Frames first to last - 1 of the file are flushed."""
        self._datums += 1
        return [
            (
                "stream_datum",
                {
                    "uid": f"{key}-{self.uid}/{self._datums}",
                    "stream_resource": f"{key}-{self.uid}",
                    "descriptor": f"frames-{self.uid}",
                    "indices": {"start": first, "stop": last},
                    "seq_nums": {"start": first + 1, "stop": last + 1},
                },
            )
            for key in DATASETS
        ]

    def positions(self, numbers: list[int]) -> Documents:
        """Where the stage was at these triggers."""
        line, point = np.divmod(np.array(numbers) - 1, self.points)
        columns = {
            "trigger_box_number": list(numbers),
            "trigger_box_y": (-2.0 + 4.0 * line / max(1, self.lines - 1)).tolist(),
            "trigger_box_x": ((-1.0) ** line * (-2.0 + 4.0 * point / max(1, self.points - 1))).tolist(),
            "trigger_box_time": (np.array(numbers) * 0.0005).tolist(),
        }
        first, self._positions = self._positions + 1, self._positions + len(numbers)
        times = [1001.0 + 0.0005 * number for number in numbers]
        page = {
            "uid": [f"position-{number}-{self.uid}" for number in numbers],
            "descriptor": f"positions-{self.uid}",
            "seq_num": list(range(first, self._positions + 1)),
            "time": times,
            "data": columns,
            "timestamps": dict.fromkeys(columns, times),
            "filled": {},
        }
        return [("event_page", page)]

    def stop(self, num_frames: int) -> Documents:
        """The end."""
        num_events = {"frames": num_frames, "positions": self._positions}
        stop = {"uid": f"stop-{self.uid}", "time": 1100.0, "run_start": self.uid, "exit_status": "success", "reason": ""}
        return [("stop", {**stop, "num_events": num_events})]

    def _descriptor(self, stream: str, device: str, keys: dict[str, Any]) -> dict[str, Any]:
        return {
            "uid": f"{stream}-{self.uid}",
            "run_start": self.uid,
            "time": 1000.5,
            "name": stream,
            "data_keys": {key: {"source": "made", "object_name": device, **entry} for key, entry in keys.items()},
            "object_keys": {device: list(keys)},
            "configuration": {},
            "hints": {},
        }

    def _resource(self, key: str) -> dict[str, Any]:
        return {
            "uid": f"{key}-{self.uid}",
            "run_start": self.uid,
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{self.path}",
            "parameters": {"dataset": DATASETS[key], "chunk_shape": [CHUNK]},
        }


def fly_run(path: Path, *, lost: tuple[int, ...] = (), lines: int = 4, points: int = 50) -> tuple[FlyRun, Documents]:
    """A run that has ended, its file written; the frames of some triggers were lost."""
    run = FlyRun(path, lines=lines, points=points)
    triggers = list(range(1, lines * points + 1))
    taken = [number for number in triggers if number not in lost]
    with DetectorFile(path) as file:
        file.append(taken)
    half = len(taken) // 2
    documents = [*run.start(), *run.frames(0, half), *run.positions(triggers), *run.frames(half, len(taken))]
    return run, [*documents, *run.stop(len(taken))]


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with DetectorFile(Path(sys.argv[1])) as written:
        _say("ready")
        for line in sys.stdin:
            written.append(list(range(*map(int, line.split()))))
            _say("flushed")
