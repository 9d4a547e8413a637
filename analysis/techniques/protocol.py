"""The interface of a technique. Worker, replay, verification, views and archive use nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from analysis.documents.batch import Batch
from analysis.documents.ledger import Ledger
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.estimate import Estimate, Quantity


class Intake(Protocol):
    """Documents in; batches that are paired, checked and corrected out."""

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has arrived."""

    @property
    def revised(self) -> bool:
        """Whether a document arrived that would have changed what had already been taken."""

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""

    def end(self) -> None:
        """Note that no further document will arrive."""

    def take(self) -> Batch | None:
        """Some of the rows that are ready, in order; None if there are no more at the moment."""

    def ledger(self) -> Ledger:
        """What happened to every row so far."""


class Reconstruction(Protocol):
    """Batches in, estimates out.

    However the rows are divided into batches, `finish` gives the same bits; it depends only on the rows, options, seed and
    number of threads. `result` may depend on when results were requested before. Both may raise ValueError or MemoryError
    with a sentence that says what is wrong with the data or the options.
    """

    @property
    def options(self) -> Mapping[str, Any]:
        """The options with all defaults, and with the values chosen from the data so far."""

    def update(self, batch: Batch) -> None:
        """Take further rows."""

    def result(self) -> Estimate:
        """The estimate now."""

    def finish(self) -> Estimate:
        """The final estimate."""


@runtime_checkable
class SeriesReconstruction(Reconstruction, Protocol):
    """A reconstruction that also has a result for each single row, such as a denoised frame of each pair.

    The result for a row depends on the rows before, options, seed and number of threads, never on how the rows were divided
    into batches.
    """

    @property
    def series(self) -> Mapping[str, Quantity]:
        """The quantities stored for each row."""

    def take_rows(self) -> Batch | None:
        """Results since the last call, in order of the rows' numbers; None if there are none. After `finish`, the rest."""


class RowSink(Protocol):
    """The destination of the results for single rows."""

    def begin(self) -> None:
        """Start again with the first row, even if others have been added before."""

    def add(self, rows: Batch) -> None:
        """Take the results for further rows."""


class Run(Protocol):
    """One run, as its technique reads it from the start document."""

    @property
    def rows(self) -> str:
        """Name of its rows, in the plural."""

    @property
    def expected(self) -> int | None:
        """Rows that the run should have."""

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """All arrays and figures of an estimate by a valid recipe, arrays first, the main image first of all."""

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The description of this run for the start document of a derived run by a valid recipe."""

    @property
    def remarks(self) -> Sequence[str]:
        """What users should know before they look at the estimates, in sentences."""

    def intake(self, *, wait_for_end: bool = False) -> Intake:
        """A new intake; with `wait_for_end` it releases nothing before its end, so that nothing depends on the order."""

    def reconstruction(self, recipe: Recipe) -> Reconstruction:
        """A new reconstruction. Raises ValueError for an invalid recipe; the message lists what is valid."""


class Signal(Protocol):
    """Judges from the first rows of a run whether there is any signal, before hours of scanning."""

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of the run."""

    @property
    def settled(self) -> bool:
        """Whether further documents would change nothing."""

    @property
    def doubt(self) -> str | None:
        """A suspected problem, in a sentence; None if there is none, or if it is too early to tell."""


class Method(Protocol):
    """The properties of a method that are known without loading its algorithm."""

    @property
    def name(self) -> str:
        """Its name in recipes."""

    @property
    def fast(self) -> bool:
        """Fast enough to update an estimate about three times per second."""

    @property
    def summary(self) -> str:
        """One sentence for users."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Options and their default values."""


@dataclass(frozen=True)
class MethodInfo:
    """A `Method` of a technique that needs to know nothing else of its methods."""

    name: str
    fast: bool
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Technique:
    """The description of a technique, and the functions that open its runs.

    Attributes
    ----------
    entry : str
        The entry of a start document that names it.
    rows : str
        Name of the rows of its runs, in the plural.
    methods : mapping of str to Method
        Its methods, the fastest first.
    default : tuple of str
        Methods for runs that request none, if the configuration names none of this technique.
    reasons : mapping of str to str
        Reasons why a row is not used: name and meaning of each.
    references : callable
        Called with a start document; returns the names of the references that the run needs; raises RunRefused for a
        malformed one.
    open : callable
        Called with a start document and the store of references; returns the run; raises RunRefused for a malformed start
        document, ReferenceMissing and ReferenceDiffers.
    signal : callable, optional
        Called with a start document; returns the object that judges the first rows; raises RunRefused for a malformed one.
    """

    entry: str
    rows: str
    methods: Mapping[str, Method]
    default: tuple[str, ...]
    reasons: Mapping[str, str]
    references: Callable[[Mapping[str, Any]], Sequence[ReferenceName]]
    open: Callable[[Mapping[str, Any], ReferenceStore], Run]
    signal: Callable[[Mapping[str, Any]], Signal] | None = None
