"""The commands for mask sets, `ghostbeam masks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beamline.config import load_config
from ghostbeam.cli.output import AsJson

masks_app = typer.Typer(
    help="Mask sets as designed and as measured: list, show, compare.", no_args_is_help=True, pretty_exceptions_enable=False
)
_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the picture, or the picture itself, *.png.")]


@masks_app.command("list")
def list_sets(as_json: AsJson = False) -> None:
    """List the mask sets in the state directory, and how many scans and reconstructions were made with each."""
    from ghostbeam.mask_tables import list_mask_sets

    list_mask_sets(load_config().state_dir, as_json=as_json)


@masks_app.command()
def show(
    mask_set: Annotated[str, typer.Argument(help="Four or more of the identity's first characters.")],
    shift: Annotated[float | None, typer.Option(help="Tolerance of a mask's place, mask pixels. Default: 0.5.", min=0)] = None,
    departure: Annotated[
        float | None, typer.Option(help="Tolerance of its transmission against the design, rms. Default: 0.15.", min=0)
    ] = None,
    output: _Output = Path("masks"),
    as_json: AsJson = False,
) -> None:
    """Tell all about a mask set, name the masks out of tolerance, and draw a picture."""
    from ghostbeam.mask_tables import show_mask_set

    show_mask_set(load_config().state_dir, mask_set, shift=shift, departure=departure, output=output, as_json=as_json)


@masks_app.command()
def compare(
    first: Annotated[str, typer.Argument(help="Four or more of the identity's first characters.")],
    second: Annotated[str, typer.Argument(help="The same of another set of as many masks.")],
    output: _Output = Path("masks"),
    as_json: AsJson = False,
) -> None:
    """Compare the masks of two sets one by one, and draw the one in which they differ most."""
    from ghostbeam.mask_tables import compare_mask_sets

    compare_mask_sets(load_config().state_dir, first, second, output=output, as_json=as_json)
