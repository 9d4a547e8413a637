"""Masks and buckets as they were measured, from a file or from a run in the document log: no service need run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe, recipes_of
from analysis.documents.references import ReferenceMissing, ReferenceStore
from analysis.documents.refusal import NothingUsable, RunRefused
from analysis.ghost.alignments import Masks
from analysis.ghost.mistakes import mistakes
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints
from analysis.offline.ingest_masks import REFERENCE, mask_run
from analysis.offline.mending import Data, mended
from analysis.techniques import ghost, technique_of
from analysis.techniques.ghost.mask_sets import MASK_SET, MaskSet
from analysis.techniques.ghost.run import GhostRun

LAST = "last"
"""Stands for the uid of the newest run."""

_SHORTEST_UID = 5


class RunUnknown(LookupError):
    """The document log holds no run, or more than one, whose uid begins so."""


@dataclass(frozen=True, eq=False)
class Acquisition:
    """Realizations that are fit for a reconstruction, and what is known of them.

    Attributes
    ----------
    name : str
        For people and for names of files.
    masks : Masks, (M, H, W)
        The mask of each realization: an array, or one that is read block by block.
    buckets : ndarray, float64, (M,)
        Its signal, corrected.
    errors : ndarray, float64, (M,), or None
        Standard errors of the buckets.
    reference : ndarray, float32, (H', W'), or None
        A picture of the same object, measured otherwise.
    pixel_size_um : float or None
        Size of a mask pixel on the object.
    remarks : list of str
        What was assumed, and what of the data is not used.
    doubts : list of str
        What seems wrong with the data, each with what mends it.
    recipes : list of Recipe
        The reconstructions that a run asks for itself.
    uid : str or None
        The run; None of a file.
    """

    name: str
    masks: Masks
    buckets: np.ndarray
    errors: np.ndarray | None
    reference: np.ndarray | None
    pixel_size_um: float | None
    remarks: list[str]
    doubts: list[str]
    recipes: list[Recipe]
    uid: str | None


def from_file(
    path: Path | str,
    *,
    fraction: float = 1.0,
    hints: Hints = Hints(),  # noqa: B008  it cannot change
    mend: Sequence[str] = (),
) -> Acquisition:
    """Read a file as `analysis.offline.ingest_file` describes it: the same realizations as those of the run that it would become.

    Parameters
    ----------
    path : Path
        A file or a folder.
    fraction : float
        How much of the realizations to use, the first ones (of coefficients those of the coarse scales).
    hints : Hints
        What the file does not say itself.
    mend : sequence of str
        Mistakes that are to be mended: words of `analysis.offline.mending`.

    Raises
    ------
    IngestError
        If the file is malformed.
    RunRefused
        If nothing in it can be used.
    """
    path = Path(path)
    made = mask_run(path, fraction=fraction, hints=hints, mend=mend)
    (_, start), *documents = made.documents("", {})
    run = GhostRun(start, made.masks)
    batch, ledger = _used(run, iter(documents))
    masks = _masks_of(run, batch, run.masks)
    return Acquisition(
        name=path.stem,
        masks=masks,
        buckets=batch.columns["bucket"],
        errors=batch.columns.get("error"),
        reference=made.measurement.reference,
        pixel_size_um=made.measurement.pixel_size_um,
        remarks=_remarks(run, ledger),
        doubts=ledger.doubts,
        recipes=[],
        uid=None,
    )


def from_log(
    state_dir: Path | str, uid: str, *, fraction: float = 1.0, mask_set: str | None = None, mend: Sequence[str] = ()
) -> Acquisition:
    """Read a run; of a run that is still being measured, the data acquired so far.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the mask sets.
    uid : str
        Uid of a scan or of a reconstruction (then its scan's data are read), or five or more of its first characters, or "last".
    fraction : float
        How much of the usable realizations to use, the first ones.
    mask_set : str, optional
        Identity of another mask set than the run's, such as a measured one.
    mend : sequence of str
        Mistakes that are to be mended: words of `analysis.offline.mending`.

    Raises
    ------
    ValueError
        If that has other masks than the run's.
    RunUnknown
        If no run, or several, are meant.
    RunRefused
        If it isn't a ghost-imaging run, or nothing in it can be used.
    ReferenceMissing, ReferenceDiffers
        If its mask set isn't in the state directory.
    LogError
        If the log cannot be read.
    """
    state_dir = Path(state_dir)
    uid = whole_uid(state_dir, uid)
    reader = LogReader(log_paths(state_dir).raw)
    seen = _Seen()
    try:
        start, run, batch, ledger = _measured(seen.passing(reader, uid), state_dir)
    except ReferenceMissing as error:
        raise ReferenceMissing(f"{error}, or let `ghostbeam replay {uid[:8]}` look for it in the catalogue") from error
    finally:
        reader.close()
    batch = batch.part(0, _count(len(batch), fraction))
    going_on = [] if seen.stopped else ["the run has not ended: these are the realizations so far"]
    sample = str(start.get("sample") or "run")
    used = run.masks_by(Recipe("", {MASK_SET: mask_set}))
    other = [] if mask_set is None else [f"reconstructed with mask set {mask_set[:12]} ({used.name})"]
    masks, buckets, errors = _masks_of(run, batch, used), batch.columns["bucket"], batch.columns.get("error")
    remarks, doubts = [*other, *_remarks(run, ledger)], ledger.doubts
    if mend:
        data = mended(Data(np.asarray(masks[:]), buckets, errors), mend)
        masks, buckets, errors = data.masks, data.buckets, data.errors
        remarks.append(f"mended as was said: {', '.join(mend)}")
        doubts = [str(mistake) for mistake in mistakes(masks, buckets)]
    return Acquisition(
        name=f"{sample} ({uid[:8]})",
        masks=masks,
        buckets=buckets,
        errors=errors,
        reference=seen.reference,
        pixel_size_um=start["ghost"].get("pixel_size_um"),
        remarks=[*remarks, *going_on],
        doubts=doubts,
        recipes=recipes_of(start, []),
        uid=uid,
    )


def _masks_of(run: GhostRun, batch: Batch, used: MaskSet) -> Masks:
    """The mask of each realization of a batch."""
    patterns = used.patterns
    if not run.spec.pairs and np.array_equal(batch.columns["mask_index"], np.arange(len(patterns))):
        return patterns
    return run.masks_of(batch, used)


def _remarks(run: GhostRun, ledger: Ledger) -> list[str]:
    return [*ledger.left_out(run.rows), *run.remarks, *ledger.remarks]


def _measured(
    documents: Iterator[tuple[str, Mapping[str, Any]]], state_dir: Path
) -> tuple[dict[str, Any], GhostRun, Batch, Ledger]:
    """Start document, run, used realizations and ledger of a ghost-imaging run."""
    _, first = next(documents)
    start = dict(first)
    if start.get(ghost.TECHNIQUE.entry) is None:
        raise RunRefused(
            f"run {start['uid'][:8]} is not a ghost-imaging run: `ghostbeam replay {start['uid'][:8]}` reconstructs it"
        )
    run = ghost.open_run(start, ReferenceStore(state_dir))
    return start, run, *_used(run, documents)


def _used(run: GhostRun, documents: Iterator[tuple[str, Mapping[str, Any]]]) -> tuple[Batch, Ledger]:
    """Used realizations and ledger of the documents behind a start document."""
    intake = run.intake(wait_for_end=True)
    for name, doc in documents:
        intake(name, dict(doc))
    intake.end()
    batch = intake.take()
    if batch is None:
        raise NothingUsable(intake.ledger(), run.rows)
    return batch, intake.ledger()


class _Seen:
    """What passes by in the documents of a run beside its realizations."""

    def __init__(self) -> None:
        self.stopped = False
        self.reference: np.ndarray | None = None

    def passing(self, reader: LogReader, uid: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for record in reader.documents(uid):
            self.stopped |= record.name == "stop"
            if record.name == "event_page" and REFERENCE in record.doc["data"]:
                self.reference = np.asarray(record.doc["data"][REFERENCE][0], dtype=np.float32)
            yield record.name, record.doc


def whole_uid(state_dir: Path, beginning: str) -> str:
    """Return the uid of the scan that is meant by the beginning of its uid, or of one of its reconstructions, or by "last".

    Raises
    ------
    RunUnknown
        If no run, or several, are meant.
    """
    paths = log_paths(state_dir)
    scans = {run.uid: run.uid for run in LogReader(paths.raw).runs()}
    if not scans:
        raise RunUnknown(f"the document log in {state_dir} holds no run: scan, or choose another log with --config")
    if beginning == LAST:
        return _newest(state_dir)
    if len(beginning) < _SHORTEST_UID:
        raise RunUnknown(f"{beginning!r} is too short: give {_SHORTEST_UID} or more of the uid's first characters, or {LAST!r}")
    derived = {run.uid: str(run.start.get("derived_from")) for run in LogReader(paths.processed).runs()}
    found = {scan for uid, scan in (scans | derived).items() if uid.startswith(beginning) and scan in scans}
    if not found:
        raise RunUnknown(
            f"no run in the document log in {state_dir} begins with {beginning!r}: {LAST!r} is the newest, {list(scans)[-1][:8]}"
        )
    if len(found) > 1:
        raise RunUnknown(f"{len(found)} runs begin with {beginning!r}: give more of the uid's characters")
    return found.pop()


def _newest(state_dir: Path) -> str:
    """The newest run that a reconstruction can be made of."""
    for run in reversed(LogReader(log_paths(state_dir).raw).runs()):
        try:
            technique_of(run.start)
        except RunRefused:
            continue  # such as a dark scan
        return run.uid
    raise RunUnknown(f"the document log in {state_dir} holds no run that can be reconstructed: scan, or give a file")


def _count(number: int, fraction: float) -> int:
    if not 0 < fraction <= 1:
        raise IngestError(f"the fraction of the realizations must be above 0 and at most 1, not {fraction}")
    return math.ceil(fraction * number)
