"""The command `ghostbeam`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from analysis.archive.catalog import API_KEY_VARIABLE, CatalogError, api_key_file
from analysis.documents.log import LogError, LogReader, log_paths
from beamline.config import CONFIG_VARIABLE, GhostbeamConfig, load_config
from beamline.config.errors import ConfigError
from beamline.mask_plate import MaskPlateError
from ghostbeam.control import ServiceError
from ghostbeam.masks_command import masks_app
from ghostbeam.session import NoProfileError

app = typer.Typer(
    help="Ghost imaging at a beamline: acquired and reconstructed together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(masks_app, name="masks")
console = Console(highlight=False)
_EXPECTED = (ConfigError, MaskPlateError, ServiceError, CatalogError, LogError, NoProfileError)


def main() -> None:
    """Run the command line; expected errors end with one line that says what to do, not with a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # as with Ctrl-C, what was started is ended
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except _EXPECTED as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"cannot use {error.filename}: {error.strerror}")


def _fail(message: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"[red]ghostbeam:[/red] {escape(message)}", soft_wrap=True)
    sys.exit(1)


def _print_json(result: dict[str, Any]) -> None:
    typer.echo(json.dumps(result))


def _quiet(as_json: bool) -> Console:
    """Where to print progress: nowhere, if the result is JSON."""
    return Console(quiet=True) if as_json else console


def _print_version(wanted: bool) -> None:
    if wanted:
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


_Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]


@app.command()
def up(as_json: _Json = False) -> None:
    """Start the services (Tiled, archiver, worker, and the simulated beamline if the configuration says so)."""
    from ghostbeam.control import ensure_up
    from ghostbeam.services import page_link

    config = load_config()
    with _quiet(as_json).status("starting") as spinner:
        running = ensure_up(config, progress=spinner.update)
    if as_json:
        _print_json({"started": running.started, "uri": running.uri, "key_file": _where_key(config)})
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


@app.command()
def page() -> None:
    """Open the live page in the browser: running scan, newest images, last runs. Starts no services."""
    import webbrowser

    from analysis.archive.catalog import is_healthy
    from ghostbeam.services import page_link, tiled_uri

    config = load_config()
    if config.tiled.uri is not None:
        _fail(f"the live page is served by ghostbeam's own Tiled, not by {config.tiled.uri}: remove `uri` in [tiled] to have it")
    if not is_healthy(tiled_uri(config)):
        _fail("the services are down. Start them with `ghostbeam up`")
    link = page_link(config)
    typer.echo(link)
    webbrowser.open(link)


@app.command()
def status(as_json: _Json = False) -> None:
    """Show each service's health, its lag behind the document log and its counters."""
    from ghostbeam.status_table import service_states, status_table

    states, healthy = service_states(load_config())
    if as_json:
        _print_json({"healthy": healthy, "services": {state["service"]: state for state in states}})
    else:
        console.print(status_table(load_config(), states))
    raise typer.Exit(0 if healthy else 1)


@app.command()
def runs(
    num: Annotated[int, typer.Option("--num", "-n", help="How many, the newest first.", min=1)] = 10,
    as_json: _Json = False,
) -> None:
    """List the last runs: scan number, plan, sample, when each began, how it ended, and its reconstructions."""
    from dataclasses import asdict

    from analysis.views.runs import last_runs, runs_table

    state_dir = load_config().state_dir
    if as_json:
        _print_json({"runs": [asdict(run) for run in last_runs(state_dir, num)]})
    else:
        typer.echo(runs_table(state_dir, num))


@app.command()
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


@app.command()
def session(
    profile: Annotated[Path | None, typer.Option(help="The start-up folder. Default: profile_collection.")] = None,
) -> None:
    """Open an IPython session at the beamline."""
    from ghostbeam.session import run_session

    run_session(load_config(), profile, console)


@app.command()
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


@app.command()
def replay(
    uid: Annotated[str, typer.Argument(help="A run in the catalogue: its uid, or five or more of its first characters.")],
    method: Annotated[str | None, typer.Option(help="Reconstruct by this method. Default: as the run asked for.")] = None,
    options: Annotated[str, typer.Option(help="The method's options, as JSON.")] = "{}",
    seed: Annotated[int | None, typer.Option(help="Seed of the reconstruction.", min=0)] = None,
    masks: Annotated[
        str | None, typer.Option(help="Reconstruct with another mask set, such as a measured one; `ghostbeam masks list`.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute what is stored and compare every bit.")] = False,
    as_json: _Json = False,
) -> None:
    """Reconstruct a stored run again, as a new derived run; or verify stored reconstructions bit by bit.

    With --verify the uid may be that of a reconstruction, or that of a scan: then all its reconstructions are checked.
    """
    from ghostbeam.replay_command import replay_again, verify_stored

    config = load_config()
    if verify:
        raise typer.Exit(verify_stored(config, uid, console=console, as_json=as_json))
    replay_again(config, uid, method=method, options=options, seed=seed, masks=masks, console=console, as_json=as_json)


_MasksName = Annotated[str | None, typer.Option(help="Data set with the masks, such as entry/data/masks.")]
_BucketsName = Annotated[str | None, typer.Option(help="Data set with the buckets.")]
_Shape = Annotated[str | None, typer.Option(help="Rows x columns of a mask, such as 32x32, if the file does not contain them.")]
_Transform = Annotated[
    str | None,
    typer.Option(help="The transform of `coefficients`: haar, hadamard, hadamard-sequency, hadamard-dyadic, legall, db2, ..."),
]
_Mend = Annotated[
    list[str] | None,
    typer.Option(help="Correct a mistake in masks and buckets, such as invert-masks or shift=1; may be given several times."),
]


@app.command()
def reconstruct(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|UID",
            help="A file or folder with masks and buckets, see docs/how_to_ingest.md; or a run: five or more of its uid's first "
            "characters, or `last`.",
        ),
    ],
    method: Annotated[str, typer.Option("--method", "-m", help="Reconstruct by this method.")] = "n2g",
    compare: Annotated[str, typer.Option("--compare", "-c", help="Further methods, separated by commas.")] = "",
    options: Annotated[str, typer.Option(help="Options of --method, as JSON.")] = "{}",
    seed: Annotated[int | None, typer.Option(help="Seed of the reconstructions.", min=0)] = None,
    device: Annotated[str | None, typer.Option(help="Where networks are trained, such as cuda. Default: cpu.")] = None,
    time_budget: Annotated[float | None, typer.Option(help="How long a method that trains a network may take, in s.")] = None,
    fraction: Annotated[float, typer.Option(help="Use only this part of the realizations or frames, the first.")] = 1.0,
    reference: Annotated[Path | None, typer.Option(help="A picture of the object to compare with: NPY, TIFF, PNG.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the picture, or the picture itself, *.png.")] = Path(
        "reconstructed"
    ),
    save: Annotated[Path | None, typer.Option(help="Save images and spreads too: *.npz or *.h5.")] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="Of a file: data set with the masks. Of a run: another mask set, such as a measured one; `ghostbeam masks list`."
        ),
    ] = None,
    buckets: _BucketsName = None,
    shape: _Shape = None,
    transform: _Transform = None,
    pairs: Annotated[
        Literal["masks"] | None, typer.Option(help="masks: realizations are pairs of a mask and its complement.")
    ] = None,
    mend: _Mend = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one line of JSON.")] = False,
) -> None:
    """Reconstruct a file or a stored run by one or more methods, print a table and draw a picture. Nothing is stored in Tiled.

    No service need run.
    """
    from analysis.offline.ingest_error import IngestError
    from ghostbeam.file_hints import hints_of
    from ghostbeam.reconstruct_command import ReconstructError, run_reconstruct

    try:
        failed = run_reconstruct(
            load_config(),
            source,
            method=method,
            others=compare,
            options=options,
            seed=seed,
            device=device,
            time_budget_s=time_budget,
            fraction=fraction,
            masks=masks,
            reference=reference,
            output=output,
            save=save,
            hints=hints_of(None, buckets, shape, transform, pairs),
            mend=mend or [],
            console=console,
            as_json=as_json,
        )
    except (ReconstructError, IngestError) as error:
        _fail(str(error))
    raise typer.Exit(failed)


@app.command()
def ingest(
    file: Annotated[Path, typer.Argument(help="NPZ, HDF5, MATLAB, NPY, CSV, TIFF, or a folder; see docs/how_to_ingest.md.")],
    fraction: Annotated[float, typer.Option(help="Use only this part of the realizations or frames, the first.")] = 1.0,
    sample: Annotated[str | None, typer.Option(help="The sample's name. Default: the file's.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Reconstruct by this method; may be given several times.")] = None,
    frames: Annotated[str | None, typer.Option(help="Data set with frames (N, H, W), where its name is not known.")] = None,
    positions: Annotated[
        list[str] | None, typer.Option(help="Data set with positions (N, 2): y, x. Given twice: that of y, that of x.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of positions or angles, if the file says none: um, deg, ...")] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Frames are pairs: `halves` of each frame, or `consecutive` ones; or pairs of `masks` and complements."
        ),
    ] = None,
    half: Annotated[
        list[str] | None,
        typer.Option(help="Window of a half, given twice: first row, row after the last one, first column, column after it."),
    ] = None,
    masks: _MasksName = None,
    buckets: _BucketsName = None,
    shape: _Shape = None,
    transform: _Transform = None,
    mend: _Mend = None,
    output: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("ingested"),
    as_json: _Json = False,
) -> None:
    """Store data measured elsewhere as a raw run, and reconstruct them."""
    from analysis.offline.ingest_error import IngestError
    from ghostbeam.file_hints import hints_of
    from ghostbeam.ingest_command import run_ingest

    try:
        hints = hints_of(masks, buckets, shape, transform, pairs)
    except IngestError as error:
        _fail(str(error))
    run_ingest(
        load_config(),
        file,
        fraction=fraction,
        sample=sample,
        methods=method or [],
        frames=frames,
        positions=positions or [],
        unit=unit,
        pairs=pairs,
        halves=half or [],
        hints=hints,
        mend=mend or [],
        output=output,
        console=console,
        as_json=as_json,
    )


@app.command()
def export(
    uid: Annotated[str, typer.Argument(help="A run or a reconstruction: five or more of its uid's first characters, or `last`.")],
    method: Annotated[str | None, typer.Option(help="The reconstruction by this method alone.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="*.h5 or *.nxs: run and reconstructions; *.tif, *.csv or *.png: the image of one."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Write a run and its reconstructions for other programs: HDF5 in NeXus layout, or one image as TIFF, CSV or PNG.

    No service need run.
    """
    from ghostbeam.export_command import run_export

    run_export(load_config(), uid, method=method, output=output, console=console, as_json=as_json)


@app.command()
def recover(
    check: Annotated[bool, typer.Option("--check", help="Read back every stored run too, and name what is damaged.")] = False,
    forget: Annotated[str | None, typer.Option(help="Leave this given-up run out of Tiled; nothing else is done.")] = None,
    as_json: _Json = False,
) -> None:
    """Store in Tiled every run of the document log that is missing there."""
    from ghostbeam import reprocess

    config = load_config()
    if forget is not None:
        uid = reprocess.forget(config.state_dir, forget)
        if as_json:
            _print_json({"forgotten": uid})
        else:
            console.print(f"{uid} stays out of Tiled; it is in the document log.")
        return
    with _quiet(as_json).status("starting") as spinner, reprocess.services(config, spinner.update) as running:
        spinner.update("comparing the catalogue with the document log")
        found = reprocess.recover(config, running, check=check, progress=spinner.update)
        for uid, differences in found.damaged.items():
            _quiet(as_json).print(f"{uid} is damaged in Tiled: {'; '.join(differences)}", soft_wrap=True, markup=False)
        spinner.update(f"storing {len(found.uids)} runs")
        waiting = reprocess.wait_until_archived(config.state_dir, found.uids)
    if as_json:
        brought = [uid for uid in found.uids if uid not in waiting]
        _print_json({"brought_in": brought, "damaged": found.damaged, "still_missing": waiting})
        raise typer.Exit(1 if waiting else 0)
    console.print(f"{len(found.uids) - len(waiting)} runs were stored in Tiled." if found.uids else "Nothing was missing.")
    for uid in waiting:
        console.print(f"  [red]still missing[/red] {uid}: see {config.state_dir / 'services' / 'archiver.log'}", soft_wrap=True)
    raise typer.Exit(1 if waiting else 0)


@app.command()
def env() -> None:
    """Print what a shell needs for `databroker.catalog["ghostbeam"]` and `tiled.client.from_profile("ghostbeam")`.

    Use it as: eval "$(ghostbeam env)"
    """
    from analysis.archive.catalog import api_key, profile_folder, write_client_profile
    from ghostbeam.services import tiled_uri

    config = load_config()
    api_key(config.state_dir)  # makes the file on first use
    key = f"${API_KEY_VARIABLE}" if os.environ.get(API_KEY_VARIABLE) else f"$(cat {shlex.quote(_where_key(config))})"
    write_client_profile(config.state_dir, tiled_uri(config))
    typer.echo(f"export TILED_PROFILES={shlex.quote(str(profile_folder(config.state_dir)))}")
    typer.echo(f'export TILED_API_KEY="{key}"')


def _where_key(config: GhostbeamConfig) -> str:
    return f"${API_KEY_VARIABLE}" if os.environ.get(API_KEY_VARIABLE) else str(api_key_file(config.state_dir))
