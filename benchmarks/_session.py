"""A session in a separate process: the real devices, plan and RunEngine on the simulated beamline.

`python -m benchmarks._session --config FILE` reads one order per line from its standard input, a JSON object with the
arguments of `Session.scan`, `Session.fly` or `Session.pairs`, and answers each with one line of JSON. `SessionProcess` is the
other end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from beamline.config import CONFIG_VARIABLE, GhostbeamConfig, apply_epics_environment, load_config

_START_S = 40.0
LAST_EVENT = "last event"


class Session:
    """A session: connected devices, a RunEngine, the document log.

    Parameters
    ----------
    config : GhostbeamConfig
        Configuration of a running simulated beamline.
    """

    def __init__(self, config: GhostbeamConfig) -> None:
        from bluesky import RunEngine

        from analysis.documents.log import LogWriter, log_paths
        from analysis.techniques.ghost.mask_sets import MaskStore
        from beamline.factory import connect, make_devices
        from beamline.plates import make_plate

        self.devices = make_devices(config)
        connect(self.devices, _START_S)
        self.plate = make_plate(config)
        self.devices.mask_stage.mount(self.plate)
        MaskStore(config.state_dir).save(self.plate)
        self.RE = RunEngine({})
        self.log = LogWriter(log_paths(config.state_dir).raw)

    def scan(self, *, num: int, exposure: float, logged: bool, hold: bool = False, recipes: Any = None) -> dict[str, Any]:
        """Scan `num` masks.

        Parameters
        ----------
        num : int
            Number of realizations.
        exposure : float
            Exposure of each, in s.
        logged : bool
            Whether the document log is subscribed; otherwise there is no subscriber.
        hold : bool
            Whether to report the last event and then wait to be killed.
        recipes : list, optional
            Reconstructions to make.

        Returns
        -------
        dict
            "seconds" of the plan, "cost_ms" of each document in the log's subscriber, and the run's "uid".
        """
        from plans import ghost_scan

        costs: list[float] = []

        def timed_log(name: str, doc: dict[str, Any]) -> None:
            began = time.perf_counter()
            self.log(name, doc)
            costs.append(1e3 * (time.perf_counter() - began))
            if hold and name == "event" and "mask_stage_index" in doc["data"] and doc["seq_num"] == num:
                print(json.dumps({LAST_EVENT: True}), flush=True)
                time.sleep(3600)

        plan = ghost_scan(
            [self.devices.diode],
            self.devices.mask_stage,
            self.plate,
            num=num,
            exposure=exposure,
            order="given",
            indices=[index % len(self.plate) for index in range(num)],
            shutter=self.devices.shutter,
            recipes=recipes,
        )
        token = self.RE.subscribe(timed_log) if logged else None
        began = time.perf_counter()
        uids: Any = self.RE(plan)
        seconds = time.perf_counter() - began
        if token is not None:
            self.RE.unsubscribe(token)
        return {"seconds": seconds, "cost_ms": costs, "uid": uids[0]}

    def fly(self, *, lines: int, points: int, rate_hz: float, recipes: Any = None) -> dict[str, Any]:
        """Take a frame at each point of several lines, and request reconstructions or leave them to the worker.

        Returns
        -------
        dict
            "seconds" of the plan and the run's "uid", or the "error" that ended it.
        """
        from plans import fly_scan

        plan = fly_scan(
            self.devices.pixel_detector,
            self.devices.sample_stage,
            y_um=(-2.0, 2.0, lines),
            x_um=(-2.0, 2.0, points),
            rate_hz=rate_hz,
            trigger_box=self.devices.trigger_box,
            shutter=self.devices.shutter,
            recipes=recipes,
        )
        return self._logged(plan)

    def pairs(self, *, pairs: int, rate_hz: float, recipes: Any = None) -> dict[str, Any]:
        """Take a series of frame pairs.

        Returns
        -------
        dict
            "seconds" of the plan and the run's "uid", or the "error" that ended it.
        """
        from plans import frame_pair_series

        plan = frame_pair_series(
            self.devices.dual_camera, num=pairs, rate_hz=rate_hz, shutter=self.devices.shutter, recipes=recipes
        )
        return self._logged(plan)

    def _logged(self, plan: Any) -> dict[str, Any]:
        token = self.RE.subscribe(self.log)
        began = time.perf_counter()
        try:
            uids: Any = self.RE(plan)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            self.RE.unsubscribe(token)
        return {"seconds": time.perf_counter() - began, "uid": uids[0]}


class SessionProcess:
    """A session's process.

    Parameters
    ----------
    config_file : Path
        Configuration of the simulated beamline.
    """

    def __init__(self, config_file: Path) -> None:
        command = [sys.executable, "-m", "benchmarks._session", "--config", str(config_file)]
        environment = {**os.environ, CONFIG_VARIABLE: str(config_file)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.answer()

    def order(self, **scan: Any) -> None:
        """Begin a scan."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(scan) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the session's next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the session ended with code {self._process.wait()}: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def scan(self, **scan: Any) -> dict[str, Any]:
        """Scan, and wait for the end."""
        self.order(**scan)
        return self.answer()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


def main() -> None:
    """Follow orders until there are no more."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._session", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    config = load_config(parser.parse_args().config)
    apply_epics_environment(config)
    session = Session(config)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        obey = session.fly if "lines" in order else session.pairs if "pairs" in order else session.scan
        print(json.dumps(obey(**order)), flush=True)


if __name__ == "__main__":
    main()
