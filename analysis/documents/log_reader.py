"""Reading the document log, even if a faulty disk or a writer of another version has damaged it.

A read never raises because of a row: a row that cannot be read is a `Record` like all others, whose `damage` says what is
wrong, and whose `doc` raises LogDamage with run and position. So a reader of many runs gives up only that run and continues.
Damage is: a checksum that does not match, bytes that are no document, a page that SQLite cannot read, missing rows (positions
in the log and numbers in a run have no gaps), and a document after the stop document of its run. If the run of a damaged row
is unknown, its `run` is empty. `RunInfo`, a run as a whole, has a `damage` too, and then an empty start document.
"""

from __future__ import annotations

import enum
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.documents.encoding import LogError, decode
from analysis.documents.log_file import RUN_COLUMNS, RunRow, checksum_of, connect, run_row
from analysis.documents.process import Process

BYTES_AT_ONCE = 16_000_000
_ROWS_AT_ONCE = 1000
_COLUMNS = "position, run, number, name, logged_at, checksum, body"

_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR)
_NOBODY = Process(0, 0, "")
_CHANGED = "it was changed after it was written (is the disk faulty?): its checksum does not fit"
_GONE = "it is gone (is the disk faulty?)"
_PAGE = "its page of the file cannot be read (is the disk faulty?)"

_Row = tuple[Any, ...]


class LogDamage(LogError):
    """A document in the log cannot be read; the message names its run and position."""

    def __init__(self, run: str, position: int, damage: str) -> None:
        super().__init__(f"document {position} of the log, of run {run or 'unknown'}, cannot be read: {damage}")
        self.run = run
        self.position = position
        self.damage = damage


class RunState(enum.Enum):
    """What a reader may expect from a run: nothing ever, more later, or nothing more."""

    UNKNOWN = "no such run"
    OPEN = "not yet ended"
    ENDED = "ended"


@dataclass(frozen=True)
class Record:
    """One row of the log.

    Attributes
    ----------
    position : int
        Position in the log, from 1.
    run : str
        Uid of the run; empty if damage made it unknown.
    name : str
        Kind of document; empty if unknown.
    content : dict or None
        The document, for `doc`.
    logged_at : float
        When it was logged, s since 1970.
    damage : str or None
        Why the document cannot be read, if it cannot.
    """

    position: int
    run: str
    name: str
    content: dict[str, Any] | None
    logged_at: float
    damage: str | None = None

    @property
    def doc(self) -> dict[str, Any]:
        """The document.

        Raises
        ------
        LogDamage
            If it cannot be read.
        """
        if self.content is None or self.damage is not None:
            raise LogDamage(self.run, self.position, self.damage or "it is gone")
        return self.content


@dataclass(frozen=True)
class RunInfo:
    """A run in the log.

    Attributes
    ----------
    uid : str
        Uid of the run.
    first, stop : int
        Positions of its start document and of its stop document (None while it is open).
    start : dict
        The start document; empty if it cannot be read.
    damage : str or None
        What is wrong with the entry or the start document, if anything is.
    """

    uid: str
    first: int
    stop: int | None
    start: dict[str, Any]
    damage: str | None = None


class _Unreadable(LogError):
    """SQLite found a damaged page."""


class LogReader:
    """Reads a log that any number of processes may be writing. Safe to make before the file exists.

    Parameters
    ----------
    path : Path
        The SQLite file.

    Raises
    ------
    LogError
        From every method, if the file as a whole cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def read(self, after: int = 0, *, run: str | None = None, limit: int = _ROWS_AT_ONCE, arrays: bool = True) -> list[Record]:
        """The next documents after position `after`, in order, of one run or of all runs.

        Returns at most `limit` documents and about 16 MB, so that a reader's memory does not depend on the content of the
        documents, but at least one if there is any. Only an empty list means that there are no more (yet).

        Parameters
        ----------
        after : int
            A position; 0 for the beginning.
        run : str, optional
            Uid of the run whose documents are wanted.
        limit : int
            Maximum number of documents.
        arrays : bool
            Whether to read arrays; otherwise each is replaced by an `ArrayLeftOut`.
        """
        rows = self._rows(after, run, limit)
        if not rows:
            announced = self._announced(run)
            # Rows written since then are not damaged: they appear when one reads again.
            rows = self._rows(after, run, limit) if announced > after else []
            if not rows and announced > after and run is not None:
                return [Record(announced, run, "stop", None, 0.0, _GONE)]
            if not rows:
                return [self._gone(position) for position in range(after + 1, min(announced, after + limit) + 1)]
        if run is not None:
            return self._of_run(run, rows, after, arrays)
        return self._of_all(rows, after, arrays)[:limit]

    def documents(self, run: str | None, *, after: int = 0, up_to: int | None = None, arrays: bool = True) -> Iterator[Record]:
        """All documents now in the log of one run (None: of all), in order; about 16 MB of them are in memory at a time."""
        while records := self.read(after, run=run, arrays=arrays):
            for record in records:
                if up_to is not None and record.position > up_to:
                    return
                yield record
            after = records[-1].position

    def last_position(self) -> int:
        """The position of the newest document, 0 for an empty log."""
        try:
            rows = self._fetch("SELECT max(position) FROM documents", [])
        except _Unreadable:
            return self._announced(None)
        return int(rows[0][0] or 0) if rows else 0

    def state(self, run: str) -> RunState:
        """Whether the run is unknown, open or ended."""
        if not (row := self._run(run)):
            return RunState.UNKNOWN
        return RunState.OPEN if row.stop is None else RunState.ENDED

    def stop(self, run: str) -> Record | None:
        """The stop document of a run; None before its end."""
        row = self._run(run)
        records = [] if row is None or row.stop is None else self.read(row.stop - 1, run=run, limit=1)
        return records[0] if records else None

    def runs(self, after: int = 0) -> list[RunInfo]:
        """Every run whose start document is after position `after`, oldest first."""
        query = f"SELECT {RUN_COLUMNS} FROM runs WHERE first > ? ORDER BY first"
        return [self._info(*run_row(columns)) for columns in self._fetch(query, [after]) if isinstance(columns[1], int)]

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _of_all(self, rows: list[_Row], after: int, arrays: bool) -> list[Record]:
        records: list[Record] = []
        for row in rows:
            records += [self._gone(position) for position in range(after + 1, row[0])]
            records.append(self._record(row, None, arrays))
            after = row[0]
        known = self._run_rows({record.run for record in records})
        return [_in_its_run(record, known.get(record.run)) for record in records]

    def _of_run(self, run: str, rows: list[_Row], after: int, arrays: bool) -> list[Record]:
        known = self._run(run)
        records = []
        number = self._number_before(run, after)
        for row in rows:
            record = _in_its_run(self._record(row, run, arrays), known)
            if number is not None and record.damage is None and row[2] is not None and row[2] != number + 1:
                behind = f"behind number {number} of its run comes number {row[2]}: what was between them is gone"
                record = replace(record, damage=behind)
            number = row[2] if record.damage is None else None
            records.append(record)
        return records

    def _record(self, row: _Row, run: str | None, arrays: bool) -> Record:
        """A row as a record; `run` is its run, if known from elsewhere."""
        position, said, _, name, logged_at, _, body = row
        if body is None:
            return Record(position, self._owner(position) if run is None else run, "", None, 0.0, _PAGE)
        if not _is_whole(row):
            run = self._owner(position) if run is None else run
            return Record(position, run, str(name), None, logged_at if isinstance(logged_at, float) else 0.0, _CHANGED)
        try:
            return Record(position, said, name, decode(body, arrays=arrays), logged_at)
        except LogError as error:
            return Record(position, said, name, None, logged_at, str(error))

    def _gone(self, position: int) -> Record:
        return Record(position, self._owner(position), "", None, 0.0, _GONE)

    def _owner(self, position: int) -> str:
        """The run of a damaged row, according to the index; empty if unknown."""
        try:
            rows = self._fetch("SELECT run FROM documents INDEXED BY documents_by_run WHERE position = ?", [position])
        except _Unreadable:
            return ""
        return str(rows[0][0]) if rows and str(rows[0][0]) in self._run_rows({str(rows[0][0])}) else ""

    def _announced(self, run: str | None) -> int:
        """The last position that must exist, in the log or, once it has ended, in a run."""
        if run is not None:
            row = self._run(run)
            return (row and row.stop) or 0
        rows = self._fetch("SELECT seq FROM sqlite_sequence WHERE name = 'documents'", [])
        return int(rows[0][0]) if rows else 0

    def _number_before(self, run: str, after: int) -> int | None:
        """The number of the run's last document up to a position; 0 if there is none, None if it has no number."""
        query = "SELECT number FROM documents WHERE run = ? AND position <= ? ORDER BY position DESC LIMIT 1"
        try:
            rows = self._fetch(query, [run, after])
        except _Unreadable:
            return None
        return rows[0][0] if rows else 0

    def _info(self, row: RunRow, whole: bool) -> RunInfo:
        damage = None if whole else f"its entry in the table of runs: {_CHANGED}"
        rows = self._rows_at([row.first])
        record = self._record(rows[0], row.uid, True) if rows else None
        if damage is None and (record is None or record.name != "start"):
            damage = f"its start document: {_GONE}"
        elif damage is None and record is not None and record.damage is not None:
            damage = f"its start document: {record.damage}"
        start = {} if damage is not None or record is None else record.doc
        stop = row.stop if isinstance(row.stop, int) else None
        return RunInfo(str(row.uid), row.first, stop, start, damage)

    def _run(self, run: str) -> RunRow | None:
        """A run's entry; if that is damaged or missing, the entry that its documents imply."""
        known = self._run_rows({run}).get(run)
        if known is not None:
            return known
        query = "SELECT min(position), max(CASE WHEN name = 'stop' THEN position END) FROM documents WHERE run = ?"
        rows = self._fetch(query, [run])
        return RunRow(run, rows[0][0], rows[0][1], _NOBODY) if rows and rows[0][0] is not None else None

    def _run_rows(self, uids: set[str]) -> dict[str, RunRow]:
        """The undamaged entries of these runs."""
        marks = ", ".join("?" * len(uids))
        rows = [run_row(columns) for columns in self._fetch(f"SELECT {RUN_COLUMNS} FROM runs WHERE uid IN ({marks})", list(uids))]
        return {row.uid: row for row, whole in rows if whole}

    def _rows(self, after: int, run: str | None, limit: int) -> list[_Row]:
        query = f"SELECT {_COLUMNS} FROM documents WHERE position > ?"
        parameters: list[Any] = [after]
        if run is not None:
            query += " AND run = ?"
            parameters.append(run)
        try:
            return self._fetch(query + " ORDER BY position LIMIT ?", [*parameters, limit])
        except _Unreadable:
            return self._rows_at(self._positions(after, run, limit))

    def _positions(self, after: int, run: str | None, limit: int) -> Sequence[int]:
        """The positions of the next documents, without reading them."""
        if run is None:
            return range(after + 1, min(self._announced(None), after + limit) + 1)
        query = "SELECT position FROM documents INDEXED BY documents_by_run WHERE run = ? AND position > ?"
        return [row[0] for row in self._fetch(f"{query} ORDER BY position LIMIT ?", [run, after, limit])]

    def _rows_at(self, positions: Iterable[int]) -> list[_Row]:
        """Rows read one by one; for those on unreadable pages, everything except the position is None."""
        rows: list[_Row] = []
        size = 0
        for position in positions:
            try:
                found = self._fetch(f"SELECT {_COLUMNS} FROM documents WHERE position = ?", [position])
            except _Unreadable:
                found = [(position, *[None] * 6)]
            rows += found
            size += sum(_size(row) for row in found)
            if size >= BYTES_AT_ONCE:
                break
        return rows

    def _fetch(self, query: str, parameters: list[Any]) -> list[_Row]:
        """Rows, at most about 16 MB. No transaction outlives the call: it would let the write-ahead log grow."""
        with self._lock:
            if self._connection is None:
                if not self.path.exists():
                    return []
                self._connection = connect(self.path)
            try:
                with closing(self._connection.execute(query, parameters)) as cursor:
                    rows, size = [], 0
                    for row in cursor:
                        rows.append(row)
                        size += _size(row)
                        if size >= BYTES_AT_ONCE:
                            break
                    return rows
            except sqlite3.Error as error:
                if "no such table" in str(error):  # another process is making the file right now
                    return []
                kind = _Unreadable if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE_CODES else LogError
                raise kind(f"the document log {self.path} cannot be read ({error})") from error


def _in_its_run(record: Record, run: RunRow | None) -> Record:
    """A record whose run is known and had not ended before; otherwise the record with that as its damage."""
    if record.damage is not None:
        return record
    if run is None:
        return replace(record, damage="its run is not in the table of runs (is the disk faulty?)")
    if run.stop is not None and record.position > run.stop:
        return replace(record, damage=f"it was written after the stop document of its run, at position {run.stop}")
    return record


def _is_whole(row: _Row) -> bool:
    _, run, number, name, logged_at, checksum, body = row
    if not (isinstance(run, str) and isinstance(name, str) and isinstance(logged_at, float) and isinstance(body, bytes)):
        return False
    if checksum is None and number is None:  # written by a former version
        return True
    return isinstance(number, int) and checksum_of(run, number, name, logged_at, body) == checksum


def _size(row: _Row) -> int:
    return len(row[-1]) if isinstance(row[-1], bytes) else 0
