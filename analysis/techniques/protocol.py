"""What a technique must offer. Worker, replay, verification, views and archive rely on this alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from analysis.documents.batch import Batch
from analysis.documents.ledger import Ledger
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.estimate import Estimate, Quantity


class Intake(Protocol):
    """Documents in; batches that are paired, judged and corrected out."""

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has come."""

    @property
    def revised(self) -> bool:
        """Whether a document came that would have changed what had already been taken."""

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""

    def end(self) -> None:
        """No further document will come."""

    def take(self) -> Batch | None:
        """Some of the rows that are ready, in order; None when there are no more for the moment."""

    def ledger(self) -> Ledger:
        """What became of every row so far."""


class Reconstruction(Protocol):
    """Batches in, estimates out.

    However the rows are cut into batches, `finish` gives the same bits; it depends on the rows, options, seed and number of
    threads alone. `result` may depend on where results were asked for before. Each may raise ValueError or MemoryError with a
    sentence that says what is wrong with the data or the options.
    """

    @property
    def options(self) -> Mapping[str, Any]:
        """The options with all defaults, and with what has been chosen from the data so far."""

    def update(self, batch: Batch) -> None:
        """Take further rows."""

    def result(self) -> Estimate:
        """The estimate now."""

    def finish(self) -> Estimate:
        """The final estimate."""


@runtime_checkable
class SeriesReconstruction(Reconstruction, Protocol):
    """A reconstruction that also makes something of each single row, such as a denoised frame of each pair.

    What it makes of a row depends on the rows before, options, seed and number of threads, never on how the rows were cut.
    """

    @property
    def series(self) -> Mapping[str, Quantity]:
        """What is stored of each row."""

    def take_rows(self) -> Batch | None:
        """What was made since the last call, in order of the rows' numbers; None if nothing was. After `finish`, all the rest."""


class RowSink(Protocol):
    """Where what is made of single rows goes."""

    def begin(self) -> None:
        """The first row comes next, even if others have come before."""

    def add(self, rows: Batch) -> None:
        """Take what was made of further rows."""


class Run(Protocol):
    """One run, as its technique reads it from the start document."""

    @property
    def rows(self) -> str:
        """What its rows are called, in the plural."""

    @property
    def expected(self) -> int | None:
        """Rows that the run should have."""

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """Every array and figure of an estimate by a valid recipe, arrays first, the one to look at first of all."""

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """What the start document of a derived run by a valid recipe says of this run."""

    @property
    def remarks(self) -> Sequence[str]:
        """What people should know before they look at the estimates, in sentences."""

    def intake(self, *, wait_for_end: bool = False) -> Intake:
        """A new intake; with `wait_for_end` it hands out nothing before its end, so that nothing depends on the order."""

    def reconstruction(self, recipe: Recipe) -> Reconstruction:
        """A new reconstruction. Raises ValueError for a recipe that isn't valid; the message lists what is."""


class Signal(Protocol):
    """Judges from the first rows of a run whether there is anything to measure: before hours of scanning."""

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of the run."""

    @property
    def settled(self) -> bool:
        """Whether further documents change nothing."""

    @property
    def doubt(self) -> str | None:
        """What seems wrong, in a sentence; None if nothing does, or if it is too early to say."""


class Method(Protocol):
    """What can be known of a method without its algorithm."""

    @property
    def name(self) -> str:
        """As recipes call it."""

    @property
    def fast(self) -> bool:
        """Cheap enough to update an estimate some three times a second."""

    @property
    def summary(self) -> str:
        """One sentence for people."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Options and their default values."""


@dataclass(frozen=True)
class Technique:
    """A technique by its words and its door.

    Attributes
    ----------
    entry : str
        The entry of a start document that names it.
    rows : str
        What a row of its runs is called, in the plural.
    methods : mapping of str to Method
        Its methods, the quickest first.
    default : tuple of str
        Methods for runs that ask for none, where the configuration names none of this technique.
    reasons : mapping of str to str
        Why a row is not used: each reason's name and meaning.
    references : callable
        Gets a start document and names the references that the run needs; raises RunRefused for a malformed one.
    open : callable
        Gets a start document and the store of references and returns the run; raises RunRefused for a malformed start document,
        ReferenceMissing and ReferenceDiffers.
    signal : callable, optional
        Gets a start document and returns what judges the first rows; raises RunRefused for a malformed one.
    """

    entry: str
    rows: str
    methods: Mapping[str, Method]
    default: tuple[str, ...]
    reasons: Mapping[str, str]
    references: Callable[[Mapping[str, Any]], Sequence[ReferenceName]]
    open: Callable[[Mapping[str, Any], ReferenceStore], Run]
    signal: Callable[[Mapping[str, Any]], Signal] | None = None
