"""One reconstruction as a session shows it: its newest estimate, how it ended, and figures of its reliability."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.documents.log import LogReader
from analysis.documents.quantity_keys import array_keys, failed_checks, is_useless, quality_figures
from analysis.documents.streams import PRIMARY
from analysis.views.table import table

_FLAT_IN_A_ROW = 3
_FAILED, _DONE, _RUNNING = "failed", "done", "running"


@dataclass
class LiveRun:
    """One reconstruction: its start document, its newest estimate, and how it ended.

    Attributes
    ----------
    start : dict
        Start document of the derived run.
    estimate : dict
        Data of its newest event; empty before the first.
    stop : dict or None
        Stop document.
    data_keys : dict
        The descriptor's entries for all arrays and figures; empty before the first estimate.
    history : list of (int, dict)
        Rows and figures of quality of every estimate.
    time : float
        When the newest document was logged (s since the epoch).
    scan_status : str
        How the run that is reconstructed ended ("success", "abort", "fail"), or "running".
    doubts_so_far : list of str
        Suspected problems of the data that are known before the end.
    """

    start: dict[str, Any]
    estimate: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] | None = None
    data_keys: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    time: float = 0.0
    position: int = 0
    scan_status: str = "running"
    doubts_so_far: list[str] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """Uid of the derived run."""
        return str(self.start["uid"])

    @property
    def raw_uid(self) -> str:
        """Uid of the run that is reconstructed."""
        return str(self.start["derived_from"])

    @property
    def method(self) -> str:
        """Method of the reconstruction."""
        return str(self.start["method"])

    @property
    def state(self) -> str:
        """Its state: "running", "done" or "failed"."""
        if self.stop is None:
            return _RUNNING
        return _DONE if self.stop["exit_status"] == "success" else _FAILED

    @property
    def rows(self) -> str:
        """Name of its rows, such as realizations."""
        return str(self.start.get("rows", "realizations"))

    @property
    def image(self) -> np.ndarray | None:
        """The newest image, the first array of the estimate; None before the first."""
        arrays = array_keys(self.data_keys)
        return self.estimate.get(arrays[0]) if arrays else None

    @property
    def spread(self) -> np.ndarray | None:
        """Standard error of the newest image; None before the first one, and if the technique has none."""
        return self.arrays.get("spread")

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The newest estimate's arrays by name."""
        return {key: self.estimate[key] for key in array_keys(self.data_keys) if key in self.estimate}

    @property
    def channels(self) -> list[str]:
        """Names of the channels along the first axis of its arrays, such as chemical elements; empty if there are none."""
        return list(self.start.get("channels") or ()) if self.arrays else []

    @property
    def absent(self) -> list[str]:
        """Channels whose images are no better than flat ones."""
        losses = {channel: self.estimate.get(f"heldout_loss_{channel}") for channel in self.channels}
        return [channel for channel, loss in losses.items() if loss is not None and loss >= 1]

    def channel_told(self, number: int) -> str:
        """A channel's name, and whether its image is no better than a flat one."""
        channel = self.channels[number]
        return f"{channel}: no better than flat" if channel in self.absent else channel

    @property
    def figures(self) -> dict[str, float]:
        """The newest figures of quality by name."""
        return {key: float(self.estimate[key]) for key in quality_figures(self.data_keys) if key in self.estimate}

    @property
    def used(self) -> int:
        """Number of rows in the newest estimate."""
        return int(self.estimate.get("used", 0))

    @property
    def realizations(self) -> int:
        """The same, under its name in ghost imaging."""
        return self.used

    @property
    def expected(self) -> int | None:
        """Rows that the run should have."""
        expected = int(self.estimate.get("expected", -1))
        return expected if expected > 0 else None

    @property
    def count(self) -> str:
        """The number of rows in the newest estimate, and the expected number."""
        return f"{self.used}/{self.expected}" if self.expected else str(self.used)

    @property
    def verdict(self) -> str:
        """The status of the newest estimate: "live" or "final", and reasons not to rely on it."""
        words = {_RUNNING: "live", _DONE: "final", _FAILED: "failed"}[self.state]
        if self.scan_status in ("abort", "fail"):
            words += ", scan aborted" if self.scan_status == "abort" else ", scan failed"
        return words + (", no better than flat" if self.flat else "")

    @property
    def flat(self) -> str | None:
        """Why the newest estimate is no better than a flat image; None if it is better."""
        if self.image is not None and np.nanmin(self.image) == np.nanmax(self.image):
            return "it is the same everywhere"
        return self._flat_by(self.figures)

    @property
    def doubts(self) -> list[str]:
        """Reasons not to trust the newest estimate, in sentences.

        The first estimates of a good scan may be no better than a flat image: while the scan is running, three in a row are
        required. Suspected problems of its data are looked for after a quarter and half of it, and at its end.
        """
        return [*self._unlike_flat, *self.data_doubts]

    @property
    def data_doubts(self) -> list[str]:
        """Suspected problems of the reconstructed data, in sentences; from a quarter of the scan on."""
        return self.doubts_so_far if self.stop is None else list((self.stop.get("ledger") or {}).get("doubts") or ())

    @property
    def _unlike_flat(self) -> list[str]:
        if self.absent and self.stop is not None and self.flat is None:
            return [f"{self.method} sees no {' and no '.join(self.absent)}: its image is no better than a flat one"]
        before = [figures for _, figures in self.history[-_FLAT_IN_A_ROW:]]
        lasting = len(before) == _FLAT_IN_A_ROW and all(map(self._flat_by, before))
        if self.flat is None or (self.stop is None and not lasting and self._flat_by(self.figures)):
            return []
        return [
            f"{self.method} is no better than a flat image after {self.used} {self.rows} ({self.flat}). {self._useless_means}"
            "Is there light on the sample, is the sample in the beam, and are plate and detectors those that the scan names?"
        ]

    @property
    def _useless_means(self) -> str:
        """The meaning of figures that equal those of a flat image, as declared by the technique."""
        useless = [self.data_keys[key] for key, value in self.figures.items() if is_useless(self.data_keys[key], value)]
        return "".join(f"{data_key['useless_means']} " for data_key in useless if "useless_means" in data_key)

    def _flat_by(self, figures: dict[str, float]) -> str | None:
        for key, value in figures.items():
            if is_useless(self.data_keys[key], value):
                return f"{self.data_keys[key].get('meaning', key)} {figure_text(value)}"
        return None

    @property
    def failed_checks(self) -> list[str]:
        """Checks of the newest estimate that failed, in sentences."""
        return failed_checks(self.data_keys, self.estimate)

    @property
    def figures_told(self) -> list[str]:
        """The newest figures of quality in words."""
        known = {key: figure_text(value) for key, value in self.figures.items()}
        return [f"{heading(key, self.data_keys[key])} {text}" for key, text in known.items() if text]

    @property
    def remarks(self) -> list[str]:
        """What users should know about it, in sentences."""
        ledger = (self.stop or {}).get("ledger") or {}
        return [*self.start.get("remarks", ()), *ledger.get("remarks", ()), *self.doubts, *self.failed_checks]

    def __repr__(self) -> str:
        return "\n".join(reconstructions_table([self]))

    def _take(self, reader: LogReader) -> None:
        newest = 0
        for record in reader.documents(self.uid, after=self.position, arrays=False):
            self.position, self.time = record.position, record.logged_at
            if record.damage is not None:
                continue
            if record.name == "descriptor" and record.doc["name"] == PRIMARY:
                self.data_keys = record.doc["data_keys"]
            elif record.name == "event":
                self.estimate = record.doc["data"]
                self.history.append((self.used, self.figures))
                newest = record.position
            elif record.name == "stop":
                self.stop = record.doc
        if newest:  # for all others the figures are enough
            (record,) = reader.read(newest - 1, run=self.uid, limit=1)
            self.estimate = record.doc["data"]


def quality_headings(runs: list[LiveRun]) -> dict[str, str]:
    """Headings for the figures of quality that any of the runs has, by the figure's name."""
    # Older runs do not mark which of their figures those are.
    return {key: heading(key, run.data_keys[key]) for run in runs for key in run.figures}


def figure_text(value: float | None) -> str:
    """A figure as a table shows it; empty if unknown."""
    return "" if value is None or np.isnan(value) else f"{value:.3g}"


def reconstructions_table(runs: list[LiveRun]) -> list[str]:
    """Lines of a table of reconstructions, and below it the remarks on them."""
    headings = quality_headings(runs)
    words = {run.rows for run in runs}
    count = words.pop() if len(words) == 1 else "rows"
    rows = [("run", "scan", "sample", "method", "state", count, *headings.values(), "age")]
    rows += [
        (
            run.raw_uid[:8],
            str(run.start.get("scan_id", "")),
            str(run.start.get("sample") or "")[:16],
            run.method + (" (replay)" if run.start.get("purpose") == "replay" else ""),
            run.state + run.verdict.partition(",")[1] + run.verdict.partition(",")[2],
            run.count,
            *(figure_text(run.figures.get(key)) for key in headings),
            _age(time.time() - run.time),
        )
        for run in runs
    ]
    lines = table(rows)
    lines += [
        f"{run.method} of {run.raw_uid[:8]} failed: {run.stop['reason']}" for run in runs if run.stop and run.stop["reason"]
    ]
    remarks = {(run.raw_uid[:8], remark): None for run in runs for remark in run.remarks}
    return lines + [f"{uid}: {remark}" for uid, remark in remarks]


def heading(key: str, data_key: dict[str, Any]) -> str:
    """The heading of a figure's column, with its unit."""
    units = data_key.get("units")
    return (
        f"{data_key.get('meaning', key)} ({'px' if units == 'pixel' else units})" if units else str(data_key.get("meaning", key))
    )


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
