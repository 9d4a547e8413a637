"""`ghostbeam demo`: one scan of the simulated beamline, from the photons to the picture."""

from __future__ import annotations

import fcntl
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.live import Live as Display
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from analysis.documents.log import LogReader, LogWriter, log_paths
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.views.live import Live, LiveRun
from beamline.config import CONFIG_VARIABLE, GhostbeamConfig, apply_epics_environment, load_config
from ghostbeam.control import Running, ServiceError, down, ensure_up
from ghostbeam.reprocess import wait_until_archived

_METHODS = ("differential", "tv", "n2g")
_RECONSTRUCTED_S = 300.0
_REFRESH_S = 0.25

_CONFIGURATION = """\
# Written by `ghostbeam demo`: a simulated beamline with its own catalogue.
simulated = true
state_dir = "state"

[mask_plate]
preset = "gold-random"
num = {num}
seed = {seed}

[simulation]
sample = "chromosomes"
speed = 15.0
seed = {seed}
photons = 1e4
ca_port = {ca_port}

[tiled]
port = {tiled_port}

[reconstruction]
methods = {methods}
"""


def run_demo(*, num: int, output: Path, seed: int, console: Console) -> None:
    """Scan, reconstruct, store and draw; leave nothing running.

    Parameters
    ----------
    num : int
        Realizations.
    output : Path
        Folder for the picture, the configuration and the catalogue.
    seed : int
        Of the sample, the masks and the photons.
    console : Console
        Where to tell what happens.
    """
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        _run(num, output, seed, console)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the folder: a second demo in it would end the first one's services."""
    with (output / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another demo runs in {output}: wait for it, or give another folder with --output") from None
        yield


def _run(num: int, output: Path, seed: int, console: Console) -> None:
    config = _configure(num, output, seed)
    apply_epics_environment(config)
    try:
        with console.status("starting") as spinner:
            running = ensure_up(config, progress=spinner.update)
        console.print("The simulated beamline, Tiled, the archiver and the worker are up.")
        uid = _scan(config, num, console)
        derived = _wait_for_reconstructions(config, uid, console)
        _wait_for_archive(config, [uid, *(run.uid for run in derived)], console)
        picture = _draw(config, uid, derived, output)
    finally:
        with console.status("ending the services"):
            down(config.state_dir)
    _summarise(console, uid, derived, picture, running)


def _configure(num: int, output: Path, seed: int) -> GhostbeamConfig:
    path = output / "beamline.toml"
    values = {"num": num, "seed": seed, "ca_port": _free_port(5964), "tiled_port": _free_port(8020)}
    path.write_text(_CONFIGURATION.format(methods=list(_METHODS), **values).replace("'", '"'))
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


def _scan(config: GhostbeamConfig, num: int, console: Console) -> str:
    from bluesky import RunEngine

    from beamline.factory import connect, make_devices
    from beamline.plates import make_plate
    from plans import ghost_scan
    from plans.session_metadata import SessionMetadata

    devices = make_devices(config)
    connect(devices, config.epics.connection_timeout_s)
    masks = make_plate(config)
    devices.mask_stage.mount(masks)
    MaskStore(config.state_dir).save(masks)
    md = SessionMetadata(config.state_dir / "session.json")
    RE = RunEngine(cast(Any, md), scan_id_source=md.next_scan_id)
    log = LogWriter(log_paths(config.state_dir).raw)
    RE.subscribe(log)
    plan = ghost_scan(
        [devices.diode],
        devices.mask_stage,
        masks,
        num=num,
        exposure=0.1,
        order="given",
        indices=list(range(num)),
        shutter=devices.shutter,
        md={"sample": config.simulation.sample, "purpose": "demo"},
    )
    height, width = masks.shape
    console.print(f"Scanning {num} masks for {height}x{width} pixels (compression {height * width / num:.1f}).")
    done = threading.Event()
    shown = threading.Thread(target=_show_scan, args=(config.state_dir, num, done, console), daemon=True)
    shown.start()
    try:
        uids: Any = RE(plan)
    finally:
        done.set()
        shown.join()
        log.close()
        _disconnect(devices)
    return str(uids[0])


def _disconnect(devices: Iterable[Any]) -> None:
    import epics.ca

    for device in devices:
        device.destroy()
    epics.ca.finalize_libca()  # else libca tells the terminal that the simulated beamline is gone


def _show_scan(state_dir: Path, num: int, done: threading.Event, console: Console) -> None:
    reader, live = LogReader(log_paths(state_dir).raw), Live(state_dir)
    position, count = reader.last_position(), 0
    before = {run.uid for run in live.runs()}
    progress = _progress()
    task = progress.add_task("realizations", total=num)
    with Display(progress, console=console, refresh_per_second=8) as display:
        while True:
            last = done.wait(_REFRESH_S)
            for record in reader.read(position, limit=10_000):
                position = record.position
                count += record.name == "event" and "mask_stage_index" in record.doc["data"]
            progress.update(task, completed=count)
            display.update(_panel(progress, [run for run in live.runs() if run.uid not in before]))
            if last:
                break
    console.print()


def _wait_for_reconstructions(config: GhostbeamConfig, uid: str, console: Console) -> list[LiveRun]:
    live = Live(config.state_dir)
    deadline = time.monotonic() + _RECONSTRUCTED_S
    progress = _progress()
    task = progress.add_task("finishing the reconstructions", total=len(_METHODS))
    with Display(progress, console=console, refresh_per_second=8) as display:
        while time.monotonic() < deadline:
            runs = [run for run in live.runs() if run.raw_uid == uid]
            ended = [run for run in runs if run.stop is not None]
            progress.update(task, completed=len(ended))
            display.update(_panel(progress, runs))
            if len(ended) == len(_METHODS):
                for run in ended:
                    if run.state == "failed":
                        raise ServiceError(f"the reconstruction {run.method} failed: {run.stop['reason'] if run.stop else ''}")
                break
            time.sleep(_REFRESH_S)
        else:
            log = config.state_dir / "services" / "worker.log"
            raise ServiceError(f"the reconstructions did not end within {_RECONSTRUCTED_S:.0f} s; see {log}")
    console.print()
    return sorted(ended, key=lambda run: _METHODS.index(run.method))


def _wait_for_archive(config: GhostbeamConfig, uids: list[str], console: Console) -> None:
    with console.status("comparing Tiled with the document log"):
        if wait_until_archived(config.state_dir, uids):
            raise ServiceError(f"not everything reached Tiled; see {config.state_dir / 'services' / 'archiver.log'}")


def _draw(config: GhostbeamConfig, uid: str, derived: list[LiveRun], output: Path) -> Path:
    from analysis.views.story import draw_story
    from sims.samples import make_sample

    shape = derived[0].image
    assert shape is not None
    sample = make_sample(config.simulation.sample, shape.shape, config.simulation.seed)
    path = output / "ghostbeam_demo.png"
    draw_story(config.state_dir, uid, [run.uid for run in derived], path, sample=sample)
    return path


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def _panel(progress: Progress, runs: list[LiveRun]) -> Table:
    grid = Table.grid()
    grid.add_row(progress)
    if runs:
        table = Table("method", "state", "realizations", "held-out loss", "resolution (FRC)", box=None, pad_edge=False)
        for run in runs:
            table.add_row(run.method, run.state, str(run.used), *_quality(run.estimate))
        grid.add_row(table)
    return grid


def _quality(estimate: dict[str, Any]) -> tuple[str, str]:
    loss, resolution = estimate.get("heldout_loss", math.nan), estimate.get("frc_resolution_px", math.nan)
    return "" if math.isnan(loss) else f"{loss:.3g}", "" if math.isnan(resolution) else f"{resolution:.1f} px"


def _summarise(console: Console, uid: str, derived: list[LiveRun], picture: Path, running: Running) -> None:
    called = os.path.relpath(sys.argv[0]) if os.sep in sys.argv[0] else sys.argv[0]
    command = f"{called} --config {picture.parent / 'beamline.toml'}"
    console.print()
    console.print(f"[bold]Done.[/bold] Run {uid}, stored and compared with the log document by document.")
    lines = [
        ("picture", str(picture)),
        ("reconstructions", ", ".join(f"{run.method} {run.uid[:8]}" for run in derived)),
        ("open a session", f"{command} session"),
        ("replay", f"{command} replay {uid[:8]} --method tv"),
        ("same bits again?", f"{command} replay {uid[:8]} --verify"),
        ("Tiled's page", f"{running.uri}  after `{command} up`, which says where the key is"),
    ]
    for label, text in lines:
        console.print(f"  {label:<17} {text}", soft_wrap=True)
    console.print("Everything that was started has been ended.")
