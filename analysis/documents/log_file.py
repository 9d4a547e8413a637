"""The SQLite file of a document log: its location, its tables, and how damaged rows are recognized.

Each row carries a checksum and its number within its run, so that rows changed or lost by a faulty disk are noticed. For each
run, the log notes which process writes it. SQLite's write-ahead log works only between processes of one machine; so a process
that does not run on this machine no longer writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from analysis.documents.encoding import LogError
from analysis.documents.private import private_file, private_folder
from analysis.documents.process import Process, process_of

SCHEMA_VERSION = 2
LARGEST_WAL_BYTES = 64_000_000
_BUSY_TIMEOUT_S = 10.0
_READERS_TAKE_MS = 100
_RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    uid TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    stop INTEGER,
    pid INTEGER NOT NULL,
    started_ticks INTEGER NOT NULL,
    boot TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
"""
# Body last: SQLite reads a row from its beginning.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    number INTEGER,
    name TEXT NOT NULL,
    logged_at REAL NOT NULL,
    checksum INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS documents_by_run ON documents (run, position);
{_RUNS}
"""


@dataclass(frozen=True)
class LogPaths:
    """The two files of the document log."""

    raw: Path
    processed: Path


def log_paths(state_dir: Path | str) -> LogPaths:
    """The document log's files below a state directory."""
    folder = Path(state_dir) / "log"
    return LogPaths(raw=folder / "raw.db", processed=folder / "processed.db")


@dataclass(frozen=True)
class RunRow:
    """A row of the table of runs: positions of the start and stop documents (None while open), and who writes it."""

    uid: str
    first: int
    stop: int | None
    writer: Process

    @cached_property
    def checksum(self) -> int:
        """Checksum of everything in the row."""
        writer = self.writer
        return zlib.crc32(repr((self.uid, self.first, self.stop, writer.pid, writer.started_ticks, writer.boot)).encode())


RUN_COLUMNS = "uid, first, stop, pid, started_ticks, boot, runs.checksum"


def run_row(columns: tuple[Any, ...]) -> tuple[RunRow, bool]:
    """A row of `RUN_COLUMNS`, and whether it is unchanged since it was written."""
    uid, first, stop, pid, ticks, boot, checksum = columns
    row = RunRow(uid, first, stop, Process(pid, ticks, boot))
    return row, row.checksum == checksum


def save_run(connection: sqlite3.Connection, row: RunRow) -> None:
    """Write, or replace, a row of the table of runs."""
    writer = row.writer
    columns = (row.uid, row.first, row.stop, writer.pid, writer.started_ticks, writer.boot, row.checksum)
    connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", columns)


def save_document(connection: sqlite3.Connection, row: RunRow, number: int, name: str, body: bytes) -> int | None:
    """Append a document, the `number`-th of its run, from 1.

    Returns its position. If the run's entry in the table of runs is no longer as in `row`, nothing is stored and None is
    returned.
    """
    logged_at = time.time()
    columns = (row.uid, number, name, logged_at, checksum_of(row.uid, number, name, logged_at, body), body)
    # One statement, which is a transaction of its own: a third faster than with BEGIN and COMMIT.
    cursor = connection.execute(
        "INSERT INTO documents (run, number, name, logged_at, checksum, body) SELECT ?, ?, ?, ?, ?, ? "
        "FROM runs WHERE uid = ? AND checksum = ?",
        (*columns, row.uid, row.checksum),
    )
    return cursor.lastrowid if cursor.rowcount == 1 else None


def last_number(connection: sqlite3.Connection, run: str) -> int:
    """The number of a run's last document."""
    query = "SELECT number FROM documents WHERE run = ? ORDER BY position DESC LIMIT 1"
    (number,) = connection.execute(query, (run,)).fetchone() or (0,)
    if number is None:  # of a former version
        (number,) = connection.execute("SELECT count(*) FROM documents WHERE run = ?", (run,)).fetchone()
    return int(number)


def last_position(connection: sqlite3.Connection) -> int:
    """The position of the newest document that ever existed; 0 for a new log."""
    (position,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").fetchone() or (0,)
    return int(position)


def checksum_of(run: str, number: int, name: str, logged_at: float, body: bytes) -> int:
    """Checksum of a row of the table of documents."""
    return zlib.crc32(body, zlib.crc32(f"{run}/{number}/{name}/{logged_at!r}".encode()))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the log's write lock; all or none of the changes in the block are stored."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # also Ctrl-C: the lock would keep everybody from writing
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def checkpoint(connection: sqlite3.Connection, path: Path) -> None:
    """Move the content of the write-ahead log into the file, and restart the write-ahead log if it has become long.

    The first step waits for nobody, and never reaches the end while others write. The small rest is then moved while writers
    wait for some milliseconds. A reader blocks SQLite only while it reads some rows; the second step waits for it.
    """
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    if path.with_name(f"{path.name}-wal").stat().st_size > LARGEST_WAL_BYTES:
        connection.execute(f"PRAGMA busy_timeout = {_READERS_TAKE_MS}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def make(path: Path) -> sqlite3.Connection:
    """Open a log's file for writing; if it does not exist, make it, accessible only to its owner.

    Raises
    ------
    LogError
        If it cannot be opened or is of another version.
    """
    try:
        private_folder(path.parent)
        connection = connect(private_file(path))
        _use_write_ahead_log(connection)
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except (OSError, sqlite3.Error) as error:
        raise LogError(f"the document log {path} cannot be opened ({error}). Is it writable, or the disk full?") from error
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open a log's file for readers and writers.

    Raises
    ------
    LogError
        If it cannot be opened or is of another version.
    """
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 1:
            _upgrade(connection)
            version = SCHEMA_VERSION
        # NORMAL survives the death of any process; only a power cut may lose the last documents. FULL would wait for the disk
        # on every document, inside the RunEngine.
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise LogError(f"the document log {path} cannot be opened ({error}). Is it a log, or the disk full?") from error
    if version not in (0, SCHEMA_VERSION):
        connection.close()
        raise LogError(f"the document log {path} is of version {version}; this ghostbeam reads version {SCHEMA_VERSION}")
    connection.text_factory = _text  # text made invalid by a faulty disk is detected by the checksum
    return connection


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Version 1 had neither checksums nor numbers, and identified processes by their start time. Its rows are not changed."""
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] != 1:
            return  # another process was faster
        connection.execute("ALTER TABLE documents ADD COLUMN number INTEGER")
        connection.execute("ALTER TABLE documents ADD COLUMN checksum INTEGER")
        rows = connection.execute("SELECT uid, first, stop, pid, process_started FROM runs").fetchall()
        connection.execute("DROP TABLE runs")
        connection.execute(_RUNS)
        for uid, first, stop, pid, started in rows:
            save_run(connection, RunRow(uid, first, stop, _writer_of_version_1(pid, started)))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _writer_of_version_1(pid: int, started: float) -> Process:
    try:
        runs = abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.Error:
        runs = False
    return process_of(pid) if runs else Process(pid, 0, "")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Change a new file's journal mode, which stays with the file.

    While others open the same new file SQLite refuses this at once instead of waiting for its timeout.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
