"""What a session prints when it opens."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from analysis.views.runs import last_runs
from beamline.config import DEFAULT_FILE, GhostbeamConfig

_EXAMPLE = 'RE(ghost_scan([{detector}], mask_stage, masks, num=256, exposure=0.1, md={{"sample": "name"}}))'


def banner(config: GhostbeamConfig, file: Path | None, devices: Iterable[str], detector: str, plots: str | None) -> str:
    """Say what this session is connected to, where its data go, and what to type first.

    Parameters
    ----------
    config : GhostbeamConfig
    file : Path or None
        The file that it was read from; None where there was none.
    devices : iterable of str
        Names of the devices that are connected.
    detector : str
        Name of a bucket detector, for an example.
    plots : str or None
        Why scans draw no plots; None if they do.
    """
    kind = "SIMULATED" if config.simulated else "REAL"
    prefix = f"prefix {config.epics.prefix}" if config.epics.prefix else "no prefix"
    lines = [f"ghostbeam at {config.beamline_id}: a {kind} beamline, {prefix}"]
    if file is None:
        lines.append(f"There is no {DEFAULT_FILE} in {Path.cwd()}: everything is simulated, and its data are no measurement.")
    rows = {
        "configuration": "the defaults" if file is None else str(file),
        "data": str(config.state_dir),
        "last run": _last_run(config.state_dir),
        "devices": ", ".join(devices),
        "live page": "`ghostbeam page` in a shell opens it"
        if config.tiled.uri is None
        else "none: the catalogue is served elsewhere",
        "plots": plots or "on, in windows",
        "type first": _EXAMPLE.format(detector=detector),
        "then": "live   live.watch()   runs()   cat[-1]   %wa   help(ghost_scan)",
    }
    width = max(map(len, rows))
    return "\n".join(lines + [f"  {name.ljust(width)}  {text}" for name, text in rows.items()])


def _last_run(state_dir: Path) -> str:
    runs = last_runs(state_dir, 1)
    if not runs:
        return "none yet"
    run = runs[0]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.time))
    return ", ".join(part for part in (f"scan {run.scan}" if run.scan else "", run.plan, run.sample, when, run.status) if part)
