"""The document log: every Bluesky document, once, in order, on the local disk, before anything else sees it.

One SQLite file in write-ahead-log mode, one row a document. Appending takes some 0.05 ms and cannot wait for a server;
what was appended survives `kill -9`. Any number of processes read from any position, at any time.

There are two such files, `raw.db` (written by sessions) and `processed.db` (written by reconstructions), because SQLite has one
writer's lock a file: a reconstruction that is stopped while it holds the lock must never stop a scan.
"""

from __future__ import annotations

import contextlib
import enum
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import psutil

SCHEMA_VERSION = 1
_ARRAY = 1  # msgpack extension type: an ndarray as (dtype, shape, bytes)
_BUSY_TIMEOUT_S = 10.0
_CHECKPOINT_EVERY_S = 1.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    logged_at REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS documents_by_run ON documents (run, position);
CREATE TABLE IF NOT EXISTS runs (
    uid TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    stop INTEGER,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_started REAL NOT NULL
);
"""


class LogError(RuntimeError):
    """A document could not be written to, or read from, the document log."""


class RunState(enum.Enum):
    """What a reader may expect of a run: nothing ever, more later, or nothing more."""

    UNKNOWN = "no such run"
    OPEN = "not yet ended"
    ENDED = "ended"


@dataclass(frozen=True)
class Record:
    """One logged document: its position in the log, its run's uid, its name, itself, and when it was logged (s)."""

    position: int
    run: str
    name: str
    doc: dict[str, Any]
    logged_at: float


@dataclass(frozen=True)
class RunInfo:
    """A run in the log: uid, position of its start document, of its stop document (None while open), start document."""

    uid: str
    first: int
    stop: int | None
    start: dict[str, Any]


@dataclass(frozen=True)
class LogPaths:
    """The two files of the document log."""

    raw: Path
    processed: Path


def log_paths(state_dir: Path | str) -> LogPaths:
    """The document log's files below a state directory."""
    folder = Path(state_dir) / "log"
    return LogPaths(raw=folder / "raw.db", processed=folder / "processed.db")


def encode(doc: dict[str, Any]) -> bytes:
    """A document as msgpack: exact floats (NaN and infinity too, which JSON turns into null) and arrays with their dtype.

    Raises
    ------
    LogError
        If the document holds something that is not data (the message names its type).
    """
    try:
        packed: bytes = msgpack.packb(doc, default=_encode_other)
    except (TypeError, ValueError, OverflowError) as error:
        raise LogError(f"a document cannot be logged: {error}. Put numbers, text, lists or arrays into it.") from error
    return packed


def decode(body: bytes) -> dict[str, Any]:
    """The document that `encode` made these bytes from."""
    doc: dict[str, Any] = msgpack.unpackb(body, ext_hook=_decode_array, strict_map_key=False)
    return doc


def _encode_other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return value.tolist()
        return msgpack.ExtType(_ARRAY, msgpack.packb((value.dtype.str, value.shape, value.tobytes())))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} is of type {type(value).__name__}")


def _decode_array(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise LogError(f"unknown msgpack extension {code} in the document log")
    dtype, shape, buffer = msgpack.unpackb(data)
    return np.frombuffer(buffer, dtype=np.dtype(dtype)).reshape(shape)


class LogWriter:
    """Appends documents to a log; one for each writing process. Subscribe it to a RunEngine.

    Parameters
    ----------
    path : Path
        The SQLite file, made (with its folder) if it isn't there.

    Raises
    ------
    LogError
        If the file cannot be opened or is of another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._open: set[str] = set()  # runs that this writer began or adopted
        self._runs: dict[str, str] = {}  # uid of a descriptor or resource -> uid of its run
        self._unstored_stops: dict[str, dict[str, Any]] = {}
        # The RunEngine calls from its own thread, and a session may be closed from another.
        self._lock = threading.Lock()
        process = psutil.Process()
        self._owner = (socket.gethostname(), process.pid, process.create_time())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(self.path)
            _use_write_ahead_log(self._connection)
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            # Moving pages from the write-ahead log into the file waits for the disk, some milliseconds: never in the thread
            # that appends.
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        except (OSError, sqlite3.Error) as error:
            raise LogError(
                f"the document log {self.path} cannot be opened ({error}). Is its folder writable, or the disk full?"
            ) from error

        self._closed = threading.Event()
        # A thread and a connection of its own, made here so that what goes wrong is the caller's to hear.
        self._housekeeping = threading.Thread(
            target=self._checkpoint, args=(connect(self.path),), name=f"checkpoint {self.path.name}", daemon=True
        )
        self._housekeeping.start()

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Append one document; when this returns, a reader in any process sees it.

        Raises
        ------
        LogError
            If it could not be stored: the disk is full, the document is not data, or it belongs to no known run.
        """
        body = encode(doc)
        with self._lock:
            run = self._run_of(name, doc)
            if name != "start" and run not in self._open:
                if name == "stop":
                    return  # of a run whose start document was refused: for readers it never was
                raise LogError(f"a {name} document belongs to run {run}, which is not open in {self.path}")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                cursor = self._connection.execute(
                    "INSERT INTO documents (run, name, logged_at, body) VALUES (?, ?, ?, ?)", (run, name, time.time(), body)
                )
                if name == "start":
                    row = (run, cursor.lastrowid, *self._owner)
                    self._connection.execute("INSERT INTO runs VALUES (?, ?, NULL, ?, ?, ?)", row)
                    self._open.add(run)
                elif name == "stop":
                    self._connection.execute("UPDATE runs SET stop = ? WHERE uid = ?", (cursor.lastrowid, run))
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if name == "stop":
                    self._unstored_stops[run] = doc
                raise LogError(
                    f"the {name} document of run {run} could not be stored in {self.path} ({error}). Nothing logged before it is "
                    "lost. Free disk space or mend the file's permissions, then scan again."
                ) from error
            if name == "stop":
                self._forget(run)

    def _store_stops(self) -> None:
        """Try again to end the runs whose stop documents the disk had no room for."""
        for run, doc in list(self._unstored_stops.items()):
            with contextlib.suppress(LogError):
                self("stop", doc)
                self._unstored_stops.pop(run, None)

    def adopt(self, run: str) -> None:
        """Continue a run that another process began and left open: this process is now its writer.

        Raises
        ------
        LogError
            If the run is not in this log or has ended.
        """
        with self._lock:
            cursor = self._connection.execute(
                "UPDATE runs SET host = ?, pid = ?, process_started = ? WHERE uid = ? AND stop IS NULL", (*self._owner, run)
            )
            if cursor.rowcount != 1:
                raise LogError(f"run {run} cannot be continued: it is not an open run of {self.path}")
            self._open.add(run)

    def close(self) -> None:
        """Close the file. Later calls raise LogError."""
        self._closed.set()
        self._housekeeping.join()
        with self._lock:
            self._connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            while not self._closed.wait(_CHECKPOINT_EVERY_S):
                # A full disk or a busy file is no reason to stop: what is in the write-ahead log is safe there.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._store_stops()
        finally:
            connection.close()

    def _run_of(self, name: str, doc: dict[str, Any]) -> str:
        if name == "start":
            return str(doc["uid"])
        if name in ("event", "event_page", "stream_datum"):
            parent = doc["descriptor"]
        elif name in ("datum", "datum_page"):
            parent = doc["resource"]
        else:  # descriptor, resource, stream_resource, stop
            run = doc.get("run_start")
            if run is None:
                raise LogError(f"a {name} document names no run")
            if "uid" in doc and name != "stop":
                self._runs[doc["uid"]] = run
            return str(run)
        if parent not in self._runs:
            self._learn_open_runs()
        if parent not in self._runs:
            raise LogError(f"a {name} document names the unknown {'resource' if 'datum' in name else 'descriptor'} {parent!r}")
        return self._runs[parent]

    def _learn_open_runs(self) -> None:
        """After `adopt`: which descriptors and resources belong to the runs that are open."""
        rows = self._connection.execute(
            "SELECT documents.run, body FROM documents JOIN runs ON runs.uid = documents.run "
            "WHERE runs.stop IS NULL AND name IN ('descriptor', 'resource', 'stream_resource')"
        )
        for run, body in rows:
            self._runs[decode(body)["uid"]] = run

    def _forget(self, run: str) -> None:
        self._open.discard(run)
        self._runs = {uid: owner for uid, owner in self._runs.items() if owner != run}


class LogReader:
    """Reads a log that any number of processes may be writing. Safe to make before the file exists.

    Parameters
    ----------
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def read(self, after: int = 0, *, run: str | None = None, limit: int = 1000) -> list[Record]:
        """Up to `limit` documents behind position `after`, in order; of one run or of all. Empty when there are none (yet)."""
        query = "SELECT position, run, name, logged_at, body FROM documents WHERE position > ?"
        parameters: list[Any] = [after]
        if run is not None:
            query += " AND run = ?"
            parameters.append(run)
        rows = self._fetch(query + " ORDER BY position LIMIT ?", [*parameters, limit])
        return [Record(position, uid, name, decode(body), logged_at) for position, uid, name, logged_at, body in rows]

    def documents(self, run: str, *, after: int = 0, up_to: int | None = None) -> Iterator[Record]:
        """All documents of one run that are there now, in order, a thousand in memory at a time."""
        while records := self.read(after, run=run):
            for record in records:
                if up_to is not None and record.position > up_to:
                    return
                yield record
            after = records[-1].position

    def last_position(self) -> int:
        """The position of the newest document, 0 for an empty log."""
        rows = self._fetch("SELECT max(position) FROM documents", [])
        return int(rows[0][0] or 0) if rows else 0

    def state(self, run: str) -> RunState:
        """Whether the run is unknown, open or ended."""
        rows = self._fetch("SELECT stop FROM runs WHERE uid = ?", [run])
        if not rows:
            return RunState.UNKNOWN
        return RunState.OPEN if rows[0][0] is None else RunState.ENDED

    def runs(self, after: int = 0) -> list[RunInfo]:
        """Every run whose start document lies behind position `after`, oldest first."""
        rows = self._fetch(
            "SELECT runs.uid, first, stop, body FROM runs JOIN documents ON position = first WHERE first > ? ORDER BY first",
            [after],
        )
        return [RunInfo(uid, first, stop, decode(body)) for uid, first, stop, body in rows]

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _fetch(self, query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._connection is None:
                if not self.path.exists():
                    return []
                self._connection = connect(self.path)
            try:
                return self._connection.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                if "no such table" in str(error):  # another process is just making the file
                    return []
                raise LogError(f"the document log {self.path} cannot be read ({error})") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open a log's file as both readers and writers need it. Raises LogError if it can't be opened or is of another version."""
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise LogError(f"the document log {path} cannot be opened ({error}). Is it a log, or the disk full?") from error
    if version not in (0, SCHEMA_VERSION):
        connection.close()
        raise LogError(f"the document log {path} is of version {version}; this ghostbeam reads version {SCHEMA_VERSION}")
    # NORMAL survives the death of any process; only a power cut may cost the last documents. FULL would wait for the disk on
    # every document, inside the RunEngine.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


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
