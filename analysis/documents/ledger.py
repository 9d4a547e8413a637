"""The gap ledger: what happened to every row (realization, frame) that a run should have had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MAX_DETAILS = 100


@dataclass
class Ledger:
    """Counts of a run's rows, and why some are not used.

    Attributes
    ----------
    expected : int or None
        The number that the start document announces.
    received : int
        Distinct numbers that arrived.
    used : int
        Rows that contribute to the estimate.
    rejected : Counter
        Rows received but not used, by reason (a key of the technique's `reasons`).
    missing : int
        Emitted by the plan but not received.
    not_acquired : int
        Announced by the start document but never emitted: the scan ended early.
    duplicates : int
        Rows that repeat a number with the same content.
    conflicts : int
        Rows that repeat a number with different content; the earlier one counts.
    foreign : int
        Events whose descriptor belongs to no stream of this run.
    revised : bool
        A document arrived so late that estimates before the final one were made without it.
    details : list of (int, str)
        The first hundred (number, reason), "missing" being a reason here.
    normalisation : dict
        The quantities with which the data were corrected.
    remarks : list of str
        What users should know about it, in sentences.
    doubts : list of str
        What seems wrong with the data and how to mend it, in sentences.
    """

    expected: int | None = None
    received: int = 0
    used: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    not_acquired: int = 0
    duplicates: int = 0
    conflicts: int = 0
    foreign: int = 0
    revised: bool = False
    details: list[tuple[int, str]] = field(default_factory=list)
    normalisation: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def reject(self, number: int, reason: str) -> None:
        """Note that one received row is not used."""
        self.rejected[reason] += 1
        self.note(number, reason)

    def note(self, number: int, reason: str) -> None:
        """Record one number, as long as there is space."""
        if len(self.details) < MAX_DETAILS:
            self.details.append((number, reason))

    def left_out(self, rows: str) -> list[str]:
        """What of a run is not used, in sentences; `rows` is what its rows are called, in the plural."""

        def count(number: int) -> str:
            return f"{number} {rows.removesuffix('s') if number == 1 else rows}"

        told = [f"{count(number)} left out: {reason.replace('_', ' ')}" for reason, number in self.rejected.most_common()]
        return [*told, f"{count(self.missing)} never arrived"] if self.missing else told

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Ledger:
        """The ledger that `to_doc` wrote."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in doc.items() if name in known}
        values["rejected"] = Counter(doc["rejected"])
        values["details"] = [(number, reason) for number, reason in doc["details"]]
        return cls(**values)

    def to_doc(self) -> dict[str, Any]:
        """The ledger as in a stop document."""
        return {
            "expected": self.expected,
            "received": self.received,
            "used": self.used,
            "rejected": dict(sorted(self.rejected.items())),
            "missing": self.missing,
            "not_acquired": self.not_acquired,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "foreign": self.foreign,
            "revised": self.revised,
            "details": [[number, reason] for number, reason in self.details],
            "normalisation": self.normalisation,
            "remarks": self.remarks,
            "doubts": self.doubts,
        }
