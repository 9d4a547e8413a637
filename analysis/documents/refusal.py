"""Why a run is not reconstructed."""

from __future__ import annotations

from analysis.documents.ledger import Ledger


class RunRefused(ValueError):
    """A run cannot be reconstructed, even if it is tried again; the message names the problem and the remedy."""


class NothingUsable(RunRefused):
    """Nothing of a run can be used; its ledger gives the reasons."""

    def __init__(self, ledger: Ledger, rows: str) -> None:
        self.ledger = ledger
        reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in ledger.rejected.most_common())
        told = f" ({reasons})" if reasons else ""
        super().__init__(f"no usable {rows.removesuffix('s')}: {ledger.received} received{told}, {ledger.missing} missing")
