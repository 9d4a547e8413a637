"""The gap ledger: what became of every realization that a run should have had."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MAX_DETAILS = 100

REASONS: dict[str, str] = {
    "bad_seq_num": "the sequence number is not a whole number from 1",
    "mask_unknown": "no mask index was read",
    "off_plate": "the mask index is not on the plate",
    "position_unknown": "the mask's offset was not read",
    "misplaced": "the mask was further from its place than the run tolerates",
    "bucket_missing": "the bucket is missing, NaN or infinite",
    "bucket_negative": "the bucket is negative, though no mask is",
    "saturated": "the bucket reached the level where the detector saturates",
    "bad_exposure": "the exposure time is missing, zero or negative",
    "no_monitor": "the incident-beam monitor is missing, or no higher than in the dark",
    "beam_lost": "the incident-beam monitor fell below a twentieth of its first value",
    "bad_error": "the bucket's error is missing, zero or negative",
}
"""Why a received realization is not used."""


@dataclass
class Ledger:
    """Counts of a run's realizations and why some are not used.

    Attributes
    ----------
    expected : int or None
        As many as the start document announces.
    received : int
        Distinct sequence numbers that arrived.
    used : int
        Realizations that the estimate is made of.
    rejected : Counter
        Received and not used, by reason (a key of `REASONS`).
    missing : int
        Emitted by the plan and not received.
    not_acquired : int
        Announced by the start document, and never emitted: the scan ended early.
    duplicates : int
        Documents that repeat a sequence number with the same content.
    conflicts : int
        Documents that repeat a sequence number with other content; the earlier one counts.
    foreign : int
        Events whose descriptor belongs to no stream of this run.
    revised : bool
        A document came so late that estimates before the final one were made without it.
    details : list of (int, str)
        The first hundred (sequence number, reason), "missing" being a reason here.
    normalisation : dict
        What the buckets were corrected with.
    remarks : list of str
        What people should know of it, in sentences.
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

    def reject(self, seq_num: int, reason: str) -> None:
        """One received realization is not used."""
        self.rejected[reason] += 1
        self.note(seq_num, reason)

    def note(self, seq_num: int, reason: str) -> None:
        """Remember one sequence number, while there is room."""
        if len(self.details) < MAX_DETAILS:
            self.details.append((seq_num, reason))

    def to_doc(self) -> dict[str, Any]:
        """The ledger as it stands in a stop document."""
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
            "details": [[seq_num, reason] for seq_num, reason in self.details],
            "normalisation": self.normalisation,
            "remarks": self.remarks,
        }
