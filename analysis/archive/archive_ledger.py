"""Which runs the archiver is done with: a small SQLite file of its own, so that it never writes to the document log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from analysis.documents.private import private_folder


class ArchiveLedger:
    """The runs that are verified in Tiled, and those that were given up, and why.

    Parameters
    ----------
    state_dir : Path
        The state directory; the ledger is `archive.db` in it.
    """

    def __init__(self, state_dir: Path | str) -> None:
        path = Path(state_dir) / "archive.db"
        private_folder(path.parent)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS runs (uid TEXT PRIMARY KEY, problem TEXT)")

    def settle(self, uid: str, problem: str | None = None) -> None:
        """Note that the run is verified or, with a problem, given up."""
        self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (uid, problem))

    def settled(self) -> set[str]:
        """The uids of all runs that are verified or given up."""
        return {uid for (uid,) in self._connection.execute("SELECT uid FROM runs")}

    def is_verified(self, uid: str) -> bool:
        """Whether the run is in Tiled as it is in the log."""
        return bool(self._connection.execute("SELECT 1 FROM runs WHERE uid = ? AND problem IS NULL", (uid,)).fetchone())

    def problems(self) -> dict[str, str]:
        """The runs that were given up, and why."""
        return dict(self._connection.execute("SELECT uid, problem FROM runs WHERE problem IS NOT NULL"))

    def retry(self) -> list[str]:
        """Forget what was given up, so that it is tried again; returns the uids."""
        uids = list(self.problems())
        self._connection.execute("DELETE FROM runs WHERE problem IS NOT NULL")
        return uids

    def forget(self, uid: str) -> None:
        """The run is to be brought in again, by the next archiver that starts."""
        self._connection.execute("DELETE FROM runs WHERE uid = ?", (uid,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
