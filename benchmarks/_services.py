"""The services of a separate beamline, each a process that a benchmark may stop, kill and restart."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from analysis.archive.catalog import Catalog, connect
from analysis.archive.server_settings import api_key
from analysis.documents.log import LogPaths, log_paths
from beamline.config import load_config
from ghostbeam.services import Service, services, tiled_uri

_READY_S = 300.0  # on a busy machine, libraries take long to load
_END_S = 10.0
_POLL_S = 0.02

_CONFIGURATION = """\
simulated = true
state_dir = "state"

[epics]
prefix = "{prefix}"

[mask_plate]
preset = "gold-random"
num = {num_masks}
seed = {seed}

[simulation]
sample = "chromosomes"
speed = {speed}
seed = {seed}
photons = 1e4
ca_port = {ca_port}

[dual_camera]
sensor = {sensor}

[tiled]
port = {tiled_port}

[reconstruction]
methods = {methods}
"""


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Services:
    """A temporary state directory and the processes that serve it, started with ghostbeam's own commands.

    A context manager: at its end all processes are ended and the directory is removed.

    Parameters
    ----------
    methods : sequence of str
        The worker's methods for runs that list no recipes.
    num_masks : int
        Number of random masks of 64x64 pixels on the simulated plate.
    speed : float
        Speed of the simulated devices.
    seed : int
        Seed of the simulation and the plate.
    frames : str
        Frames of the simulated pixel detector, as for `python -m sims --frames`.
    sensor : pair of int
        Rows and columns of the dual camera.
    below : Path, optional
        Folder for the temporary directory; the system's by default.
    """

    def __init__(
        self,
        *,
        methods: Sequence[str] = ("differential", "tv"),
        num_masks: int = 1024,
        speed: float = 1000.0,
        seed: int = 0,
        frames: str = "diffraction",
        sensor: tuple[int, int] = (512, 1024),
        below: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ghostbeam-benchmark-", dir=below))
        self.config_file = self.folder / "beamline.toml"
        values: dict[str, Any] = {"ca_port": free_port(), "tiled_port": free_port(), "prefix": f"B{os.getpid():x}:"}
        values |= {"num_masks": num_masks, "seed": seed, "speed": speed}
        text = _CONFIGURATION.format(methods=json.dumps(list(methods)), sensor=list(sensor), **values)
        self.config_file.write_text(text)
        self.config = load_config(self.config_file)
        self.uri = tiled_uri(self.config)
        self._services = {service.name: service for service in services(self.config)}
        self._services["simulation"].command.extend(["--frames", frames])
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._printed_from: dict[str, int] = {}

    @property
    def state_dir(self) -> Path:
        """The folder of the document log."""
        return self.config.state_dir

    @property
    def logs(self) -> LogPaths:
        """The files of the document log."""
        return log_paths(self.state_dir)

    @property
    def key(self) -> str:
        """The key to the catalogue."""
        return api_key(self.state_dir)

    def catalog(self) -> Catalog:
        """A new connection to the catalogue."""
        return connect(self.uri, self.key)

    def start(self, *names: str, below: Sequence[str] = ()) -> None:
        """Start services and wait until each is ready; `below` is a command that starts the command appended to it."""
        for name in names:
            service = self._services[name]
            with self._log(name).open("ab") as log:
                self._printed_from[name] = log.tell()
                environment = {**os.environ, "PYTHONUNBUFFERED": "1", **service.environment}
                self._processes[name] = subprocess.Popen(
                    [*below, *service.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
        deadline = time.monotonic() + _READY_S
        for name in names:
            while not self._is_ready(self._services[name]):
                process = self._processes[name]
                if (process.poll() is not None and not self._services[name].may_end) or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not serve:\n{self.printed(name)[-2000:]}")
                time.sleep(_POLL_S)

    def command(self, name: str) -> list[str]:
        """The command that starts a service."""
        return self._services[name].command

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until it is gone."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def ended(self) -> list[str]:
        """Services that were started and have ended by themselves."""
        running = list(self._processes.items())
        return [name for name, process in running if process.poll() is not None and not self._services[name].may_end]

    def stop(self, *names: str) -> None:
        """SIGSTOP: the processes are suspended and keep all their resources."""
        for name in names:
            self._signal(name, signal.SIGSTOP)

    def resume(self, *names: str) -> None:
        """SIGCONT."""
        for name in names:
            self._signal(name, signal.SIGCONT)

    def printed(self, name: str) -> str:
        """The output of a service since its last start."""
        with self._log(name).open("rb") as log:
            log.seek(self._printed_from[name])
            return log.read().decode(errors="replace")

    def close(self) -> None:
        """End all processes and remove the directory."""
        self.end(*self._processes)
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self, *names: str) -> None:
        """Ask services to end, and kill those that do not."""
        processes = [self._processes.pop(name) for name in names]
        running = [process for process in processes if process.poll() is None]
        for process in running:
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + _END_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def _signal(self, name: str, number: int) -> None:
        # The whole group, because a worker's reconstructions are separate processes.
        os.killpg(self._processes[name].pid, number)

    def _is_ready(self, service: Service) -> bool:
        return service.ready(self.printed(service.name), self._processes[service.name].pid)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def wait_until(condition: Any, seconds: float, what: str) -> None:
    """Wait until `condition()` is true.

    Raises
    ------
    TimeoutError
        If it is still false after this many seconds; `what` describes the condition.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(_POLL_S)
