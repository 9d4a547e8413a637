"""The commands for stored runs: list, reconstruct again, export, and bring into the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beamline.config import load_config
from ghostbeam.cli.output import AsJson, console, print_json, quiet


def runs(
    num: Annotated[int, typer.Option("--num", "-n", help="How many, the newest first.", min=1)] = 10,
    as_json: AsJson = False,
) -> None:
    """List the last runs: scan number, plan, sample, when each began, how it ended, and its reconstructions."""
    from dataclasses import asdict

    from analysis.views.runs import last_runs, runs_table

    state_dir = load_config().state_dir
    if as_json:
        print_json({"runs": [asdict(run) for run in last_runs(state_dir, num)]})
    else:
        typer.echo(runs_table(state_dir, num))


def replay(
    uid: Annotated[str, typer.Argument(help="A run in the catalogue: its uid, or five or more of its first characters.")],
    method: Annotated[str | None, typer.Option(help="Reconstruct by this method. Default: as the run asked for.")] = None,
    options: Annotated[str, typer.Option(help="The method's options, as JSON.")] = "{}",
    seed: Annotated[int | None, typer.Option(help="Seed of the reconstruction.", min=0)] = None,
    masks: Annotated[
        str | None, typer.Option(help="Reconstruct with another mask set, such as a measured one; `ghostbeam masks list`.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute what is stored and compare every bit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reconstruct a stored run again, as a new derived run; or verify stored reconstructions bit by bit.

    With --verify the uid may be that of a reconstruction, or that of a scan: then all its reconstructions are checked.
    """
    from ghostbeam.replay_command import replay_again, verify_stored

    config = load_config()
    if verify:
        raise typer.Exit(verify_stored(config, uid, console=console, as_json=as_json))
    replay_again(config, uid, method=method, options=options, seed=seed, masks=masks, console=console, as_json=as_json)


def export(
    uid: Annotated[str, typer.Argument(help="A run or a reconstruction: five or more of its uid's first characters, or `last`.")],
    method: Annotated[str | None, typer.Option(help="The reconstruction by this method alone.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="*.h5 or *.nxs: run and reconstructions; *.tif, *.csv or *.png: the image of one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run and its reconstructions for other programs: HDF5 in NeXus layout, or one image as TIFF, CSV or PNG.

    No service need run.
    """
    from ghostbeam.export_command import run_export

    run_export(load_config(), uid, method=method, output=output, console=console, as_json=as_json)


def recover(
    check: Annotated[bool, typer.Option("--check", help="Read back every stored run too, and name what is damaged.")] = False,
    forget: Annotated[str | None, typer.Option(help="Leave this given-up run out of Tiled; nothing else is done.")] = None,
    as_json: AsJson = False,
) -> None:
    """Store in Tiled every run of the document log that is missing there."""
    from ghostbeam import reprocess

    config = load_config()
    if forget is not None:
        uid = reprocess.forget(config.state_dir, forget)
        if as_json:
            print_json({"forgotten": uid})
        else:
            console.print(f"{uid} stays out of Tiled; it is in the document log.")
        return
    with quiet(as_json).status("starting") as spinner, reprocess.services(config, spinner.update) as running:
        spinner.update("comparing the catalogue with the document log")
        found = reprocess.recover(config, running, check=check, progress=spinner.update)
        for uid, differences in found.damaged.items():
            quiet(as_json).print(f"{uid} is damaged in Tiled: {'; '.join(differences)}", soft_wrap=True, markup=False)
        spinner.update(f"storing {len(found.uids)} runs")
        waiting = reprocess.wait_until_archived(config.state_dir, found.uids)
    if as_json:
        brought = [uid for uid in found.uids if uid not in waiting]
        print_json({"brought_in": brought, "damaged": found.damaged, "still_missing": waiting})
        raise typer.Exit(1 if waiting else 0)
    console.print(f"{len(found.uids) - len(waiting)} runs were stored in Tiled." if found.uids else "Nothing was missing.")
    for uid in waiting:
        console.print(f"  [red]still missing[/red] {uid}: see {config.state_dir / 'services' / 'archiver.log'}", soft_wrap=True)
    raise typer.Exit(1 if waiting else 0)
