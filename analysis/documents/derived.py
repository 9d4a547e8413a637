"""Derived runs: a reconstruction as a Bluesky run, with one event an estimate.

Uids of descriptors and events follow from the run's uid, so that a derived run that a killed process left open is continued by
another one as if nothing had happened.
"""

from __future__ import annotations

import importlib.metadata
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from analysis.documents.ledger import Ledger
from analysis.documents.realizations import PRIMARY
from analysis.documents.recipe import Recipe
from analysis.ghost import Estimate

PLAN_NAME = "reconstruction"
OBJECT = "reconstruction"
Emit = Callable[[str, dict[str, Any]], None]

_NUMBERS: dict[str, tuple[str, str | None]] = {
    "realizations": ("<i8", None),
    "seq_num_last": ("<i8", None),
    "final": ("<i8", None),
    "restart": ("<i8", None),
    "heldout_loss": ("<f8", None),
    "frc_resolution_px": ("<f8", "pixel"),
    "elapsed_s": ("<f8", "s"),
    "dose": ("<f8", "counts"),
    "expected": ("<i8", None),
    "received": ("<i8", None),
    "used": ("<i8", None),
    "rejected": ("<i8", None),
}
"""Numbers of each estimate's event: their type and unit."""

ARRAYS = ("image", "spread")


@dataclass(frozen=True)
class Standing:
    """Where a reconstruction stands after its last realization.

    Attributes
    ----------
    realizations : int
        Used so far: the update point.
    seq_num_last : int
        Sequence number of the last one used.
    received : int
        Received up to that one, used or not.
    dose : float
        Monitor counts up to that one; NaN without a monitor.
    """

    realizations: int = 0
    seq_num_last: int = 0
    received: int = 0
    dose: float = float("nan")


@dataclass
class Progress:
    """What is in the log of a derived run.

    Attributes
    ----------
    started, described, ended : bool
        Whether its start, descriptor and stop documents are there.
    events : int
        Its estimates.
    restart : int
        How often another process took it over; -1 before the first one began.
    finished : bool
        Whether the final estimate is there.
    update_points : list of int
        Realizations at each estimate that isn't final.
    figures : list of str
        Names of the method's own figures in its descriptor.
    """

    started: bool = False
    described: bool = False
    ended: bool = False
    events: int = 0
    restart: int = -1
    finished: bool = False
    update_points: list[int] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Progress:
        """Read it from the documents of the derived run."""
        progress = cls()
        for name, doc in documents:
            if name == "start":
                progress.started = True
                progress.restart = 0
            elif name == "descriptor":
                progress.described = True
                progress.figures = [key for key in doc["data_keys"] if key not in _NUMBERS and key not in ARRAYS]
            elif name == "event":
                progress.events += 1
                progress.restart = max(progress.restart, int(doc["data"]["restart"]))
                if doc["data"]["final"]:
                    progress.finished = True
                else:
                    progress.update_points.append(int(doc["data"]["realizations"]))
            elif name == "stop":
                progress.ended = True
        return progress


def derived_start(
    raw_start: Mapping[str, Any],
    recipe: Recipe,
    *,
    uid: str,
    purpose: str,
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
        What was asked for.
    uid : str
        The derived run's own uid.
    purpose : str
        "live" (made by a worker, and continued by the next one) or "replay".
    options : mapping, optional
        The options with all their defaults, when they are known; else those of the recipe.
    threads : int
        Threads of the numerical libraries.
    recipes : sequence of Recipe
        All recipes that this run is reconstructed by.
    attempt : int
        How many derived runs of this recipe were refused before.
    refused : str, optional
        "mask_set" if the run cannot be reconstructed until its mask set is there.
    """
    ghost = raw_start.get("ghost") if isinstance(raw_start.get("ghost"), Mapping) else {}
    absolute = bool(ghost and ghost.get("monitor") and ghost.get("open_beam_ratio"))
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
        "mask_set": raw_start.get("mask_set"),
        "technique": raw_start.get("technique", "ghost_imaging"),
        "image": {
            "quantity": "bucket signal per incident signal" if absolute else "bucket signal",
            "units": "1" if absolute else "arbitrary",
            "pixel_size_um": ghost.get("pixel_size_um") if ghost else None,
        },
        "software": software_versions(),
        "hints": {"dimensions": [[["realizations"], PRIMARY]]},
    }
    doc.update({key: raw_start[key] for key in ("scan_id", "sample") if key in raw_start})
    if recipe in recipes:
        doc["recipe_index"] = list(recipes).index(recipe)
    if refused is not None:
        doc["refused"] = refused
    return doc


@cache
def software_versions() -> dict[str, str]:
    """Versions of what a reconstruction's bits depend on (without importing it)."""
    return {name: importlib.metadata.version(name) for name in ("ghostbeam", "numpy", "scipy", "torch")}


class DerivedRun:
    """Writes the documents of one derived run.

    Parameters
    ----------
    emit : callable
        Gets each document as `(name, doc)`, for example a LogWriter.
    start : dict
        Its start document, from `derived_start`; not written again if the run had been begun.
    shape : (H, W)
        Pixels of the image.
    expected : int, optional
        Realizations that the raw run should have.
    progress : Progress, optional
        What another process wrote of it.
    """

    def __init__(
        self,
        emit: Emit,
        start: dict[str, Any],
        shape: tuple[int, int],
        *,
        expected: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.progress = progress or Progress()
        self.uid = str(start["uid"])
        self._emit = emit
        self._shape = shape
        self._expected = -1 if expected is None else expected
        self._descriptor = str(uuid.uuid5(uuid.UUID(self.uid), PRIMARY))
        self._figures: dict[str, float] = {}
        if not self.progress.started:
            emit("start", start)
            self.progress.started = True
        self.progress.restart += 1

    def estimate(self, estimate: Estimate, standing: Standing, *, final: bool, elapsed_s: float) -> None:
        """Write one event, unless the final estimate had been written already."""
        own = {name: float(value) for name, value in estimate.figures.items()}
        self._figures = {name: value for name, value in own.items() if np.isfinite(value)}
        if self.progress.finished:
            return
        if not self.progress.described:
            self.progress.figures = sorted(set(own) - _NUMBERS.keys())
            self._emit("descriptor", self._descriptor_doc())
            self.progress.described = True
        self.progress.events += 1
        now = time.time()
        data: dict[str, Any] = {
            "image": np.ascontiguousarray(estimate.image, dtype="<f4"),
            "spread": np.ascontiguousarray(estimate.spread, dtype="<f4"),
            "realizations": standing.realizations,
            "seq_num_last": standing.seq_num_last,
            "final": int(final),
            "restart": self.progress.restart,
            "heldout_loss": float(estimate.heldout_loss),
            "frc_resolution_px": own.get("frc_resolution_px", float("nan")),
            "elapsed_s": elapsed_s,
            "dose": standing.dose,
            "expected": self._expected,
            "received": standing.received,
            "used": standing.realizations,
            "rejected": standing.received - standing.realizations,
            **{name: own.get(name, float("nan")) for name in self.progress.figures},
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
            self.progress.update_points.append(standing.realizations)

    def close(
        self, ledger: Ledger | None = None, *, failure: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        """Write the stop document.

        Parameters
        ----------
        ledger : Ledger, optional
            What became of every realization.
        failure : str, optional
            Why there is no final estimate.
        options : mapping, optional
            The options as really used, values chosen from the data included.
        """
        doc: dict[str, Any] = {
            "uid": str(uuid.uuid5(uuid.UUID(self.uid), "stop")),
            "time": time.time(),
            "run_start": self.uid,
            "exit_status": "success" if failure is None else "fail",
            "reason": failure or "",
            "num_events": {PRIMARY: self.progress.events} if self.progress.described else {},
            "update_points": self.progress.update_points,
            "figures": self._figures,
        }
        if ledger is not None:
            doc["ledger"] = ledger.to_doc()
        if options is not None:
            doc["options_used"] = dict(options)
        self._emit("stop", doc)
        self.progress.ended = True

    def _descriptor_doc(self) -> dict[str, Any]:
        source = f"{OBJECT}:{self.uid}"
        data_keys: dict[str, Any] = {}
        for name in ARRAYS:
            data_keys[name] = {"source": source, "dtype": "array", "shape": list(self._shape), "dtype_numpy": "<f4"}
            data_keys[name]["dims"] = ["y", "x"]
        numbers = {**_NUMBERS, **{name: ("<f8", None) for name in self.progress.figures}}
        for name, (dtype, units) in numbers.items():
            kind = "integer" if dtype == "<i8" else "number"
            data_keys[name] = {"source": source, "dtype": kind, "shape": [], "dtype_numpy": dtype}
            if units is not None:
                data_keys[name]["units"] = units
        for data_key in data_keys.values():
            data_key["object_name"] = OBJECT
        return {
            "uid": self._descriptor,
            "run_start": self.uid,
            "time": time.time(),
            "name": PRIMARY,
            "data_keys": data_keys,
            "object_keys": {OBJECT: list(data_keys)},
            "configuration": {OBJECT: {"data": {}, "data_keys": {}, "timestamps": {}}},
            "hints": {OBJECT: {"fields": ["heldout_loss"]}},
        }
