"""The command `ghostbeam`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.documents.catalog import API_KEY_VARIABLE, CatalogError
from analysis.documents.log import LogError
from beamline.config import CONFIG_VARIABLE, GhostbeamConfig, load_config
from beamline.config_errors import ConfigError
from beamline.mask_plate import MaskPlateError
from ghostbeam.control import ServiceError

app = typer.Typer(
    help="Ghost imaging at a beamline: acquired and reconstructed together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console(highlight=False)
_EXPECTED = (ConfigError, MaskPlateError, ServiceError, CatalogError, LogError)


def main() -> None:
    """Run the command line; what can be foreseen ends with one line that says what to do, not with a traceback."""
    try:
        app()
    except _EXPECTED as error:
        Console(stderr=True, highlight=False).print(f"[red]ghostbeam:[/red] {error}", soft_wrap=True)
        sys.exit(1)


@app.callback()
def _choose_configuration(
    config: Annotated[
        Path | None, typer.Option(help="The configuration file. Default: $GHOSTBEAM_CONFIG, else ./beamline.toml, else a simulation.")
    ] = None,
) -> None:
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)


@app.command()
def up() -> None:
    """Start the services (Tiled, archiver, worker, and the simulated beamline if the configuration says so)."""
    from ghostbeam.control import ensure_up

    config = load_config()
    with console.status("starting") as spinner:
        running = ensure_up(config, progress=spinner.update)
    console.print(f"The services {'are up' if running.started else 'were up already'}.")
    console.print(f"  catalogue   {running.uri}  (key: {_where_key(config)})", soft_wrap=True)
    console.print("  next        ghostbeam session | ghostbeam status | ghostbeam down", soft_wrap=True)


@app.command()
def status() -> None:
    """Show each service's health, its lag behind the document log and its counters."""
    from ghostbeam.status_table import status_table

    table, healthy = status_table(load_config())
    console.print(table)
    raise typer.Exit(0 if healthy else 1)


@app.command()
def down() -> None:
    """End the services."""
    from ghostbeam import control

    with console.status("ending the services"):
        ran = control.down(load_config().state_dir)
    console.print("The services are down." if ran else "No services were running.")


@app.command()
def session(
    profile: Annotated[Path | None, typer.Option(help="The start-up folder. Default: profile_collection.")] = None,
) -> None:
    """Open an IPython session at the beamline."""
    from ghostbeam.session import run_session

    load_config()  # a mistake in the file is told before anything starts
    run_session(profile)


@app.command()
def demo(
    num: Annotated[int, typer.Option(help="Realizations to measure.", min=64)] = 1024,
    output: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("demo_output"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated physics and of the masks.", min=0)] = 1,
) -> None:
    """Scan a simulated sample with 64x64 pixels, reconstruct it meanwhile, and draw what happened."""
    from ghostbeam.demo import run_demo

    run_demo(load_config(), num=num, output=output, seed=seed, console=console)


@app.command()
def env() -> None:
    """Print what a shell needs for `databroker.catalog["ghostbeam"]` and `tiled.client.from_profile("ghostbeam")`.

    Use it as: eval "$(ghostbeam env)"
    """
    from analysis.documents.catalog import api_key, write_client_profile
    from ghostbeam.services import tiled_uri

    config = load_config()
    folder = write_client_profile(config.state_dir, tiled_uri(config), api_key(config.state_dir))
    typer.echo(f"export TILED_PROFILES={folder}")


def _where_key(config: GhostbeamConfig) -> str:
    return f"${API_KEY_VARIABLE}" if os.environ.get(API_KEY_VARIABLE) else str(config.state_dir / "tiled" / "api_key")
