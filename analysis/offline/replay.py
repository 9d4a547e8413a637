"""Reconstruct again what is stored: with the same or other options, or to see that the same bits come out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.derived import ARRAYS, PLAN_NAME, DerivedRun, derived_start, software_versions
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.mask_store import MaskSet, MaskStore
from analysis.documents.realizations import Batch, Realizations
from analysis.documents.recipe import Recipe, recipes_of
from analysis.documents.run_spec import RunRefused, RunSpec
from analysis.ghost import Estimate
from analysis.worker.compute import computed
from analysis.worker.job import nothing_usable
from analysis.worker.reconstruction import Timed

Documents = Iterable[tuple[str, Mapping[str, Any]]]

DEFAULT_RECIPE = Recipe("tv")


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
        What became of every realization.
    """

    uid: str
    estimate: Estimate
    ledger: Ledger


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
    masks: MaskSet | None = None,
) -> Replay:
    """Reconstruct a stored run again, as a new derived run in the log.

    Parameters
    ----------
    documents : iterable of (name, document)
        The documents of the raw run, in any order after its start: of Tiled (`run.documents()`) or of the log. They are read
        once, and only some hundred bytes of each realization are kept.
    state_dir : Path
        State directory with the document log and the mask sets.
    recipe : Recipe, optional
        How to reconstruct; by default the first recipe in the run's start document, or else TV.
    update_points : sequence of int
        Realizations after which an estimate is stored, besides the final one.
    threads : int
        Threads of the numerical libraries.
    masks : MaskSet, optional
        The run's mask set, if it may not be in the state directory.

    Raises
    ------
    RunRefused
        If this isn't a ghost-imaging run, nothing in it can be used, or the recipe isn't valid.
    MaskSetMissing, MaskSetDiffers
        If its mask set isn't there.
    LogError
        If the log cannot be written.
    """
    state_dir = Path(state_dir)
    start, batch, ledger = read_run(documents, state_dir, masks=masks)
    recipe = recipe or recipes_of(start, [DEFAULT_RECIPE])[0]
    spec = RunSpec.of(start)
    points = sorted({point for point in update_points if 0 < point <= len(batch)})
    uid = str(uuid.uuid4())
    writer = LogWriter(log_paths(state_dir).processed)
    derived: DerivedRun | None = None
    try:
        for one in computed(state_dir, start, recipe, batch, segments=[points], threads=threads):
            if derived is None:
                begin = derived_start(
                    start, recipe, uid=uid, purpose="replay", options=one.options, threads=threads, recipes=[recipe]
                )
                derived = DerivedRun(writer, begin, spec.shape, expected=spec.expected)
            derived.estimate(one.timed.estimate, one.timed.standing, final=one.final, elapsed_s=one.timed.elapsed_s)
            if one.final:
                derived.close(ledger, options=one.options_used)
                return Replay(uid, one.timed.estimate, ledger)
        raise AssertionError("the last of all estimates is the final one")
    except BaseException as error:
        if derived is not None and not derived.progress.ended:
            derived.close(ledger, failure=f"{type(error).__name__}: {error}")
        raise
    finally:
        writer.close()


def read_run(documents: Documents, state_dir: Path, *, masks: MaskSet | None = None) -> tuple[dict[str, Any], Batch, Ledger]:
    """Start document, used realizations and ledger of a run; the first start document says which run.

    Raises
    ------
    RunRefused
        If this isn't a ghost-imaging run, or nothing in it can be used.
    MaskSetMissing, MaskSetDiffers
        If its mask set isn't there.
    """
    stream = iter(documents)
    start = _start_of(stream)
    spec = RunSpec.of(start)
    store = MaskStore(state_dir)
    if masks is not None:
        store.save(masks)
    patterns = store.load(spec.mask_set).patterns
    realizations = Realizations(start, len(patterns), signed=bool(patterns.min() < 0), wait_for_end=True)
    del patterns  # the documents may be many
    for name, doc in stream:
        realizations(name, dict(doc))
    realizations.end()
    batch = realizations.take()
    ledger = realizations.ledger()
    if batch is None:
        raise RunRefused(nothing_usable(ledger))
    return start, batch, ledger


@dataclass(frozen=True)
class Check:
    """One stored value held against its recomputation.

    Attributes
    ----------
    seq_num : int
        The estimate's event.
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
    checks : list of Check
        Every stored array and figure.
    notes : list of str
        What may explain a difference: other software, an estimate that is not on the CPU.
    """

    uid: str
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def arrays(self) -> list[Check]:
        """The checks of arrays."""
        return [check for check in self.checks if check.key in ARRAYS]

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


def verify(derived: Documents, raw: Documents, state_dir: Path | str, *, masks: MaskSet | None = None) -> Verification:
    """Recompute a stored reconstruction by its recorded update points, seed, options and threads, and compare every array.

    Parameters
    ----------
    derived : iterable of (name, document)
        Documents of the derived run.
    raw : iterable of (name, document)
        Documents of the run that it was made from.
    state_dir : Path
        State directory with the mask sets. Nothing is written to its log.
    masks : MaskSet, optional
        The run's mask set, if it may not be in the state directory.

    Raises
    ------
    RunRefused
        If the first isn't a reconstruction of the second, or that cannot be reconstructed.
    """
    stream = iter(derived)
    start = _start_of(stream)
    events: list[dict[str, Any]] = []
    stop: dict[str, Any] = {}
    for name, doc in _single_events(stream):
        if name == "event":
            events.append(dict(doc))
        elif name == "stop":
            stop = dict(doc)
    if start.get("plan_name") != PLAN_NAME:
        raise RunRefused(f"run {start['uid']} is no reconstruction: give the uid of a derived run")
    raw_start, batch, _ = read_run(raw, Path(state_dir), masks=masks)
    if start["derived_from"] != raw_start["uid"]:
        raise RunRefused(f"run {start['uid']} was made from run {start['derived_from']}, not from {raw_start['uid']}")
    events.sort(key=lambda event: event["seq_num"])
    live = [event for event in events if not event["data"]["final"]]
    # After each restart the reconstruction began without what earlier estimates had found.
    restarts = sorted({event["data"]["restart"] for event in live})
    segments = [[int(e["data"]["realizations"]) for e in live if e["data"]["restart"] == restart] for restart in restarts]
    ordered = live + [event for event in events if event["data"]["final"]]
    result = Verification(str(start["uid"]), notes=_notes(start, stop))
    threads = int(start["threads"])
    with closing(computed(Path(state_dir), raw_start, recipe_of(start), batch, segments=segments, threads=threads)) as again:
        for event, one in zip(ordered, again, strict=False):
            result.checks.extend(_checks(event, one.timed))
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
    now = software_versions()
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


def _checks(event: Mapping[str, Any], timed: Timed) -> Iterator[Check]:
    estimate = timed.estimate
    values = {
        "image": estimate.image,
        "spread": estimate.spread,
        "heldout_loss": estimate.heldout_loss,
        **vars(timed.standing),
        **estimate.figures,
    }
    for key, stored in event["data"].items():
        if key in values:
            yield _check(event["seq_num"], key, stored, values[key])


def _check(seq_num: int, key: str, stored: Any, recomputed: Any) -> Check:
    dtype = np.float32 if key in ARRAYS else np.float64
    a, b = np.asarray(stored, dtype=dtype), np.asarray(recomputed, dtype=dtype)
    if a.shape != b.shape:
        return Check(seq_num, key, False, float("inf"))
    missing = np.isnan(a)
    unsigned = np.uint32 if key in ARRAYS else np.uint64
    same = np.atleast_1d(a).view(unsigned) == np.atleast_1d(b).view(unsigned)
    identical = bool((same | np.atleast_1d(missing & np.isnan(b))).all())
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.subtract(a, b, dtype=np.float64))
    difference = np.where(missing & np.isnan(b), 0.0, np.where(np.isnan(difference), np.inf, difference))
    return Check(seq_num, key, identical, float(difference.max(initial=0.0)))
