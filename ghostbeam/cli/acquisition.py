"""The commands that open a session at the beamline, and that show a simulated one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from beamline.config import load_config
from ghostbeam.cli.output import console


def session(
    profile: Annotated[Path | None, typer.Option(help="The start-up folder. Default: profile_collection.")] = None,
) -> None:
    """Open an IPython session at the beamline."""
    from ghostbeam.session import run_session

    run_session(load_config(), profile, console)


def demo(
    technique: Annotated[
        Literal["ghost", "fly", "pairs", "radiographs"],
        typer.Option(
            help="ghost: a ghost image through masks. fly: a fly scan. pairs: a series of frame pairs, denoised live. "
            "radiographs: a tomographic scan, whose slices grow."
        ),
    ] = "ghost",
    num: Annotated[
        int | None,
        typer.Option(
            help="Realizations to measure (default 1024), or frames: of fly in lines of 100 (default 4100), of pairs 240, of "
            "radiographs 120.",
            min=64,
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("demo_output"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated physics and of the masks.", min=0)] = 1,
) -> None:
    """Scan a simulated sample, reconstruct it during the scan, and draw the result."""
    from ghostbeam.demo import demonstration_of
    from ghostbeam.demo.run import run_demo

    run_demo(demonstration_of(technique, num), output=output, seed=seed, console=console)
