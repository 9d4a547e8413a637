"""The commands that start, show and end the services."""

from __future__ import annotations

import os
import shlex
import stat

import typer

from analysis.archive.server_settings import API_KEY_VARIABLE, api_key_file
from analysis.documents.log import LogReader, log_paths
from beamline.config import GhostbeamConfig, load_config
from ghostbeam.cli.output import AsJson, console, fail, print_json, quiet


def up(as_json: AsJson = False) -> None:
    """Start the services (Tiled, archiver, worker, and the simulated beamline if the configuration says so)."""
    from ghostbeam.control import ensure_up
    from ghostbeam.services import page_link

    config = load_config()
    with quiet(as_json).status("starting") as spinner:
        running = ensure_up(config, progress=spinner.update)
    if as_json:
        print_json({"started": running.started, "uri": running.uri, "key_file": _where_key(config)})
        return
    console.print(f"The services {'are up' if running.started else 'were up already'}.")
    console.print(f"  catalogue   {running.uri}", soft_wrap=True)
    if config.tiled.uri is None:
        console.print(f"  live page   {page_link(config)}", soft_wrap=True, markup=False)
    console.print(f"  Tiled's own {running.uri}/?api_key=KEY with the key in {_where_key(config)}", soft_wrap=True)
    console.print("  next        ghostbeam session | ghostbeam page | ghostbeam status | ghostbeam down", soft_wrap=True)
    if config.state_dir.stat().st_mode & stat.S_IROTH:
        console.print(
            f"  note        everybody on this machine can read {config.state_dir}; `chmod 700` restricts it to you",
            soft_wrap=True,
        )


def page() -> None:
    """Open the live page in the browser: running scan, newest images, last runs. Starts no services."""
    import webbrowser

    from analysis.archive.server_settings import is_healthy
    from ghostbeam.services import page_link, tiled_uri

    config = load_config()
    if config.tiled.uri is not None:
        fail(f"the live page is served by ghostbeam's own Tiled, not by {config.tiled.uri}: remove `uri` in [tiled] to have it")
    if not is_healthy(tiled_uri(config)):
        fail("the services are down. Start them with `ghostbeam up`")
    link = page_link(config)
    typer.echo(link)
    webbrowser.open(link)


def status(as_json: AsJson = False) -> None:
    """Show each service's health, its lag behind the document log and its counters."""
    from ghostbeam.status_table import service_states, status_table

    states, healthy = service_states(load_config())
    if as_json:
        print_json({"healthy": healthy, "services": {state["service"]: state for state in states}})
    else:
        console.print(status_table(load_config(), states))
    raise typer.Exit(0 if healthy else 1)


def down() -> None:
    """End the services."""
    from ghostbeam import control

    config = load_config()
    with console.status("ending the services"):
        ran = control.down(config.state_dir)
    console.print("The services are down." if ran else "No services were running.")
    if ran and any(run.stop is None for run in LogReader(log_paths(config.state_dir).raw).runs()):
        ends = "ends with the simulated beamline" if config.simulated else "continues"
        console.print(f"A scan was running: it {ends}. Its data are in the log; `ghostbeam up` stores them in Tiled.")


def env() -> None:
    """Print what a shell needs for `databroker.catalog["ghostbeam"]` and `tiled.client.from_profile("ghostbeam")`.

    Use it as: eval "$(ghostbeam env)"
    """
    from analysis.archive.server_settings import api_key, profile_folder, write_client_profile
    from ghostbeam.services import tiled_uri

    config = load_config()
    api_key(config.state_dir)  # makes the file on first use
    key = f"${API_KEY_VARIABLE}" if os.environ.get(API_KEY_VARIABLE) else f"$(cat {shlex.quote(_where_key(config))})"
    write_client_profile(config.state_dir, tiled_uri(config))
    typer.echo(f"export TILED_PROFILES={shlex.quote(str(profile_folder(config.state_dir)))}")
    typer.echo(f'export TILED_API_KEY="{key}"')


def _where_key(config: GhostbeamConfig) -> str:
    return f"${API_KEY_VARIABLE}" if os.environ.get(API_KEY_VARIABLE) else str(api_key_file(config.state_dir))
