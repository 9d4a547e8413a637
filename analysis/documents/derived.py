"""Derived runs: a reconstruction as a Bluesky run, with one event per estimate.

Uids of descriptors and events follow from the run's uid, so that another process can continue a derived run that a killed
process left open, without any difference.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.ledger import Ledger
from analysis.documents.quantity_keys import quality_figures, quantity_key
from analysis.documents.recipe import Recipe
from analysis.documents.row_file import SERIES, RowFile
from analysis.documents.software import software
from analysis.documents.streams import PRIMARY
from analysis.estimate import Estimate, Quantity

PLAN_NAME = "reconstruction"
OBJECT = "reconstruction"
Emit = Callable[[str, dict[str, Any]], None]

_NUMBERS = {
    "used": "<i8",
    "number_last": "<i8",
    "final": "<i8",
    "restart": "<i8",
    "elapsed_s": "<f8",
    "expected": "<i8",
    "received": "<i8",
    "rejected": "<i8",
}
"""The numbers in every estimate's event, whatever the technique, and their types."""


@dataclass(frozen=True)
class Standing:
    """The state of a reconstruction after its last row.

    Attributes
    ----------
    used : int
        Rows used so far: the update point.
    number_last : int
        Number of the last row used.
    received : int
        Rows received up to that one, used or not.
    """

    used: int = 0
    number_last: int = 0
    received: int = 0


@dataclass
class Progress:
    """The documents of a derived run that are in the log.

    Attributes
    ----------
    started, described, ended : bool
        Whether its start, descriptor and stop documents are there.
    events : int
        Number of its estimates.
    restart : int
        How often another process has taken it over; -1 before the first process began.
    finished : bool
        Whether the final estimate is there.
    update_points : list of int
        Rows at each estimate except the final one.
    rows_described : bool
        Whether the descriptor of the results for single rows is there.
    rows : dict of str to int
        Number of announced rows of each stream resource.
    """

    started: bool = False
    described: bool = False
    ended: bool = False
    events: int = 0
    restart: int = -1
    finished: bool = False
    update_points: list[int] = field(default_factory=list)
    rows_described: bool = False
    rows: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Progress:
        """Build it from the documents of the derived run."""
        progress = cls()
        for name, doc in documents:
            if name == "start":
                progress.started = True
                progress.restart = 0
            elif name == "descriptor":
                progress.described |= doc["name"] == PRIMARY
                progress.rows_described |= doc["name"] == SERIES
            elif name == "stream_datum":
                progress.rows[doc["stream_resource"]] = int(doc["indices"]["stop"])
            elif name == "stream_resource":
                progress.rows.setdefault(doc["uid"], 0)
            elif name == "event":
                progress.events += 1
                progress.restart = max(progress.restart, int(doc["data"]["restart"]))
                if doc["data"]["final"]:
                    progress.finished = True
                else:
                    progress.update_points.append(int(doc["data"]["used"]))
            elif name == "stop":
                progress.ended = True
        return progress


def derived_start(
    raw_start: Mapping[str, Any],
    recipe: Recipe,
    *,
    uid: str,
    purpose: str,
    rows: str,
    metadata: Mapping[str, Any] | None = None,
    remarks: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    threads: int = 1,
    recipes: Sequence[Recipe] = (),
    attempt: int = 0,
    refused: str | None = None,
) -> dict[str, Any]:
    """The start document of a derived run.

    Parameters
    ----------
    raw_start : mapping
        Start document of the run that is reconstructed.
    recipe : Recipe
        The requested reconstruction.
    uid : str
        The derived run's own uid.
    purpose : str
        "live" (made by a worker, and continued by the next one) or "replay".
    rows : str
        Name of the rows of the run; estimates have a column of that name.
    metadata : mapping, optional
        The technique's description of the run.
    remarks : sequence of str
        What users should know before they look at the estimates.
    options : mapping, optional
        The options with all their defaults, if they are known; otherwise those of the recipe.
    threads : int
        Threads of the numerical libraries.
    recipes : sequence of Recipe
        All recipes with which this run is reconstructed.
    attempt : int
        Number of earlier derived runs of this recipe that were refused.
    refused : str, optional
        The kind of reference without which the run cannot be reconstructed, such as "mask_set".
    """
    doc: dict[str, Any] = {
        "uid": uid,
        "time": time.time(),
        "plan_name": PLAN_NAME,
        "derived_from": str(raw_start["uid"]),
        "purpose": purpose,
        "method": recipe.method,
        "options": dict(recipe.options if options is None else options),
        "seed": recipe.seed,
        "device": recipe.device,
        "threads": threads,
        "recipe": recipe.to_doc(),
        "recipes": [one.to_doc() for one in recipes],
        "attempt": attempt,
        "technique": raw_start.get("technique"),
        "rows": rows,
        "remarks": list(remarks),
        "software": software(),
        "hints": {"dimensions": [[[rows], PRIMARY]]},
        **(metadata or {}),
    }
    doc.update({key: raw_start[key] for key in ("scan_id", "sample") if key in raw_start})
    if recipe in recipes:
        doc["recipe_index"] = list(recipes).index(recipe)
    if refused is not None:
        doc["refused"] = refused
    return doc


class DerivedRun:
    """Writes the documents of one derived run.

    Parameters
    ----------
    emit : callable
        Receives each document as `(name, doc)`, for example a LogWriter.
    start : dict
        Its start document, from `derived_start`; not written again if the run has begun already.
    quantities : mapping of str to Quantity
        All arrays and figures of its estimates.
    expected : int, optional
        Rows that the raw run should have.
    progress : Progress, optional
        The part that another process has written.
    """

    def __init__(
        self,
        emit: Emit,
        start: dict[str, Any],
        quantities: Mapping[str, Quantity],
        *,
        expected: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.progress = progress or Progress()
        self.uid = str(start["uid"])
        self._emit = emit
        self._rows = str(start["rows"])
        self._quantities = quantities
        self._expected = -1 if expected is None else expected
        self._descriptor = str(uuid.uuid5(uuid.UUID(self.uid), PRIMARY))
        self._figures: dict[str, float] = {}
        self.rows: RowFile | None = None
        if not self.progress.started:
            emit("start", start)
            self.progress.started = True
        self.progress.restart += 1

    def store_rows(self, series: Mapping[str, Quantity], folder: Path) -> RowFile:
        """Return the writer that stores single rows in a file in this folder; it is closed with the run."""
        self.rows = RowFile(
            folder / f"{self.uid}.h5",
            self._emit,
            self.uid,
            series,
            told=self.progress.rows,
            described=self.progress.rows_described,
        )
        return self.rows

    def estimate(self, estimate: Estimate, standing: Standing, *, final: bool, elapsed_s: float) -> None:
        """Write one event, unless the final estimate has been written already.

        Raises
        ------
        ValueError
            If the estimate contains something undeclared or of a different shape.
        """
        values = {name: _value(name, quantity, estimate) for name, quantity in self._quantities.items()}
        if undeclared := {*estimate.arrays, *estimate.figures} - values.keys():
            raise ValueError(f"the estimate holds {', '.join(sorted(undeclared))}, which the technique has not declared")
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self._figures = {name: value for name, value in numbers.items() if np.isfinite(value)}
        if self.progress.finished:
            return
        if not self.progress.described:
            self._emit("descriptor", self._descriptor_doc())
            self.progress.described = True
        self.progress.events += 1
        now = time.time()
        data: dict[str, Any] = {
            **values,
            self._rows: standing.used,
            "used": standing.used,
            "number_last": standing.number_last,
            "final": int(final),
            "restart": self.progress.restart,
            "elapsed_s": elapsed_s,
            "expected": self._expected,
            "received": standing.received,
            "rejected": standing.received - standing.used,
        }
        self._emit(
            "event",
            {
                "uid": str(uuid.uuid5(uuid.UUID(self.uid), f"{PRIMARY}/{self.progress.events}")),
                "time": now,
                "descriptor": self._descriptor,
                "seq_num": self.progress.events,
                "data": data,
                "timestamps": dict.fromkeys(data, now),
                "filled": {},
            },
        )
        if final:
            self.progress.finished = True
        else:
            self.progress.update_points.append(standing.used)

    def close(
        self, ledger: Ledger | None = None, *, failure: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        """Write the stop document, and close the file of single rows, if any.

        Parameters
        ----------
        ledger : Ledger, optional
            What happened to every row.
        failure : str, optional
            Why there is no final estimate.
        options : mapping, optional
            The options as actually used, including values chosen from the data.
        """
        if self.rows is not None:
            self.rows.close()
        doc: dict[str, Any] = {
            "uid": str(uuid.uuid5(uuid.UUID(self.uid), "stop")),
            "time": time.time(),
            "run_start": self.uid,
            "exit_status": "success" if failure is None else "fail",
            "reason": failure or "",
            "num_events": self._num_events(),
            "update_points": self.progress.update_points,
            "figures": self._figures,
        }
        if ledger is not None:
            doc["ledger"] = ledger.to_doc()
        if options is not None:
            doc["options_used"] = dict(options)
        self._emit("stop", doc)
        self.progress.ended = True

    def _num_events(self) -> dict[str, int]:
        rows = self.rows.told if self.rows is not None else max(self.progress.rows.values(), default=0)
        numbers = {PRIMARY: self.progress.events if self.progress.described else 0, SERIES: rows}
        return {name: number for name, number in numbers.items() if number}

    def _descriptor_doc(self) -> dict[str, Any]:
        data_keys: dict[str, Any] = {}
        for name, quantity in self._quantities.items():
            data_keys[name] = quantity_key(quantity)
        for name, dtype in {self._rows: "<i8", **_NUMBERS}.items():
            kind = "integer" if dtype == "<i8" else "number"
            data_keys[name] = {"dtype": kind, "shape": [], "dtype_numpy": dtype}
        data_keys["elapsed_s"]["units"] = "s"
        for data_key in data_keys.values():
            data_key |= {"source": f"{OBJECT}:{self.uid}", "object_name": OBJECT}
        return {
            "uid": self._descriptor,
            "run_start": self.uid,
            "time": time.time(),
            "name": PRIMARY,
            "data_keys": data_keys,
            "object_keys": {OBJECT: list(data_keys)},
            "configuration": {OBJECT: {"data": {}, "data_keys": {}, "timestamps": {}}},
            "hints": {OBJECT: {"fields": quality_figures(data_keys)}},
        }


def _value(name: str, quantity: Quantity, estimate: Estimate) -> Any:
    given = estimate.arrays.get(name, estimate.figures.get(name))
    if not quantity.is_array:
        return float("nan") if given is None else float(given)  # type: ignore[arg-type]
    if given is None:
        return np.full(quantity.shape, np.nan, dtype=quantity.dtype)
    array = np.ascontiguousarray(given, dtype=quantity.dtype)
    if array.shape != quantity.shape:
        raise ValueError(f"{name} of the estimate has the shape {array.shape}; {quantity.shape} was declared")
    return array
