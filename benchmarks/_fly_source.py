"""A fly scan at a steady rate, without hardware: the frames go into a detector's file, the documents into the log.

`python -m benchmarks._fly_source STATE_DIR UID LINES POINTS RATE_HZ` writes frames of 192x192 pixels like the simulated
detector, and announces them and the positions every 0.1 s like a session. It prints the time (s since 1970) of the first
trigger.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogWriter, log_paths
from sims.diffraction import FrameOptions, FrameSource
from sims.frame_writer import EPOCH_1990_S, FRAMES, NUMBERS, FrameWriter
from sims.triggers import Triggers

SHAPE = (192, 192)
_POOL = 64
_EVERY_S = 0.1
_SPAN_UM = 4.0
_IMAGE, _NUMBER = "pixel_detector_image", "pixel_detector_number"


class FlySource:
    """The documents and the file of a scan with lines along x.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the folder of frames.
    uid : str
        Uid of the run.
    lines, points : int
        Number of lines, and of triggers in each.
    rate_hz : float
        Triggers per second.
    """

    def __init__(self, state_dir: Path, uid: str, lines: int, points: int, rate_hz: float) -> None:
        self.uid, self.lines, self.points, self.rate_hz = uid, lines, points, rate_hz
        self.path = state_dir / "frames" / f"{uid}.h5"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._log = LogWriter(log_paths(state_dir).raw)
        self._writer = FrameWriter(self.path, SHAPE, flush_s=_EVERY_S)
        self._resources = {key: str(uuid.uuid4()) for key in (_IMAGE, _NUMBER)}
        self._descriptors = {stream: str(uuid.uuid4()) for stream in ("frames", "positions")}
        self._announced = 0
        nowhere = np.zeros(_POOL)
        triggers = Triggers(np.arange(_POOL), nowhere, nowhere, nowhere, 1 / rate_hz)
        self._pool = FrameSource(FrameOptions(mode="pattern")).frames(0, triggers)

    def begin(self) -> None:
        """Start document, descriptors and stream resources."""
        half = _SPAN_UM / 2
        entry = {
            "frames": {"stream": "frames", "image": _IMAGE, "number": _NUMBER},
            "positions": {"stream": "positions", "number": "number", "y": "y", "x": "x", "monitor": None, "time": "time_s"},
            "shape": list(SHAPE),
            "grid": {"y_um": [-half, half, self.lines], "x_um": [-half, half, self.points], "snake": False},
            "rate_hz": self.rate_hz,
            "saturation_counts": None,
        }
        start = {"uid": self.uid, "time": time.time(), "plan_name": "fly_scan", "technique": "ptychography"}
        self._log("start", {**start, "num_points": self.lines * self.points, "recipes": ["sums"], "ptychography": entry})
        image = {"dtype": "array", "shape": list(SHAPE), "dtype_numpy": "<u2", "external": "STREAM:"}
        number = {"dtype": "integer", "shape": [], "dtype_numpy": "<i8", "external": "STREAM:"}
        positions: dict[str, Any] = {"number": {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"}}
        positions |= {key: {"dtype": "number", "shape": [], "dtype_numpy": "<f8"} for key in ("y", "x", "time_s")}
        self._describe("frames", {_IMAGE: image, _NUMBER: number})
        self._describe("positions", positions)
        for key, dataset in ((_IMAGE, FRAMES), (_NUMBER, NUMBERS)):
            resource = {"uid": self._resources[key], "run_start": self.uid, "data_key": key, "mimetype": "application/x-hdf5"}
            chunk = {"dataset": dataset, "chunk_shape": [64, *(SHAPE if key == _IMAGE else ())]}
            self._log("stream_resource", {**resource, "uri": f"file://localhost{self.path}", "parameters": chunk})

    def take(self, first: int, last: int) -> None:
        """Write and flush the frames of triggers first to last - 1, counted from 0, and announce them with their positions."""
        numbers = np.arange(first, last)
        times = time.time() - EPOCH_1990_S + np.zeros(len(numbers))
        self._writer.append(self._pool[numbers % _POOL], numbers + 1, times)
        self._writer.flush()
        line, point = np.divmod(numbers, self.points)
        half = _SPAN_UM / 2
        columns = {
            "number": (numbers + 1).tolist(),
            "y": (-half + _SPAN_UM * line / max(1, self.lines - 1)).tolist(),
            "x": (-half + _SPAN_UM * point / max(1, self.points - 1)).tolist(),
            "time_s": times.tolist(),
        }
        now = [time.time()] * len(numbers)
        page = {"uid": [str(uuid.uuid4()) for _ in now], "descriptor": self._descriptors["positions"], "time": now}
        page |= {"seq_num": columns["number"], "data": columns, "timestamps": dict.fromkeys(columns, now), "filled": {}}
        self._log("event_page", page)
        count = self._writer.count
        for resource in self._resources.values():
            datum: dict[str, Any] = {"uid": f"{resource}/{count}", "stream_resource": resource}
            datum |= {"descriptor": self._descriptors["frames"], "indices": {"start": self._announced, "stop": count}}
            self._log("stream_datum", {**datum, "seq_nums": {"start": self._announced + 1, "stop": count + 1}})
        self._announced = count

    def end(self) -> None:
        """Close the file and end the run."""
        self._writer.close()
        num_events = {"frames": self._announced, "positions": self.lines * self.points}
        stop = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": self.uid, "exit_status": "success", "reason": ""}
        self._log("stop", {**stop, "num_events": num_events})
        self._log.close()

    def _describe(self, stream: str, data_keys: dict[str, Any]) -> None:
        keys = {key: {"source": f"made:{key}", "object_name": stream, **data_key} for key, data_key in data_keys.items()}
        head = {"uid": self._descriptors[stream], "run_start": self.uid, "time": time.time(), "name": stream}
        configuration = {stream: {"data": {}, "data_keys": {}, "timestamps": {}}}
        rest = {"object_keys": {stream: list(keys)}, "configuration": configuration, "hints": {}}
        self._log("descriptor", {**head, "data_keys": keys, **rest})


def main() -> None:
    """Scan at the requested rate; a late trigger does not delay those after it."""
    state_dir, uid, lines, points, rate = sys.argv[1:]
    source = FlySource(Path(state_dir), uid, int(lines), int(points), float(rate))
    source.begin()
    began, done, num = time.time(), 0, int(lines) * int(points)
    print(began, flush=True)
    while done < num:
        time.sleep(_EVERY_S)
        due = min(num, int((time.time() - began) * float(rate)))
        for first in range(done, due, 1000):
            source.take(first, min(due, first + 1000))
        done = max(done, due)
    source.end()


if __name__ == "__main__":
    main()
