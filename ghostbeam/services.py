"""Which processes serve a beamline, how each is started, and when it is ready."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from analysis.archive.server_settings import ServerStorage, is_healthy, write_client_profile, write_server_configuration
from analysis.documents.frame_folders import allow_frames
from analysis.documents.private import private_folder
from analysis.documents.status import read_status
from beamline.config import GhostbeamConfig, epics_environment
from beamline.plates import make_plate

_PATIENCE_S = 15.0

# One core each: two libraries that both take every core would starve the scan.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Service:
    """One process.

    Parameters
    ----------
    name : str
        As `ghostbeam status` shows it, and as its files are named.
    command : list of str
        What is started.
    ready : callable
        Gets the text that this start of the process has printed and its process number, and says whether it serves.
    environment : dict
        Variables that it gets besides the inherited ones.
    port : int, optional
        The TCP port that it listens at; must be free before it starts.
    host : str
        The address that it is bound to.
    port_key : str
        The configuration key of that port, for an error's cure.
    may_end : bool
        Whether an end without an error is fine: another process of the machine does the same already.
    """

    name: str
    command: list[str]
    ready: Callable[[str, int], bool]
    environment: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    host: str = "127.0.0.1"
    port_key: str = ""
    may_end: bool = False


def tiled_uri(config: GhostbeamConfig) -> str:
    """Where the catalogue is served."""
    return config.tiled.uri or f"http://{config.tiled.host}:{config.tiled.port}"


def page_link(config: GhostbeamConfig) -> str:
    """Where the live page is, with a new read-only key. What stands behind the # is sent to no server and gets into no log."""
    from analysis.archive.read_key import read_key

    return f"{tiled_uri(config)}/custom/page/#key={read_key(config.state_dir)}"


def services(config: GhostbeamConfig) -> list[Service]:
    """All processes of this configuration, in the order in which they start. Writes the files that they need."""
    state_dir = config.state_dir
    private_folder(state_dir)
    write_client_profile(state_dir, tiled_uri(config))
    allow_frames(state_dir, config.frames_folder)
    listed = [_repeater(config)]
    if config.simulated:
        listed.append(_simulation(config))
    if config.tiled.uri is None:
        listed.append(_tiled(config))
    return [*listed, _archiver(config), _worker(config)]


def _repeater(config: GhostbeamConfig) -> Service:
    command = [sys.executable, "-P", "-m", "ghostbeam.ca_repeater", "--host", "127.0.0.1" if config.simulated else "0.0.0.0"]
    return Service("repeater", command, ready=lambda printed, pid: True, environment=epics_environment(config), may_end=True)


def _simulation(config: GhostbeamConfig) -> Service:
    section = config.simulation
    plate = private_folder(config.state_dir / "simulation") / "plate.npz"
    make_plate(config).save(plate)
    command = [sys.executable, "-P", "-m", "sims", "--prefix", config.epics.prefix, "--port", str(section.ca_port)]
    command += ["--sample", section.sample, "--plate", str(plate), "--seed", str(section.seed)]
    command += ["--speed", str(section.speed), "--photons", str(section.photons)]
    command += ["--energy", str(config.beam.energy_kev)]
    command += ["--coherent-sample", section.coherent_sample, "--flux", str(section.flux), "--frames", section.frames]
    command += ["--pair-scene", section.pair_scene, "--pair-photons", str(section.pair_photons)]
    command += ["--dual-sensor", *map(str, config.dual_camera.sensor)] + ["--scintillator"] * section.scintillator
    command += ["--xray-scene", section.radiograph_scene, "--xray-photons", str(section.radiograph_photons)]
    command += ["--xray-sensor", *map(str, config.xray_camera.sensor)]
    command += ["--xray-pixel-um", str(config.xray_camera.pixel_um)]
    return Service(
        "simulation",
        command,
        ready=lambda printed, pid: any(line.startswith("ready") for line in printed.splitlines()),
        environment={**_ONE_THREAD, **epics_environment(config)},
        port=section.ca_port,
        port_key="[simulation] ca_port",
    )


def _tiled(config: GhostbeamConfig) -> Service:
    section = config.tiled
    storage = ServerStorage(section.database_uri, section.table_uri, section.redis_uri or "memory")
    write_server_configuration(config.state_dir, storage)
    command = [sys.executable, "-P", "-m", "analysis.archive.tiled_server", "--state-dir", str(config.state_dir)]
    command += ["--host", section.host, "--port", str(section.port)]
    return Service(
        "tiled",
        command,
        ready=lambda printed, pid: is_healthy(tiled_uri(config), timeout_s=1.0),
        environment=_ONE_THREAD,
        port=section.port,
        host=section.host,
        port_key="[tiled] port",
    )


def _archiver(config: GhostbeamConfig) -> Service:
    command = [sys.executable, "-P", "-m", "analysis.archive.archiver"]
    command += ["--state-dir", str(config.state_dir), "--uri", tiled_uri(config)]
    return Service("archiver", command, _says_so(config.state_dir, "archiver"), _ONE_THREAD)


def _worker(config: GhostbeamConfig) -> Service:
    section = config.reconstruction
    command = ["nice", "-n", str(section.niceness), sys.executable, "-P", "-m", "analysis.worker.worker"]
    command += ["--state-dir", str(config.state_dir), "--threads", str(section.threads)]
    command += ["--longest-s", str(section.longest_s)]
    command += ["--recipes", json.dumps(section.recipes)]
    return Service("worker", command, _says_so(config.state_dir, "worker"))


def _says_so(state_dir: Path, name: str) -> Callable[[str, int], bool]:
    def ready(printed: str, pid: int) -> bool:
        status = read_status(state_dir, name)
        if status is None or status["pid"] != pid:
            return False
        # A server elsewhere may be down for long: that stops no scan.
        return bool(status["healthy"]) or status["running_s"] > _PATIENCE_S

    return ready
