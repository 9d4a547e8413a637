"""The only driver of reconstructions: documents of a run in, estimates out; for live use, replay and verification."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from analysis.documents.batch import Batch
from analysis.documents.derived import Standing
from analysis.documents.ledger import Ledger
from analysis.documents.recipe import Recipe
from analysis.documents.refusal import NothingUsable, RunRefused
from analysis.estimate import Estimate, Quantity
from analysis.techniques.protocol import Intake, Reconstruction, RowSink, Run, SeriesReconstruction
from analysis.worker.pace import Pace

Document = tuple[str, dict[str, Any]]
_LOOKED_AT = (0.25, 0.5)  # of the expected rows: there the ledger tells of mistakes while the run can still be ended
_TAKE_EVERY = 64  # documents, and after each page: an intake stores rows more compactly than documents


@dataclass(frozen=True, eq=False)
class Timed:
    """An estimate, the state of its reconstruction, and its cost.

    Attributes
    ----------
    estimate : Estimate
    standing : Standing
    final : bool
    segment : int
        Number of the reconstruction within the pace that made it.
    elapsed_s : float
    """

    estimate: Estimate
    standing: Standing
    final: bool
    segment: int
    elapsed_s: float


class Drive:
    """One recipe applied to one run.

    Parameters
    ----------
    run : Run
        The run, opened by its technique.
    recipe : Recipe
        How to reconstruct.
    documents : callable
        Returns all documents of the run, in any order after its start; None among them means that there is nothing new at the
        moment. It is called again if a document arrived too late for rows already released.
    pace : Pace
        When estimates are made before the final one.

    Attributes
    ----------
    options : dict
        The options with all defaults, without values chosen from the data.
    standing : Standing
        The rows that the last reconstruction has taken.
    ledger : Ledger
        What happened to every row, as of a quarter and of half of the run; complete after the final estimate.
    rows : RowSink or None
        Receives the results of the last reconstruction for single rows; set it before the first estimate.

    Raises
    ------
    RunRefused
        If the recipe is invalid; the message lists what is valid.
    """

    def __init__(self, run: Run, recipe: Recipe, documents: Callable[[], Iterable[Document | None]], pace: Pace) -> None:
        self._run = run
        self._recipe = recipe
        self._documents = documents
        self._pace = pace
        self.rows: RowSink | None = None
        self._makers = [_Maker(run, recipe) for _ in range(pace.segments)]
        self.options = dict(self._makers[-1].reconstruction.options)
        self.ledger = Ledger(expected=run.expected)
        self._looked_at = [part * run.expected for part in _LOOKED_AT] if run.expected else []

    @property
    def standing(self) -> Standing:
        """The rows that the last reconstruction has taken."""
        return self._makers[-1].standing

    @property
    def series(self) -> Mapping[str, Quantity]:
        """The quantities made for each single row; empty if there are none."""
        reconstruction = self._makers[-1].reconstruction
        return reconstruction.series if isinstance(reconstruction, SeriesReconstruction) else {}

    @property
    def options_used(self) -> Mapping[str, Any]:
        """The options with the values chosen from the data."""
        return self._makers[-1].reconstruction.options

    def estimates(self) -> Iterator[Timed]:
        """Live estimates, then the final one.

        Raises
        ------
        NothingUsable
            If no row can be used.
        RunRefused
            If the method cannot use such data; also if there is not enough memory.
        """
        intake = self._run.intake(wait_for_end=self._pace.waits_for_end)
        yield from self._fed(intake, live=True)
        if intake.revised:
            # The final estimate is made again from all documents.
            intake = self._run.intake(wait_for_end=True)
            self._makers = [_Maker(self._run, self._recipe)]
            if self.rows is not None:
                self.rows.begin()
            yield from self._fed(intake, live=False)
            self.ledger = replace(intake.ledger(), revised=True)
        else:
            self.ledger = intake.ledger()
        maker, last = self._makers[-1], len(self._makers) - 1
        if not maker.standing.used:
            raise NothingUsable(self.ledger, self._run.rows)
        if not intake.revised and self._pace.due(last, maker.standing.used, ended=True):
            yield self._made(last)
        final = maker.timed(maker.reconstruction.finish, last, final=True)
        self._store_rows(maker)
        yield final

    def _fed(self, intake: Intake, *, live: bool) -> Iterator[Timed]:
        """Read all documents, with estimates while the run is measured."""
        for number, document in enumerate(self._documents(), start=1):
            if document is not None:
                intake(*document)
            if document is None or document[0] == "event_page" or number % _TAKE_EVERY == 0:
                yield from self._taken(intake, live=live and not intake.stopped)
                if live and not intake.stopped:
                    self._look(intake)
        intake.end()
        yield from self._taken(intake, live=live and self._pace.waits_for_end)

    def _look(self, intake: Intake) -> None:
        """Ask for the ledger once after each part of the run that is due."""
        due = [rows for rows in self._looked_at if self.standing.received >= rows]
        if due:
            self.ledger = intake.ledger()
            self._looked_at = self._looked_at[len(due) :]

    def _taken(self, intake: Intake, *, live: bool) -> Iterator[Timed]:
        while (batch := intake.take()) is not None:
            for segment, maker in enumerate(self._makers):
                yield from self._parts(segment, maker, batch, live=live)
            if self.series:  # which may be far behind: users see how far it has come
                yield from self._made_if_due(live=live)
        yield from self._made_if_due(live=live)

    def _made_if_due(self, *, live: bool) -> Iterator[Timed]:
        if live and not self._pace.waits_for_end and self._pace.due(0, self.standing.used, ended=False):
            yield self._made(0)

    def _parts(self, segment: int, maker: _Maker, batch: Batch, *, live: bool) -> Iterator[Timed]:
        """Feed a batch, stopping at each point where an estimate may be due."""
        first = 0
        while first < len(batch):
            point = self._pace.next_point(segment, maker.standing.used) if live else None
            last = len(batch) if point is None else min(len(batch), first + point - maker.standing.used)
            maker.feed(batch.part(first, last))
            self._store_rows(maker)
            first = last
            if point == maker.standing.used and self._pace.due(segment, point, ended=False):
                yield self._made(segment)

    def _store_rows(self, maker: _Maker) -> None:
        rows = maker.rows_made()
        if rows is not None and self.rows is not None and maker is self._makers[-1]:
            self.rows.add(rows)

    def _made(self, segment: int) -> Timed:
        maker = self._makers[segment]
        timed = maker.timed(maker.reconstruction.result, segment, final=False)
        self._pace.made(segment, maker.standing.used, timed.elapsed_s)
        return timed


class _Maker:
    """A reconstruction and its state."""

    def __init__(self, run: Run, recipe: Recipe) -> None:
        with _refusals():
            self.reconstruction: Reconstruction = run.reconstruction(recipe)
        self.standing = Standing()

    def feed(self, batch: Batch) -> None:
        with _refusals():
            self.reconstruction.update(batch)
        self.standing = Standing(self.standing.used + len(batch), int(batch.number[-1]), int(batch.received[-1]))

    def timed(self, compute: Callable[[], Estimate], segment: int, *, final: bool) -> Timed:
        began = time.perf_counter()
        with _refusals():
            estimate = compute()
        return Timed(estimate, self.standing, final, segment, time.perf_counter() - began)

    def rows_made(self) -> Batch | None:
        """The results for single rows since the last call."""
        return self.reconstruction.take_rows() if isinstance(self.reconstruction, SeriesReconstruction) else None


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors that an algorithm raises about data or options into refusals: they would recur if tried again."""
    try:
        yield
    except RunRefused:
        raise
    except MemoryError as error:
        raise RunRefused(str(error) or "the machine's memory does not suffice for this reconstruction") from error
    except ValueError as error:
        raise RunRefused(str(error)) from error
