"""The commands for files of data measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from beamline.config import load_config
from ghostbeam.cli.output import AsJson, console, fail

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

    No service needs to run.
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
        fail(str(error))
    raise typer.Exit(failed)


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
    as_json: AsJson = False,
) -> None:
    """Store data measured elsewhere as a raw run, and reconstruct them."""
    from analysis.offline.ingest_error import IngestError
    from ghostbeam.file_hints import hints_of
    from ghostbeam.ingest_command import run_ingest

    try:
        hints = hints_of(masks, buckets, shape, transform, pairs)
    except IngestError as error:
        fail(str(error))
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
