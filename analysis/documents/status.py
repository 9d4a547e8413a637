"""How a service reports its state, in a small JSON file that it replaces, and how it ends on SIGTERM."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from analysis.documents.private import private_folder
from analysis.documents.process import Process, this_process

_STALE_S = 10.0  # a service that has not reported for this long hangs


class StatusFile:
    """A service's state in `services/<name>.json` below the state directory.

    Parameters
    ----------
    state_dir : Path
        The state directory.
    name : str
        The service, e.g. "archiver".
    """

    def __init__(self, state_dir: Path | str, name: str) -> None:
        self.path = status_path(state_dir, name)
        private_folder(self.path.parent)
        self._began = time.monotonic()
        self._written = -math.inf
        self._process = asdict(this_process())

    def write(self, figures: dict[str, Any], *, every_s: float = 0.5) -> None:
        """Replace the file, at most once in `every_s` seconds (0: now). A full disk is no reason to stop the service."""
        now = time.monotonic()
        if now - self._written < every_s:
            return
        self._written = now
        body = {**self._process, "running_s": now - self._began, "time": time.time(), **figures}
        beside = self.path.with_suffix(".part")
        try:
            beside.write_text(json.dumps(body))
            os.replace(beside, self.path)
        except OSError:
            return


def status_path(state_dir: Path | str, name: str) -> Path:
    """The file of a service's state."""
    return Path(state_dir) / "services" / f"{name}.json"


def doubts_so_far(state_dir: Path | str) -> dict[str, list[str]]:
    """What seems wrong with the data of running reconstructions, by their uids, as the worker last reported it."""
    jobs = (read_status(state_dir, "worker") or {}).get("jobs") or []
    return {str(job["derived"]): list(job.get("doubts") or ()) for job in jobs}


def read_status(state_dir: Path | str, name: str) -> dict[str, Any] | None:
    """The last report of a service; None if there is none."""
    try:
        status: dict[str, Any] = json.loads(status_path(state_dir, name).read_text())
        return status
    except (OSError, json.JSONDecodeError):
        return None


def is_running(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a status still runs."""
    try:
        return Process(status["pid"], status["started_ticks"], status["boot"]).is_running
    except KeyError:  # written by a former version
        return False


def service_state(status: Mapping[str, Any]) -> str:
    """The state of a running service, according to its last report: "hangs", "waiting", "gave up runs" or "running"."""
    if time.time() - status["time"] > _STALE_S:
        return "hangs"
    if status.get("problem"):
        return "waiting"
    return "gave up runs" if status.get("given_up") else "running"


class StopRequest:
    """True once the process has been asked to end (SIGTERM or SIGINT). Make it in the main thread."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def __bool__(self) -> bool:
        return self._asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
