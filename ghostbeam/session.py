"""An IPython session from the start-up folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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


def run_session(profile: Path | None = None) -> None:
    """Become an IPython process that has run the start-up file. Does not return."""
    startup = profile_folder(profile) / STARTUP
    arguments = [sys.executable, "-m", "IPython", "--no-banner", "-i", str(startup)]
    os.execv(sys.executable, arguments)
