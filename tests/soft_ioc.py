"""Simulated IOCs, at ports that this process's Channel Access client knows."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


# libca reads its environment once, when the first channel is made, so all IOCs of one test process share a few ports.
_ports = _free_ports(4)
PORT = _ports.pop()
"""A port for a test that starts an IOC by itself."""
os.environ["EPICS_CA_ADDR_LIST"] = " ".join(f"127.0.0.1:{port}" for port in (*_ports, PORT))
import epics  # noqa: E402
import ophyd  # noqa: E402
from ophyd.signal import EpicsSignalBase  # noqa: E402

epics.ca.create_channel("there:is:no:such:pv", connect=False, auto_cb=False)
EpicsSignalBase.set_defaults(connection_timeout=10.0, timeout=5.0, write_timeout=10.0)


@dataclass
class SoftIOC:
    """A simulated beamline in its own process."""

    prefix: str
    process: subprocess.Popen[str]
    signals: dict[str, ophyd.EpicsSignal] = field(default_factory=dict)

    def put(self, name: str, value: Any) -> None:
        """Write a PV, such as FAULT:LostTrigger."""
        # Kept: libca may crash if a channel is destroyed while ophyd's threads still ask for its metadata.
        if name not in self.signals:
            self.signals[name] = ophyd.EpicsSignal(self.prefix + name, name="fault")
        self.signals[name].wait_for_connection(10)
        self.signals[name].put(value, use_complete=True, wait=True)

    def clear_faults(self) -> None:
        """Put everything right again."""
        beamline = (
            "LostTrigger",
            "LateTrigger",
            "StalledAxis",
            "AxisAlarm",
            "AxisProblem",
            "ShutterStuck",
            "BeamDump",
            "DiodeSaturation",
        )
        frames = ("MissedTrigger", "DroppedFrame", "PositionJitter", "FileClosesEarly", "FullDisk")
        pairs = ("DualDroppedFrame", "DualFileClosesEarly", "DualFullDisk", "DualOutOfFocus", "DualLag")
        radiographs = ("XrayDroppedFrame", "XrayFileClosesEarly", "XrayFullDisk", "XrayLag", "XrayDrift")
        for fault in (*beamline, *frames, *pairs, *radiographs):
            self.put(f"FAULT:{fault}", 0)


@contextmanager
def soft_ioc(*arguments: str, plate: Path, speed: float = 1000.0) -> Iterator[SoftIOC]:
    """Run an IOC with a random prefix."""
    prefix = f"T{secrets.token_hex(4)}:"
    port = _ports.pop()
    command = [sys.executable, "-m", "sims", "--prefix", prefix, "--port", str(port), "--plate", str(plate)]
    process = subprocess.Popen([*command, "--speed", str(speed), "--seed", "1", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        watchdog.cancel()
        assert line.startswith("ready"), f"the IOC did not start: {line!r}"
        yield SoftIOC(prefix, process)
    finally:
        process.terminate()
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        process.stdout.close()
        _ports.append(port)
