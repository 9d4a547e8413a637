"""The supervisor: starts the services, starts them again when they die, and ends them together.

`ghostbeam up` starts it, detached from the terminal, as `python -m ghostbeam.supervisor`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, TextIO

from analysis.documents.private import private_file
from analysis.documents.status import StatusFile, StopRequest
from beamline.config import load_config
from ghostbeam.services import Service, services

logger = logging.getLogger("ghostbeam.supervisor")

NAME = "supervisor"
_EVERY_S = 0.1
_LONGEST_WAIT_S = 30.0  # between two starts of a service that keeps dying
_STEADY_AFTER_S = 60.0  # a service that ran so long gets a quick start again
_TERMINATION_S = 10.0
_LARGEST_LOG = 10_000_000  # bytes


class Supervised:
    """One service under supervision.

    Parameters
    ----------
    service : Service
        What to run.
    folder : Path
        Where its log goes.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.restarts = 0
        self.is_ready = False
        self._log = folder / f"{service.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._printed_from = 0
        self._started = 0.0
        self._deaths_in_a_row = 0
        self._not_before = 0.0
        self._elsewhere = False

    def start(self) -> None:
        """Start the process."""
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG:
            os.replace(self._log, self._log.with_suffix(".log.old"))
        with private_file(self._log).open("ab") as log:
            self._printed_from = log.tell()
            # PYTHONSAFEPATH: a file of the user's called analysis.py, in the folder where this was started, is none of ours.
            environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", **self.service.environment}
            # A session of its own: a Ctrl-C in the terminal is for the scan, not for the services.
            self._process = subprocess.Popen(
                self.service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._started = time.monotonic()
        self.is_ready, self._elsewhere = self._elsewhere, False

    def step(self) -> None:
        """Notice that it became ready, or that it died; start it again when its time has come."""
        if self._process is None:
            if time.monotonic() >= self._not_before:
                self.restarts += not self._elsewhere
                self.start()
            return
        code = self._process.poll()
        if code is None:
            if time.monotonic() - self._started > _STEADY_AFTER_S:
                self._deaths_in_a_row = 0
            if not self.is_ready:
                self.is_ready = self.service.ready(self._printed(), self._process.pid)
            return
        _end_group(self._process.pid)
        if code == 0 and self.service.may_end:
            # Another process serves; if that one ends, ours takes over.
            self._process, self._elsewhere = None, True
            self._not_before = time.monotonic() + _LONGEST_WAIT_S
            return
        wait = min(_LONGEST_WAIT_S, 0.25 * 2**self._deaths_in_a_row)
        self._deaths_in_a_row += 1
        self._not_before = time.monotonic() + wait
        self._process, self.is_ready = None, False
        logger.warning("%s ended with code %s; it is started again in %.1f s", self.service.name, code, wait)

    def figures(self) -> dict[str, Any]:
        """What `ghostbeam status` shows of it."""
        state = "running" if self.is_ready else "starting"
        if self._elsewhere:
            state = "elsewhere"
        elif self._process is None:
            state = "died"
        return {
            "state": state,
            "pid": self._process.pid if self._process else None,
            "restarts": self.restarts,
            "deaths_in_a_row": self._deaths_in_a_row,
            "last_words": "" if self.is_ready else self._last_line(),
        }

    def ask_to_end(self) -> None:
        """Send SIGTERM, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_for_end(self, deadline: float) -> None:
        """Wait until `deadline` (of time.monotonic), then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("%s did not end when asked to and is killed", self.service.name)
        _end_group(self._process.pid)
        self._process.wait()

    def _printed(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._printed_from)
            return log.read().decode(errors="replace")

    def _last_line(self) -> str:
        lines = [line for line in self._printed().splitlines() if line.strip()]
        return lines[-1][-300:] if lines else ""


def _end_group(pid: int) -> None:
    """End what is left of a service's process group: it may have started processes that outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def supervise(config_file: str | None) -> None:
    """Run the services until asked to end."""
    config = load_config(config_file)
    status = StatusFile(config.state_dir, NAME)
    lock = _lock(status.path.with_suffix(".lock"))
    if lock is None:
        logger.info("another supervisor serves %s", config.state_dir)
        return
    stop = StopRequest()
    # Said before anything is started: who wants to start services now knows that they come.
    status.write({"ready": False, "services": {}}, every_s=0)
    os.umask(_umask(config.state_dir))
    supervised = [Supervised(service, status.path.parent) for service in services(config)]
    try:
        for one in supervised:
            one.start()
        while not stop:
            for one in supervised:
                one.step()
            ready = all(one.is_ready for one in supervised)
            status.write({"ready": ready, "services": {one.service.name: one.figures() for one in supervised}}, every_s=0.1)
            time.sleep(_EVERY_S)
    finally:
        ending = {one.service.name: one.figures() for one in supervised}
        status.write({"ready": False, "services": ending}, every_s=0)  # who asks for services now waits, and starts others
        for one in supervised:
            one.ask_to_end()
        deadline = time.monotonic() + _TERMINATION_S
        for one in supervised:
            one.wait_for_end(deadline)
        status.path.unlink(missing_ok=True)
        lock.close()


def _umask(state_dir: Path) -> int:
    """What services make is their owner's alone, or its group's too where the state directory is shared with the group."""
    return 0o007 if state_dir.stat().st_mode & stat.S_IWGRP else 0o077


def _lock(path: Path) -> TextIO | None:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(prog="python -m ghostbeam.supervisor", description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="the configuration file; default as everywhere")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    supervise(arguments.config)


if __name__ == "__main__":
    main()
