"""How a service tells of itself: a small JSON file that it replaces, and a polite end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil


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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._written = 0.0

    def write(self, figures: dict[str, Any], *, every_s: float = 0.5) -> None:
        """Replace the file, at most once in `every_s` seconds (0: now). A full disk is no reason to stop the service."""
        now = time.time()
        if now - self._written < every_s:
            return
        self._written = now
        body = {"pid": os.getpid(), "process_started": psutil.Process().create_time(), "time": now, **figures}
        beside = self.path.with_suffix(".part")
        try:
            beside.write_text(json.dumps(body))
            os.replace(beside, self.path)
        except OSError:
            return


def status_path(state_dir: Path | str, name: str) -> Path:
    """Where a service writes its state."""
    return Path(state_dir) / "services" / f"{name}.json"


def read_status(state_dir: Path | str, name: str) -> dict[str, Any] | None:
    """What a service last said of itself; None if it never did."""
    try:
        status: dict[str, Any] = json.loads(status_path(state_dir, name).read_text())
        return status
    except (OSError, json.JSONDecodeError):
        return None


def is_process(pid: int, started: float) -> bool:
    """Whether the process that had this number and began then (s since the epoch) still runs."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1.0)
    except psutil.Error:
        return False


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
