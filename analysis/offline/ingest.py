"""Data measured elsewhere become a raw run, and are reconstructed like any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.array_file import listing, open_arrays
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints, holds_masks
from analysis.offline.ingest_masks import mask_run
from analysis.offline.ingest_pairs import Pairing, pair_documents
from analysis.offline.ingest_radiographs import radiograph_documents
from analysis.offline.ingest_scan import scan_documents
from analysis.offline.radiograph_file import find_series
from analysis.offline.scan_file import find_scan
from analysis.techniques import TECHNIQUES
from analysis.techniques.ghost.mask_sets import MaskStore

Documents = Iterator[tuple[str, dict[str, Any]]]


def ingest(
    path: Path | str,
    state_dir: Path | str,
    *,
    fraction: float = 1.0,
    sample: str | None = None,
    recipes: Sequence[Recipe] = (),
    frames: str | None = None,
    positions: Sequence[str] = (),
    unit: str | None = None,
    pairing: Pairing | None = None,
    hints: Hints = Hints(),  # noqa: B008  it cannot change
    mend: Sequence[str] = (),
) -> str:
    """Store what a file holds and log it as a raw run; returns the run's uid.

    Masks and buckets become a mask set and a run of ghost imaging, frames and positions one of ptychography, projections one of
    radiographs, and frames whose pairing is given a series of frame pairs.

    Parameters
    ----------
    path : Path
        A file, or a folder, as `analysis.offline.ingest_file`, `analysis.offline.scan_file` or
        `analysis.offline.radiograph_file` describe it.
    state_dir : Path
        State directory with the document log, the mask sets and the frames.
    fraction : float
        How much of the realizations or frames to use, the first ones (of Haar coefficients those of the coarse scales): a
        compressed acquisition.
    sample : str, optional
        The sample's name; by default the file's.
    recipes : sequence of Recipe
        How to reconstruct; none leaves it to the worker.
    frames, positions, unit
        Of a file whose names are not known: see `analysis.offline.scan_file.find_scan`.
    pairing : Pairing, optional
        Which images are a pair, of a file with frame pairs.
    hints : Hints
        Of masks and buckets, what the file does not say itself.
    mend : sequence of str
        Mistakes in masks and buckets that are to be mended: words of `analysis.offline.mending`.

    Raises
    ------
    IngestError
        If the file is malformed or a parameter is impossible; nothing has been written then.
    LogError
        If the log cannot be written.
    """
    path, state_dir = Path(path), Path(state_dir)
    if not 0 < fraction <= 1:
        raise IngestError(f"the fraction of the data must be above 0 and at most 1, not {fraction}")
    described: dict[str, Any] = {"sample": path.stem if sample is None else sample}
    if recipes:
        described["recipes"] = [recipe.to_doc() for recipe in recipes]
    if pairing is not None and (positions or unit):
        raise IngestError("frame pairs have no positions: leave positions and unit out, or the pairing")
    with open_arrays(path) as file:
        if pairing is not None:
            _check_recipes(path, "pairs", recipes)
            return _log(
                state_dir, pair_documents(file, pairing, state_dir, frames=frames, fraction=fraction, described=described)
            )
        of_masks = hints != Hints() or bool(mend)
        series = None if of_masks or frames or positions else find_series(file, unit)
        scan = None if of_masks or series is not None else find_scan(file, frames=frames, positions=positions, unit=unit)
        if series is not None:
            _check_recipes(path, "radiographs", recipes)
            documents = radiograph_documents(file, series, state_dir, fraction=fraction, described=described)
        elif scan is not None:
            _check_recipes(path, "ptychography", recipes)
            documents = scan_documents(file, scan, state_dir, fraction=fraction, described=described)
        elif not (of_masks or holds_masks(file, hints)):
            raise IngestError(
                f"{path} holds neither masks and buckets nor frames under a known name. Name them with --masks and --buckets, or "
                "with --frames and --positions, or say with --pairs which frames are pairs; radiographs must be called "
                "projections, with darks, flats and theta_deg. The file holds "
                f"{listing(file)}"
            )
    if scan is None and series is None:
        _check_recipes(path, "ghost", recipes)
        run = mask_run(path, fraction=fraction, hints=hints, mend=mend)
        documents = run.documents(MaskStore(state_dir).save(run.masks), described)
    return _log(state_dir, documents)


def _check_recipes(path: Path, entry: str, recipes: Sequence[Recipe]) -> None:
    """Raise if a method is none of the technique's."""
    methods = TECHNIQUES[entry].methods
    if other := [recipe.method for recipe in recipes if recipe.method not in methods]:
        raise IngestError(f"{path} is reconstructed by {', '.join(methods)}, not by {', '.join(other)}: name one of them")


def _log(state_dir: Path, documents: Documents) -> str:
    writer = LogWriter(log_paths(state_dir).raw)
    try:
        uid = ""
        for name, doc in documents:
            uid = uid or str(doc["uid"])
            writer(name, doc)
    finally:
        writer.close()
    return uid
