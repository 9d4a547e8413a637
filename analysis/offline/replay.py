"""Reconstruct again what is stored: with the same or other options, or to see that the same bits come out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.derived import PLAN_NAME, DerivedRun, derived_start
from analysis.documents.frame_folders import row_folder
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.quantity_keys import array_keys
from analysis.documents.recipe import Recipe, recipes_of
from analysis.documents.references import Reference, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.documents.software import software
from analysis.documents.streams import PRIMARY
from analysis.estimate import Estimate, Quantity
from analysis.offline.stored_rows import StoredRows
from analysis.techniques import RowSink, Run, technique_of
from analysis.worker.compute import computed
from analysis.worker.drive import Timed

Documents = Iterable[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, eq=False)
class Replay:
    """A reconstruction made again.

    Attributes
    ----------
    uid : str
        Uid of the new derived run.
    estimate : Estimate
        The final estimate.
    ledger : Ledger
        What became of every row.
    remarks : tuple of str
        What people should know of it, in sentences.
    """

    uid: str
    estimate: Estimate
    ledger: Ledger
    remarks: tuple[str, ...] = ()


def recipe_of(derived_start: Mapping[str, Any]) -> Recipe:
    """The recipe that a derived run was made by, with all options, from its start document."""
    return Recipe.parse({key: derived_start[key] for key in ("method", "options", "seed", "device")})


def replay(
    documents: Documents,
    state_dir: Path | str,
    recipe: Recipe | None = None,
    *,
    update_points: Sequence[int] = (),
    threads: int = 1,
    references: Iterable[Reference] = (),
) -> Replay:
    """Reconstruct a stored run again, as a new derived run in the log.

    Parameters
    ----------
    documents : iterable of (name, document)
        The documents of the raw run, in any order after its start: of Tiled or of the log. They are read once and not kept.
    state_dir : Path
        State directory with the document log and the references.
    recipe : Recipe, optional
        How to reconstruct; by default the first recipe in the run's start document, or else its technique's last default method.
    update_points : sequence of int
        Rows after which an estimate is stored, besides the final one.
    threads : int
        Threads of the numerical libraries.
    references : iterable of Reference
        What the run needs, such as its mask set, if that may not be in the state directory.

    Raises
    ------
    RunRefused
        If the run is of no technique, nothing in it can be used, or the recipe isn't valid.
    ReferenceMissing, ReferenceDiffers
        If what it needs isn't there.
    LogError
        If the log cannot be written.
    """
    state_dir = Path(state_dir)
    stream = iter(documents)
    start, run = _opened(stream, state_dir, references)
    recipe = recipe or recipes_of(start, [Recipe(technique_of(start).default[-1])])[0]
    uid = str(uuid.uuid4())
    derived: DerivedRun | None = None
    writer = LogWriter(log_paths(state_dir).processed)

    def begun(options: Mapping[str, Any]) -> DerivedRun:
        begin = derived_start(
            start,
            recipe,
            uid=uid,
            purpose="replay",
            rows=run.rows,
            metadata=run.metadata(recipe),
            remarks=run.remarks,
            options=options,
            threads=threads,
            recipes=[recipe],
        )
        return DerivedRun(writer, begin, run.quantities(recipe), expected=run.expected)

    def row_file(options: Mapping[str, Any], series: Mapping[str, Quantity]) -> RowSink:
        nonlocal derived
        derived = begun(options)
        return derived.store_rows(series, row_folder(state_dir))

    with (
        closing(writer),
        closing(
            computed(state_dir, start, recipe, stream, segments=[update_points], threads=threads, rows=row_file)
        ) as estimates,
    ):
        try:
            for one in estimates:
                derived = derived or begun(one.options)
                timed = one.timed
                derived.estimate(timed.estimate, timed.standing, final=timed.final, elapsed_s=timed.elapsed_s)
                if timed.final:
                    derived.close(one.ledger, options=one.options_used)
                    return Replay(uid, timed.estimate, one.ledger, (*run.remarks, *one.ledger.remarks))
            raise AssertionError("the last of all estimates is the final one")
        except BaseException as error:
            if derived is not None and not derived.progress.ended:
                derived.close(failure=f"{type(error).__name__}: {error}")
            raise


def _opened(
    stream: Iterator[tuple[str, Mapping[str, Any]]], state_dir: Path, references: Iterable[Reference]
) -> tuple[dict[str, Any], Run]:
    """Start document of a run, and the run; what it needs is put into the state directory before."""
    start = _start_of(stream)
    store = ReferenceStore(state_dir)
    for reference in references:
        store.save(reference)
    return start, technique_of(start).open(start, store)


@dataclass(frozen=True)
class Check:
    """One stored value held against its recomputation.

    Attributes
    ----------
    seq_num : int
        The estimate's event; of what was stored of single rows, their number.
    key : str
        Data key.
    identical : bool
        Whether every bit is the same (NaN is NaN).
    difference : float
        The largest absolute difference; infinite if one of them is NaN where the other isn't.
    """

    seq_num: int
    key: str
    identical: bool
    difference: float


@dataclass(frozen=True)
class Verification:
    """What recomputing a stored reconstruction gave.

    Attributes
    ----------
    uid : str
        The derived run.
    keys : tuple of str
        The names of its arrays.
    checks : list of Check
        Every stored array and figure.
    notes : list of str
        What may explain a difference: other software, an estimate that is not on the CPU.
    """

    uid: str
    keys: tuple[str, ...] = ()
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def arrays(self) -> list[Check]:
        """The checks of arrays."""
        return [check for check in self.checks if check.key in self.keys]

    @property
    def identical(self) -> bool:
        """Whether something was stored, and all of it came out again."""
        return bool(self.checks) and all(check.identical for check in self.checks)

    def __str__(self) -> str:
        same = sum(check.identical for check in self.arrays)
        lines = [f"{self.uid}: {same} of {len(self.arrays)} stored arrays are bit-identical"]
        lines += [
            f"  estimate {check.seq_num}: {check.key} differs by up to {check.difference:.3g}"
            for check in self.checks
            if not check.identical
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])


def verify(derived: Documents, raw: Documents, state_dir: Path | str, *, references: Iterable[Reference] = ()) -> Verification:
    """Recompute a stored reconstruction by its recorded update points, seed, options and threads, and compare every array.

    Parameters
    ----------
    derived : iterable of (name, document)
        Documents of the derived run.
    raw : iterable of (name, document)
        Documents of the run that it was made from.
    state_dir : Path
        State directory with the references. Nothing is written to its log.
    references : iterable of Reference
        What the run needs, if that may not be in the state directory.

    Raises
    ------
    RunRefused
        If the first isn't a reconstruction of the second, or that cannot be reconstructed.
    """
    stream = iter(derived)
    start = _start_of(stream)
    if start.get("plan_name") != PLAN_NAME:
        raise RunRefused(f"run {start['uid']} is not a reconstruction: give the uid of a derived run")
    events: list[dict[str, Any]] = []
    stop: dict[str, Any] = {}
    data_keys: dict[str, Any] = {}
    resources: list[Mapping[str, Any]] = []
    rows: dict[str, int] = {}
    for name, doc in _single_events(stream):
        if name == "event":
            events.append(dict(doc))
        elif name == "descriptor" and doc["name"] == PRIMARY:
            data_keys = doc["data_keys"]
        elif name == "stream_resource":
            resources.append(doc)
        elif name == "stream_datum":
            rows[doc["stream_resource"]] = max(rows.get(doc["stream_resource"], 0), int(doc["indices"]["stop"]))
        elif name == "stop":
            stop = dict(doc)
    stored_rows = StoredRows(resources, rows, Path(state_dir))
    measured = iter(raw)
    raw_start, _ = _opened(measured, Path(state_dir), references)
    if start["derived_from"] != raw_start["uid"]:
        raise RunRefused(f"run {start['uid']} was made from run {start['derived_from']}, not from {raw_start['uid']}")
    live = [event for event in events if not event["data"]["final"]]
    # After each restart the reconstruction began without what earlier estimates had found.
    restarts = sorted({event["data"]["restart"] for event in live})
    segments = [[int(e["data"]["used"]) for e in live if e["data"]["restart"] == restart] for restart in restarts]
    result = Verification(str(start["uid"]), tuple(array_keys(data_keys)), notes=_notes(start, stop))
    threads, recipe = int(start["threads"]), recipe_of(start)
    again: dict[tuple[int, int] | None, Timed] = {}
    with closing(
        computed(
            Path(state_dir),
            raw_start,
            recipe,
            measured,
            segments=segments,
            threads=threads,
            rows=lambda options, series: stored_rows,
        )
    ) as estimates:
        for one in estimates:
            timed = one.timed
            again[None if timed.final else (restarts[timed.segment], timed.standing.used)] = timed
    for event in sorted(events, key=lambda event: event["seq_num"]):
        data = event["data"]
        made = again.get(None if data["final"] else (data["restart"], int(data["used"])))
        result.checks.extend(_checks(event, made, result.keys))
    stored_rows.end()
    for key, difference in stored_rows.difference.items():
        result.checks.append(Check(stored_rows.compared, f"series/{key}", difference == 0, difference))
    return result


def _start_of(stream: Iterator[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    name, doc = next(stream, ("", {}))
    if name != "start":
        raise RunRefused("the documents don't begin with a start document: give all documents of one run")
    return dict(doc)


def _single_events(documents: Documents) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, doc in documents:
        if name != "event_page":
            yield name, doc
            continue
        for position, seq_num in enumerate(doc["seq_num"]):
            yield "event", {"seq_num": seq_num, "data": {key: column[position] for key, column in doc["data"].items()}}


def _notes(start: Mapping[str, Any], stop: Mapping[str, Any]) -> list[str]:
    now = dict(software())
    if start["software"].get("code") == now["code"]:
        now["commit"] = start["software"].get("commit", "")  # whatever else was committed
    notes = [
        f"{name} was {version}, now it is {now.get(name)}"
        for name, version in start["software"].items()
        if now.get(name) != version
    ]
    if start["device"] != "cpu":
        notes.append(f"made on {start['device']}, where the same bits cannot be promised")
    if (stop.get("ledger") or {}).get("revised"):
        notes.append("a document of the run came late: estimates before the final one were made without it")
    return notes


def _checks(event: Mapping[str, Any], timed: Timed | None, arrays: Sequence[str]) -> Iterator[Check]:
    """Every stored value against its recomputation; an estimate that could not be had again differs in all arrays."""
    values: dict[str, Any] = {}
    if timed is not None:
        values = {**timed.estimate.arrays, **timed.estimate.figures, **vars(timed.standing)}
    for key, stored in event["data"].items():
        if key in values:
            yield _check(event["seq_num"], key, stored, values[key])
        elif key in arrays:
            yield Check(event["seq_num"], key, False, float("inf"))


def _check(seq_num: int, key: str, stored: Any, recomputed: Any) -> Check:
    again = np.asarray(recomputed)
    dtype = again.dtype if again.ndim else np.dtype("<f8")  # numbers may come back from a table as another type
    a, b = np.asarray(stored, dtype=dtype), again.astype(dtype)
    if a.shape != b.shape:
        return Check(seq_num, key, False, float("inf"))
    missing = np.isnan(a) & np.isnan(b)
    identical = a.tobytes() == b.tobytes() or bool((_bits(a) == _bits(b))[~missing].all())
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.subtract(a, b, dtype=np.float64))
    difference = np.where(missing, 0.0, np.where(np.isnan(difference), np.inf, difference))
    return Check(seq_num, key, identical, float(difference.max(initial=0.0)))


def _bits(values: np.ndarray) -> np.ndarray:
    """Bytes of each value, (..., bytes)."""
    return np.ascontiguousarray(values)[..., np.newaxis].view(np.uint8)
