"""Bringing the services up and down, and asking how they are."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from analysis.archive.catalog import api_key, profile_folder
from analysis.documents.private import private_folder
from analysis.documents.status import is_running, read_status
from beamline.config import GhostbeamConfig
from ghostbeam.services import Service, services, tiled_uri
from ghostbeam.supervisor import NAME

_START_S = 90.0
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
        If a port is in use, a service dies, or they are not ready within 90 s.
    """
    profiles = profile_folder(config.state_dir)
    running = Running(tiled_uri(config), api_key(config.state_dir), started=False, profiles=profiles)
    status = supervisor_status(config.state_dir)
    if status is not None and status.get("ready"):
        return running
    process = None
    if status is None:
        end_leftovers(config.state_dir)
        for service in services(config):
            _check_port(service)
        process = _start_supervisor(config.state_dir, config_file)
    deadline = time.monotonic() + _START_S
    told = ""
    while time.monotonic() < deadline:
        status = supervisor_status(config.state_dir)
        if status is not None and status.get("ready"):
            return replace(running, started=process is not None)
        if process is not None and (code := process.poll()) is not None and status is None:
            if code != 0:
                raise ServiceError(f"the services did not start. {_tail(config.state_dir, NAME)}")
            process = None  # another caller's supervisor was a moment earlier
        listed = (status or {}).get("services", {})
        waiting = [name for name, figures in listed.items() if figures["state"] != "running"]
        dying = [name for name in waiting if listed[name]["deaths_in_a_row"] >= 3]
        if dying:
            message = f"the service {dying[0]} keeps dying. {_tail(config.state_dir, dying[0])}"
            if process is not None:  # services that others may be using are left alone
                down(config.state_dir)
            raise ServiceError(message)
        text = f"starting {', '.join(waiting)}" if waiting else "starting"
        if text != told:
            progress(told := text)
        time.sleep(_POLL_S)
    if process is not None:
        down(config.state_dir)
    raise ServiceError(f"the services were not ready after {_START_S:.0f} s ({told}); see {config.state_dir / 'services'}")


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


def _start_supervisor(state_dir: Path, config_file: str | None) -> subprocess.Popen[bytes]:
    folder = state_dir / "services"
    private_folder(folder)
    command = [sys.executable, "-m", "ghostbeam.supervisor"]
    if config_file is not None:
        command += ["--config", config_file]
    with (folder / f"{NAME}.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


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
