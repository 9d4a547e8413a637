"""The command `ghostbeam`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogError
from beamline.config import CONFIG_VARIABLE
from beamline.config.errors import ConfigError
from beamline.mask_plate import MaskPlateError
from ghostbeam.cli.acquisition import demo, session
from ghostbeam.cli.files import ingest, reconstruct
from ghostbeam.cli.masks import masks_app
from ghostbeam.cli.output import fail
from ghostbeam.cli.services import down, env, page, status, up
from ghostbeam.cli.stored_runs import export, recover, replay, runs
from ghostbeam.control import ServiceError
from ghostbeam.session import NoProfileError

app = typer.Typer(
    help="Ghost imaging at a beamline: acquired and reconstructed together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (up, page, status, runs, down, session, demo, replay, reconstruct, ingest, export, recover, env):
    app.command()(command)
app.add_typer(masks_app, name="masks")
_EXPECTED = (ConfigError, MaskPlateError, ServiceError, CatalogError, LogError, NoProfileError)


def main() -> None:
    """Run the command line; expected errors end with one line that says what to do, not with a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # as with Ctrl-C, what was started is ended
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except _EXPECTED as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"cannot use {error.filename}: {error.strerror}")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ghostbeam {version('ghostbeam')}")
        raise typer.Exit


@app.callback()
def _choose_configuration(
    config: Annotated[
        Path | None, typer.Option(help="The configuration. Default: $GHOSTBEAM_CONFIG, else ./beamline.toml, else a simulation.")
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
