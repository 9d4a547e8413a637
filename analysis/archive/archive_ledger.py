"""Which runs the archiver has finished: a small SQLite file of its own, so that it never writes to the document log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from analysis.documents.private import private_folder

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (uid TEXT PRIMARY KEY, problem TEXT);
CREATE TABLE IF NOT EXISTS not_as_logged (uid TEXT PRIMARY KEY, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS acknowledged (uid TEXT PRIMARY KEY);
"""


class ArchiveLedger:
    """The runs that are in Tiled and compared with the log, and the runs that were given up, with the reason.

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
        self._connection.executescript(_TABLES)

    def settle(self, uid: str, problem: str | None = None, *, lost: Mapping[str, str] | None = None) -> None:
        """Note that the run is in Tiled and compared or, if there is a problem, given up.

        Parameters
        ----------
        uid : str
            The run.
        problem : str, optional
            Why it is given up.
        lost : dict, optional
            The parts that could not be stored as they were logged, and how they are stored instead.
        """
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (uid, problem))
            self._connection.execute("DELETE FROM not_as_logged WHERE uid = ?", (uid,))
            if lost:
                self._connection.execute("INSERT INTO not_as_logged VALUES (?, ?)", (uid, json.dumps(lost)))

    def settled(self) -> set[str]:
        """The uids of all runs that are in Tiled or given up."""
        return {uid for (uid,) in self._connection.execute("SELECT uid FROM runs")}

    def is_archived(self, uid: str) -> bool:
        """Whether the run is in Tiled and was compared with the log; `not_as_logged` lists the differences."""
        return bool(self._connection.execute("SELECT 1 FROM runs WHERE uid = ? AND problem IS NULL", (uid,)).fetchone())

    def is_verified(self, uid: str) -> bool:
        """Whether the run is in Tiled as it is in the log, with nothing left out."""
        return self.is_archived(uid) and not self.not_as_logged(uid)

    def not_as_logged(self, uid: str) -> dict[str, str]:
        """The parts of a run that could not be stored as they were logged, and how they are stored instead."""
        row = self._connection.execute("SELECT what FROM not_as_logged WHERE uid = ?", (uid,)).fetchone()
        what: dict[str, str] = json.loads(row[0]) if row else {}
        return what

    def newest_not_as_logged(self, most: int) -> dict[str, dict[str, str]]:
        """The most recent runs with parts that could not be stored as they were logged."""
        rows = self._connection.execute("SELECT uid, what FROM not_as_logged ORDER BY rowid DESC LIMIT ?", (most,))
        return {uid: json.loads(what) for uid, what in rows}

    def problems(self) -> dict[str, str]:
        """The runs that were given up, with the reason, except those that somebody has acknowledged."""
        return self._given_up("NOT IN")

    def acknowledged(self) -> dict[str, str]:
        """The runs that were given up, with the reason, and are to stay out of Tiled."""
        return self._given_up("IN")

    def acknowledge(self, uid: str) -> None:
        """Note that a run that was given up may stay out of Tiled."""
        self._connection.execute("INSERT OR IGNORE INTO acknowledged VALUES (?)", (uid,))

    def forget(self, uid: str) -> None:
        """Note that the run is to be archived again."""
        self._connection.execute("DELETE FROM runs WHERE uid = ?", (uid,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _given_up(self, which: str) -> dict[str, str]:
        query = f"SELECT uid, problem FROM runs WHERE problem IS NOT NULL AND uid {which} (SELECT uid FROM acknowledged)"
        return dict(self._connection.execute(query))
