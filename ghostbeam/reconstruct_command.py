"""`ghostbeam reconstruct`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceMissing
from analysis.offline.acquisition import Acquisition, RunUnknown, from_file, from_log
from analysis.offline.comparison import Comparison, compare, loss_doubt
from analysis.offline.comparison_file import check_saving, save_comparison
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints
from analysis.offline.mask_folder import holds_buckets
from analysis.offline.orientation import orientation_doubt
from analysis.offline.reference_picture import read_reference, reference_for
from analysis.techniques.ghost.mask_sets import MASK_SET
from analysis.views.comparison_figure import draw_comparison, is_own
from analysis.views.masks import whole_identity
from analysis.worker.compute import THREAD_VARIABLES
from beamline.config import GhostbeamConfig
from ghostbeam.comparison_table import caption, comparison_table, document, options_told
from ghostbeam.file_hints import as_options
from ghostbeam.method_options import parsed_options

_FILE_SUFFIXES = (".npz", ".h5", ".hdf5", ".nxs", ".hdf", ".mat", ".npy", ".csv")


class ReconstructError(RuntimeError):
    """What was asked for cannot be done; the message says why and what to do."""


def run_reconstruct(
    config: GhostbeamConfig,
    source: str,
    *,
    method: str,
    others: str,
    options: str,
    seed: int | None,
    device: str | None,
    time_budget_s: float | None,
    fraction: float,
    masks: str | None,
    reference: Path | None,
    output: Path,
    save: Path | None,
    hints: Hints,
    mend: list[str],
    console: Console,
    as_json: bool,
) -> int:
    """Reconstruct a file or a run by one or more methods, print a table, and draw a picture; nothing is stored in Tiled.

    Returns
    -------
    int
        0, or 1 if a compared method could make no image.

    Raises
    ------
    ReconstructError
        If the source, a method, an option or a place to write to makes no sense, which is found out before anything is computed,
        or the method doesn't suit the data.
    """
    quiet = Console(quiet=True) if as_json else console
    methods = list(dict.fromkeys([method, *(name.strip() for name in others.split(",") if name.strip())]))
    try:
        if save is not None:
            check_saving(save)
        given = parsed_options(options)
        with quiet.status("reading the data"):
            acquisition = _read(config, source, fraction, masks, hints, mend)
            recipes = [_recipe(config, acquisition, name, seed, device) for name in methods]
            recipes[0] = replace(recipes[0], options={**recipes[0].options, **given})
            shape = (acquisition.masks.shape[1], acquisition.masks.shape[2])
            pictured = acquisition.reference if reference is None else read_reference(reference, shape)
            comparable = None if pictured is None else reference_for(pictured, shape)
            picture = _place(output, source, acquisition, methods)
        with _progress(quiet) as told, _threads(config.reconstruction.threads):
            comparison = compare(acquisition, recipes, reference=comparable, time_budget_s=time_budget_s, progress=told)
    except (ValueError, RunUnknown, ReferenceMissing, MemoryError) as error:
        raise ReconstructError(str(error)) from error
    with quiet.status("drawing"):
        title = caption(acquisition)
        doubts = [*acquisition.doubts, *_further_doubts(acquisition, comparison, comparable if reference is not None else None)]
        draw_comparison(
            picture,
            comparison,
            title=title,
            pixel_size_um=acquisition.pixel_size_um,
            reference=pictured,
            doubts=doubts,
        )
    if save is not None:
        save_comparison(save, comparison, pixel_size_um=acquisition.pixel_size_um)
    if as_json:
        print(json.dumps(document(acquisition, comparison, doubts=doubts, picture=picture, saved=save)))
        return 1 if comparison.failed else 0
    console.print(f"Reconstructed {title}.", markup=False, soft_wrap=True)
    for remark in acquisition.remarks:
        console.print(f"  {remark}", markup=False, soft_wrap=True)
    for doubt in doubts:
        console.print(f"  ATTENTION: {doubt}", markup=False, style="red", soft_wrap=True)
    console.print(comparison_table(acquisition, comparison))
    for line in options_told(comparison):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    for name, reason in comparison.failed.items():
        console.print(f"[red]{name} computed no image:[/red] ", end="")
        console.print(reason, markup=False, soft_wrap=True)
    console.print(f"  picture    {picture}", markup=False, soft_wrap=True)
    if save is not None:
        console.print(f"  arrays     {save}", markup=False, soft_wrap=True)
    if acquisition.uid is None:
        store = (
            f"ghostbeam ingest {shlex.quote(source)} --method {method} {as_options(replace(hints, masks=masks), mend)}".rstrip()
        )
    else:
        store = f"ghostbeam replay {acquisition.uid[:8]} --method {method}"
    console.print(f"  store it   {store}  (nothing has been stored in Tiled)", markup=False, soft_wrap=True)
    return 1 if comparison.failed else 0


def _read(config: GhostbeamConfig, source: str, fraction: float, masks: str | None, hints: Hints, mend: list[str]) -> Acquisition:
    path = Path(source)
    if path.is_dir() and not holds_buckets(path):
        raise IngestError(f"{path} is a folder without `buckets`: give a file in it, or a run's uid")
    if path.exists() or path.suffix.lower() in _FILE_SUFFIXES or len(path.parts) > 1:
        return from_file(path, fraction=fraction, hints=replace(hints, masks=masks), mend=mend)
    if hints != Hints():
        raise IngestError(
            f"{source} is a run, whose masks and buckets are known: leave out --buckets, --shape, --transform and --pairs"
        )
    identity = None if masks is None else whole_identity(config.state_dir, masks)
    return from_log(config.state_dir, source, fraction=fraction, mask_set=identity, mend=mend)


def _further_doubts(acquisition: Acquisition, comparison: Comparison, reference: np.ndarray | None) -> list[str]:
    """What the images say against the data: that they predict nothing, or lie otherwise than a reference that was given."""
    image = comparison.done[0].result.image
    turned = None if reference is None or reference.shape != image.shape else orientation_doubt(image, reference)
    return [doubt for doubt in (loss_doubt(acquisition, comparison), turned) if doubt is not None]


def _recipe(config: GhostbeamConfig, acquisition: Acquisition, method: str, seed: int | None, device: str | None) -> Recipe:
    """The method as the run asks for it, or else with the configuration's options."""
    asked = [recipe for recipe in acquisition.recipes if recipe.method == method]
    recipe = asked[0] if asked else Recipe(method, config.reconstruction.options.get(method, {}))
    options = {name: value for name, value in recipe.options.items() if name != MASK_SET}  # the masks are read already
    return replace(recipe, options=options, seed=recipe.seed if seed is None else seed, device=device or recipe.device)


def _place(output: Path, source: str, acquisition: Acquisition, methods: list[str]) -> Path:
    """Where to draw the picture: `output` itself if it is a PNG, else in that folder under a name that says what it is."""
    if output.suffix == ".png":
        picture = output
    else:
        what = Path(source).stem if acquisition.uid is None else acquisition.uid[:8]
        picture = output / f"{'_'.join([what, *methods])}.png"
    if picture.exists() and not is_own(picture):
        raise IngestError(f"{picture} exists and was not drawn by `ghostbeam reconstruct`: choose another --output")
    picture.parent.mkdir(parents=True, exist_ok=True)
    return picture


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, float], None]]:
    """A bar for each method, gone when all is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    tasks = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def told(method: str, fraction: float) -> None:
            if method not in tasks:
                tasks[method] = progress.add_task(method, total=1.0)
            progress.update(tasks[method], completed=fraction)

        yield told


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let the numerical libraries use so many threads, as a reconstruction by the worker does."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(number)))  # for torch, which is loaded later
    try:
        with threadpool_limits(number):  # for those that are loaded
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
