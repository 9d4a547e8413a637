"""One plan at a time in all sessions and the queue of a beamline: two at once would move the same motors."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from bluesky.utils import MsgGenerator

from analysis.documents.private import private_file, private_folder

_LETS_GO_S = 10.0
_POLL_S = 0.1


class ScanRunning(RuntimeError):
    """Another session, or the queue, runs a plan."""


class ScanLockBroken(RuntimeError):
    """Another session has taken over the beamline; the plan ends at once."""


class ScanLock:
    """Held while a plan of this process runs or is paused; the system takes it back from a process that dies.

    Append `holds` to a RunEngine's preprocessors.

    Parameters
    ----------
    state_dir : Path
        The state directory that the sessions share; the lock is `services/scan.lock` in it.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._path = Path(state_dir) / "services" / "scan.lock"
        private_folder(self._path.parent)

    def holds(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """Run a plan under the lock.

        Raises
        ------
        ScanRunning
            If somebody else holds it; nothing has moved then.
        ScanLockBroken
            If somebody has broken it. The plan ends as after any other error: its shutter closes, its run is valid.
        """
        with self._held() as lock:
            reply: Any = None
            error: Exception | None = None
            told = False
            while True:
                try:
                    message = plan.send(reply) if error is None else plan.throw(error)
                except StopIteration as end:
                    return end.value
                reply, error = None, None
                if not told and not self._is_current(lock):
                    told = True
                    error = ScanLockBroken("another session has taken over the beamline with break_scan_lock(); this plan ends")
                    continue
                try:
                    reply = yield message
                except GeneratorExit:
                    plan.close()
                    raise
                except Exception as raised:
                    error = raised

    def break_(self) -> str:
        """Take over the beamline from the session that runs a plan, and return what happened to that plan.

        A plan that runs ends with its next step. One that is paused ends when somebody resumes it.
        """
        try:
            other = self._path.open()
        except FileNotFoundError:
            return "No plan is running."
        with other:
            if _try_to_lock(other):
                return "No plan is running."
            holder = _described(other)
            self._path.unlink(missing_ok=True)
            deadline = time.monotonic() + _LETS_GO_S
            while time.monotonic() < deadline:
                if _try_to_lock(other):
                    return f"The plan of {holder} has ended."
                time.sleep(_POLL_S)
            return (
                f"The plan of {holder} has not ended yet: it is paused, or waits for a device. It ends with its next step. Check "
                "that no motor moves before you scan."
            )

    @contextmanager
    def _held(self) -> Iterator[TextIO]:
        while True:
            with private_file(self._path).open("r+") as lock:
                if not _try_to_lock(lock):
                    raise ScanRunning(
                        f"{_described(lock)} is running a plan: two at once would move the same motors. Wait for it; if it was "
                        "abandoned, take over the beamline with break_scan_lock() and scan again"
                    )
                if not self._is_current(lock):
                    continue  # it was broken a moment ago
                lock.truncate(0)
                who = {"pid": os.getpid(), "user": getpass.getuser(), "host": socket.gethostname(), "since": time.time()}
                lock.write(json.dumps(who))
                lock.flush()
                yield lock
                return

    def _is_current(self, lock: TextIO) -> bool:
        """Whether this open file still is the lock; one that was broken is another file."""
        try:
            return os.path.samestat(os.fstat(lock.fileno()), os.stat(self._path))
        except FileNotFoundError:
            return False


def _try_to_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _described(lock: TextIO) -> str:
    lock.seek(0)
    try:
        who = json.loads(lock.read())
        since = time.strftime("%H:%M:%S", time.localtime(who["since"]))
        return f"{who['user']} on {who['host']} (process {who['pid']}, since {since})"
    except (ValueError, KeyError):  # it has only just been taken
        return "another session"
