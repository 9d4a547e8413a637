"""An IPython session from the start-up folder."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from analysis.archive.server_settings import check_key
from beamline.config import GhostbeamConfig
from ghostbeam.control import ensure_up

STARTUP = "startup.py"


class NoProfileError(RuntimeError):
    """There is no start-up folder."""


def profile_folder(given: Path | None = None) -> Path:
    """The start-up folder: the given one, ./profile_collection, or the one that came with the installation.

    Raises
    ------
    NoProfileError
        If it has no start-up file.
    """
    candidates = [given] if given else [Path("profile_collection"), Path(__file__).parent.parent / "profile_collection"]
    for folder in candidates:
        if (folder / STARTUP).is_file():
            return folder.resolve()
    raise NoProfileError(f"no {STARTUP} in {' or '.join(map(str, candidates))}: name the start-up folder with --profile")


def run_session(config: GhostbeamConfig, profile: Path | None, console: Console) -> None:
    """Start the services unless they run, then become an IPython process that has run the start-up file. Does not return.

    Raises
    ------
    NoProfileError, ServiceError
        If there is no start-up file, or the services do not start.
    """
    startup = profile_folder(profile) / STARTUP
    with console.status("starting") as spinner:
        running = ensure_up(config, progress=spinner.update)
    check_key(running.uri, running.key)  # told here, in one line
    if running.started:
        console.print("The services keep running after this session; `ghostbeam down` stops them.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    arguments = [sys.executable, "-P", "-m", "IPython", "--no-banner", "--InteractiveShellApp.ignore_cwd=True", "-i"]
    os.execv(sys.executable, [*arguments, str(startup)])
