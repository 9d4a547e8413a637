"""Bringing the services up and down, and asking how they are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from analysis.archive.server_settings import api_key, profile_folder
from analysis.documents.private import private_file, private_folder
from analysis.documents.status import is_running, read_status
from beamline.config import GhostbeamConfig
from ghostbeam.services import Service, services, tiled_uri
from ghostbeam.starting import Starting
from ghostbeam.supervisor import NAME

_OPEN_FILES = 512
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_S = 0.1


class ServiceError(RuntimeError):
    """The services could not be started; the message says which, why and what to do."""


@dataclass(frozen=True)
class Running:
    """Services that run: where the catalogue is, and whether this call started them."""

    uri: str
    key: str
    started: bool
    profiles: Path

    @property
    def environment(self) -> dict[str, str]:
        """What `databroker.catalog["ghostbeam"]` and `tiled.client.from_profile("ghostbeam")` find the catalogue by."""
        return {"TILED_PROFILES": str(self.profiles), "TILED_API_KEY": self.key}


def ensure_up(
    config: GhostbeamConfig, *, config_file: str | None = None, progress: Callable[[str], None] = lambda text: None
) -> Running:
    """Start the services of this configuration unless they run, and wait until all of them serve.

    Parameters
    ----------
    config : GhostbeamConfig
        What to serve.
    config_file : str, optional
        The file that it was read from, if it was.
    progress : callable
        Is told, in a few words, what is waited for.

    Raises
    ------
    ServiceError
        If a port is in use, or a service dies or does nothing any more before it serves.
    OSError
        If the state directory cannot be written to.
    """
    profiles = profile_folder(config.state_dir)
    running = Running(tiled_uri(config), api_key(config.state_dir), started=False, profiles=profiles)
    starting = Starting(progress)
    started: list[subprocess.Popen[bytes]] = []
    try:
        while True:
            status = supervisor_status(config.state_dir)
            if status is not None and status.get("ready"):
                return replace(running, started=bool(started) and started[-1].poll() is None)
            if status is None:
                if started and started[-1].poll() not in (None, 0):
                    raise ServiceError(f"the services did not start. {_tail(config.state_dir, NAME)}")
                _begin(config, config_file, started)
                continue
            _check_progress(config.state_dir, status, starting)
            time.sleep(_POLL_S)
    except BaseException:  # Ctrl-C too: what this call started is ended, services that others started are left alone
        for process in started:
            _end(process, config.state_dir)
        raise


def _begin(config: GhostbeamConfig, config_file: str | None, started: list[subprocess.Popen[bytes]]) -> None:
    """Start a supervisor, unless another caller has just done so, and wait for its first status."""
    folder = private_folder(config.state_dir / "services")
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if supervisor_status(config.state_dir) is not None:
            return
        end_leftovers(config.state_dir)
        _check_open_files()
        for service in services(config):
            _check_port(service)
        with _uninterrupted():
            started.append(_start_supervisor(folder, config_file))
        while started[-1].poll() is None and supervisor_status(config.state_dir) is None:
            time.sleep(_POLL_S)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and the like until it is known what was started; only the main thread ever gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: asked.append(number)) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in asked:
            signal.raise_signal(one)


def _check_progress(state_dir: Path, status: dict[str, Any], starting: Starting) -> None:
    """Report what is waited for; raise ServiceError for a service that will not start."""
    waiting = {name: figures for name, figures in status["services"].items() if figures["state"] != "running"}
    for name, figures in waiting.items():
        if figures["deaths_in_a_row"] >= 3:
            raise ServiceError(f"the service {name} ends again and again. {_tail(state_dir, name)}")
    starting.wait_for(waiting)
    if hopeless := starting.hopeless():
        name, why = hopeless
        raise ServiceError(f"the service {name} does not start: it {why}. {_tail(state_dir, name)}")


def _end(process: subprocess.Popen[bytes], state_dir: Path) -> None:
    """End a supervisor that this process started, and its services."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    end_leftovers(state_dir)


def down(state_dir: Path) -> bool:
    """End the services of a state directory; says whether any ran."""
    status = supervisor_status(state_dir)
    if status is not None:
        psutil.Process(status["pid"]).terminate()
        _wait_for_end([status["pid"]], seconds=20)
    return end_leftovers(state_dir) or status is not None


def supervisor_status(state_dir: Path) -> dict[str, Any] | None:
    """What the supervisor last said, if it is alive."""
    status = read_status(state_dir, NAME)
    return status if status is not None and is_running(status) else None


def end_leftovers(state_dir: Path) -> bool:
    """End services whose supervisor was killed; says whether there were any."""
    status = read_status(state_dir, NAME)
    if status is None or is_running(status):
        return False
    ours = []
    for name, figures in status.get("services", {}).items():
        pid = figures.get("pid")
        # The number may belong to another process by now: only one that was started as ours is ended.
        if pid and _is_ours(pid, state_dir, name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
                ours.append(pid)
    _wait_for_end(ours, seconds=10)
    for pid in filter(_is_running, ours):  # stopped or hanging: it would keep its port, or write beside its successor
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    _wait_for_end(ours, seconds=5)
    return bool(ours)


def _wait_for_end(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(_is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_ours(pid: int, state_dir: Path, name: str) -> bool:
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
    return str(state_dir) in command or (name == "repeater" and "ghostbeam.ca_repeater" in command)


def _start_supervisor(folder: Path, config_file: str | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "ghostbeam.supervisor"]
    if config_file is not None:
        command += ["--config", config_file]
    with private_file(folder / f"{NAME}.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _check_open_files() -> None:
    """Let this process, and what it starts, open as many files as services need."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < _OPEN_FILES:
        if 0 <= most < _OPEN_FILES:
            raise ServiceError(
                f"a process may open only {most} files here, and the services need {_OPEN_FILES}. Raise the limit: `ulimit -n "
                f"{_OPEN_FILES}` in this shell, or in the system's limits.conf."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, most))


def _check_port(service: Service) -> None:
    if service.port is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.host, service.port))
        except OSError:
            raise ServiceError(
                f"port {service.port}, which {service.name} needs, is in use by {_listener(service.port)}. End that program, or "
                f"set {service.port_key} in beamline.toml to a free port."
            ) from None


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error):  # another user's processes may be hidden
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == "LISTEN" and connection.pid:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"process {connection.pid} ({command[:80]})"
    return "another program"


def _tail(state_dir: Path, name: str) -> str:
    path = state_dir / "services" / f"{name}.log"
    printed = path.read_text(errors="replace").splitlines() if path.exists() else []
    lines = [line for line in printed if line.strip()][-8:]
    return f"Its log, {path}, ends with:\n  " + "\n  ".join(lines)
