"""From the photons to the picture: what the demos of all techniques have in common."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from analysis.documents.log import LogWriter, log_paths
from analysis.views.live_run import LiveRun
from beamline.config import CONFIG_VARIABLE, GhostbeamConfig, apply_epics_environment, load_config
from ghostbeam.control import Running, ServiceError, down, ensure_up
from ghostbeam.demo.demonstration import Demonstration
from ghostbeam.demo.progress import shown_scan, wait_for_reconstructions
from ghostbeam.reprocess import wait_until_archived


def run_demo(demo: Demonstration, *, output: Path, seed: int, console: Console) -> None:
    """Scan, reconstruct, store and draw; leave nothing running.

    Parameters
    ----------
    demo : Demonstration
        What is scanned.
    output : Path
        Folder for the picture, the configuration and the catalogue.
    seed : int
        Of everything random in the simulation.
    console : Console
        Where to tell what happens.
    """
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        _run(demo, output, seed, console)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the folder: a second demo in it would end the first one's services."""
    with (output / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another demo runs in {output}: wait for it, or give another folder with --output") from None
        yield


def _run(demo: Demonstration, output: Path, seed: int, console: Console) -> None:
    config = _configure(demo, output, seed)
    apply_epics_environment(config)
    try:
        with console.status("starting") as spinner:
            running = ensure_up(config, progress=spinner.update)
        console.print("The simulated beamline, Tiled, the archiver and the worker are up.")
        uid = _scan(config, demo, console)
        derived = wait_for_reconstructions(config.state_dir, uid, demo, console)
        _wait_for_archive(config, [uid, *(run.uid for run in derived)], console)
        picture = _draw(config, demo, uid, derived, output)
    finally:
        with console.status("ending the services"):
            down(config.state_dir)
    _summarise(console, demo, uid, derived, picture, running)


def _configure(demo: Demonstration, output: Path, seed: int) -> GhostbeamConfig:
    tables = {name: dict(keys) for name, keys in demo.configuration(seed).items()}
    tables["simulation"] |= {"seed": seed, "ca_port": _free_port(5964)}
    tables |= {"tiled": {"port": _free_port(8020)}, "reconstruction": {"methods": demo.methods}}
    lines = [
        "# Written by `ghostbeam demo`: a simulated beamline with its own catalogue.",
        "simulated = true",
        'state_dir = "state"',
    ]
    for name, keys in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = output / "beamline.toml"
    path.write_text("\n".join(lines) + "\n")
    os.environ[CONFIG_VARIABLE] = str(path.absolute())  # for the services too
    config = load_config(path)
    down(config.state_dir)  # of a demo that was killed
    return config


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _scan(config: GhostbeamConfig, demo: Demonstration, console: Console) -> str:
    from bluesky import RunEngine

    from beamline.factory import connect, make_devices
    from plans.session_metadata import SessionMetadata

    devices = make_devices(config)
    connect(devices, config.epics.connection_timeout_s)
    md = SessionMetadata(config.state_dir / "session.json")
    RE = RunEngine(cast(Any, md), scan_id_source=md.next_scan_id)
    log = LogWriter(log_paths(config.state_dir).raw)
    RE.subscribe(log)
    scan = demo.scan(config, devices)
    console.print(scan.opening)
    try:
        with shown_scan(config.state_dir, demo, scan.total, console):
            uids: Any = RE(scan.plan)
    finally:
        log.close()
        _disconnect(devices)
    return str(uids[0])


def _disconnect(devices: Iterable[Any]) -> None:
    import epics.ca

    for device in devices:
        device.destroy()
    epics.ca.finalize_libca()  # else libca tells the terminal that the simulated beamline is gone


def _wait_for_archive(config: GhostbeamConfig, uids: list[str], console: Console) -> None:
    with console.status("comparing Tiled with the document log"):
        if wait_until_archived(config.state_dir, uids):
            raise ServiceError(f"not everything reached Tiled; see {config.state_dir / 'services' / 'archiver.log'}")


def _draw(config: GhostbeamConfig, demo: Demonstration, uid: str, derived: list[LiveRun], output: Path) -> Path:
    from analysis.views.story import draw_story

    image = derived[-1].image
    assert image is not None
    path = output / "ghostbeam_demo.png"
    draw_story(config.state_dir, uid, [run.uid for run in derived], path, sample=demo.sample(config, image.shape))
    return path


def _summarise(console: Console, demo: Demonstration, uid: str, derived: list[LiveRun], picture: Path, running: Running) -> None:
    called = os.path.relpath(sys.argv[0]) if os.sep in sys.argv[0] else sys.argv[0]
    command = f"{called} --config {picture.parent / 'beamline.toml'}"
    console.print()
    console.print(f"[bold]Done.[/bold] Run {uid}, stored and compared with the log document by document.")
    lines = {
        "picture": str(picture),
        "reconstructions": ", ".join(f"{run.method} {run.uid[:8]}" for run in derived),
        "open a session": f"{command} session",
        **demo.in_session(uid),
        "replay": f"{command} replay {uid[:8]} --method {demo.again}",
        "same bits again?": f"{command} replay {uid[:8]} --verify",
        "Tiled's page": f"{running.uri}  after `{command} up`, which says where the key is",
    }
    for label, text in lines.items():
        console.print(f"  {label:<17} {text}", soft_wrap=True, markup=False)
    console.print("Everything that was started has been stopped.")
