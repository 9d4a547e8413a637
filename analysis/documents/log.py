"""The document log: every Bluesky document, once, in order, on the local disk, before anything else sees it.

One SQLite file in write-ahead-log mode, one row a document. Appending takes about 0.05 ms and never waits for a server;
appended documents survive `kill -9`. Any number of processes read from any position, at any time.

There are two such files, `raw.db` (written by sessions) and `processed.db` (written by reconstructions), because SQLite has
one write lock per file: a reconstruction that is suspended while it holds the lock must never stop a scan.

Everything in the log is readable and unchanged: the writer refuses documents that readers could not use
(`analysis.documents.checks`) or that would not be returned unchanged (`analysis.documents.plain`), and every row has a
checksum. If a row still cannot be read, reading the others does not fail: `analysis.documents.log_reader` describes how it is
reported.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.documents.checks import check_document, check_keys, check_kind, keys_of_events
from analysis.documents.encoding import LogError, decode, pack, plain_document
from analysis.documents.log_file import (
    RUN_COLUMNS,
    LogPaths,
    RunRow,
    checkpoint,
    connect,
    last_number,
    last_position,
    log_paths,
    make,
    run_row,
    save_document,
    save_run,
    transaction,
)
from analysis.documents.log_reader import LogDamage, LogReader, Record, RunInfo, RunState
from analysis.documents.process import this_process

__all__ = ["LogDamage", "LogError", "LogPaths", "LogReader", "LogWriter", "Record", "RunInfo", "RunState", "log_paths"]

_CHECKPOINT_EVERY_S = 1.0


@dataclass
class _OpenRun:
    """A run that this writer writes: its entry in the table of runs, and the number of its last document."""

    row: RunRow
    number: int


@dataclass(frozen=True)
class _Parent:
    """A document that others refer to, a descriptor or a resource: its run, and the data keys of a descriptor's events."""

    run: str
    keys: frozenset[str] | None


class LogWriter:
    """Appends documents to a log; one for each writing process. Subscribe it to a RunEngine.

    Parameters
    ----------
    path : Path
        The SQLite file; it and its folder are made if they do not exist.

    Raises
    ------
    LogError
        If the file cannot be opened or is of another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._open: dict[str, _OpenRun] = {}  # runs that this writer began or adopted
        self._parents: dict[str, _Parent] = {}  # by uid of the descriptor or resource
        self._unstored_stops: dict[str, dict[str, Any]] = {}
        self._taken: set[str] = set()  # runs that another process has ended or continued
        # The RunEngine calls this from its own thread, and a session may be closed from another one.
        self._lock = threading.Lock()
        self._process = this_process()
        self._connection = make(self.path)
        # Moving pages from the write-ahead log into the file waits for the disk for some milliseconds: never do it in the
        # thread that appends.
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._closed = threading.Event()
        # It has a thread and a connection of its own, made here so that errors reach the caller.
        self._housekeeping = threading.Thread(
            target=self._keep_house, args=(connect(self.path),), name=f"checkpoint {self.path.name}", daemon=True
        )
        self._housekeeping.start()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Append one document; when this returns, a reader in any process sees it.

        Raises
        ------
        LogError
            If it could not be stored: the disk is full, it is not a valid document, it contains something that is not data,
            it belongs to no run that this process writes, or another process has ended the run. Other documents, and other
            runs, are not affected.
        """
        try:
            check_kind(name)
            checked = plain_document(doc, name)
            check_document(name, checked)
            body = pack(checked, name)
        except LogError as error:
            if name == "stop":
                self._end_without(doc, error)
            raise
        with self._lock:
            run = self._run_of(name, checked)
            if name == "start" and run in self._open:
                raise LogError(f"run {run} has already begun: each run needs its own uid")
            if name != "start" and run not in self._open:
                if name == "stop" and self._is_unheard_of(run):
                    return  # a RunEngine sends it nevertheless
                raise LogError(f"a {name} document belongs to run {run}, which is not open in {self.path}")
            try:
                self._append(run, name, body)
            except sqlite3.Error as error:
                if name == "stop":
                    self._unstored_stops[run] = checked
                raise LogError(
                    f"the {name} document of run {run} could not be stored in {self.path} ({error}). Nothing logged before it is "
                    "lost. Free disk space or mend the file's permissions, then scan again."
                ) from error
            self._learn(run, name, checked)

    def adopt(self, run: str) -> None:
        """Continue a run that another process began and left open: this process is now its writer.

        Raises
        ------
        LogError
            If the run is not in this log or has ended.
        """
        with self._lock, self._told():
            with transaction(self._connection):
                row = self._stored(run)
                if row is None or row.stop is not None:
                    raise LogError(f"run {run} cannot be continued: it is not an open run of {self.path}")
                row = replace(row, writer=self._process)
                save_run(self._connection, row)
            self._open[run] = _OpenRun(row, last_number(self._connection, run))
            query = "SELECT name, body FROM documents WHERE run = ? AND name IN ('descriptor', 'resource', 'stream_resource')"
            for name, body in self._connection.execute(query, (run,)).fetchall():
                # A damaged descriptor is skipped: its events are then refused, like those of an unknown descriptor.
                with contextlib.suppress(LogError, KeyError, TypeError, AttributeError):
                    self._learn(run, name, decode(body, arrays=False))

    def close(self) -> None:
        """Close the file. Later calls raise LogError."""
        self._closed.set()
        self._housekeeping.join()
        with self._lock:
            self._connection.close()

    def _append(self, run: str, name: str, body: bytes) -> None:
        opened = self._open.get(run)
        if opened is None:
            self._open[run] = self._begin(run, body)
        elif name == "stop":
            with transaction(self._connection):
                position = self._next(opened, name, body)
                save_run(self._connection, replace(opened.row, stop=position))
        else:
            self._next(opened, name, body)
            opened.number += 1

    def _begin(self, run: str, body: bytes) -> _OpenRun:
        with transaction(self._connection):
            if self._stored(run) is not None:
                raise LogError(f"run {run} is in {self.path} already: each run needs a uid of its own")
            row = RunRow(run, last_position(self._connection) + 1, None, self._process)
            save_run(self._connection, row)
            save_document(self._connection, row, 1, "start", body)
        return _OpenRun(row, 1)

    def _next(self, opened: _OpenRun, name: str, body: bytes) -> int:
        position = save_document(self._connection, opened.row, opened.number + 1, name, body)
        if position is None:
            del self._open[opened.row.uid]
            self._taken.add(opened.row.uid)
            raise LogError(self._taken_away(opened.row.uid, name))
        return position

    def _is_unheard_of(self, run: str) -> bool:
        """Whether the run does not exist because its start document was refused, or is known to be another process's."""
        with self._told():
            return run in self._taken or self._stored(run) is None

    def _taken_away(self, run: str, name: str) -> str:
        row = self._stored(run)
        what = "its entry in the table of runs is damaged"
        if row is not None and row.stop is not None:
            what = "another process has ended it, as if this one did not run any more"
        elif row is not None:
            what = f"process {row.writer.pid} has gone on with it"
        return (
            f"the {name} document of run {run} was not stored in {self.path}: {what}. What was logged before is kept; scan "
            "again. If it happens again, look for another program that writes to this log."
        )

    def _stored(self, run: str) -> RunRow | None:
        found = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE uid = ?", (run,)).fetchone()
        return run_row(found)[0] if found else None

    def _run_of(self, name: str, doc: dict[str, Any]) -> str:
        """The run of a document; raises LogError if the document refers to something unknown, or does not agree with it."""
        if name == "start":
            return str(doc["uid"])
        if name in ("event", "event_page", "stream_datum"):
            parent = self._parent("descriptor", name, doc)
            if parent.keys is None:
                raise LogError(f"a {name} document names {doc['descriptor']!r} as its descriptor, which does not exist")
            if name == "stream_datum":
                self._parent("stream_resource", name, doc)
            else:
                check_keys(name, doc, parent.keys)
            return parent.run
        if name in ("datum", "datum_page"):
            return self._parent("resource", name, doc).run
        run = doc.get("run_start")  # descriptor, resource, stream_resource, stop
        if not isinstance(run, str):
            raise LogError(f"a {name} document names no run")
        known = self._parents.get(doc["uid"])
        if name != "stop" and known is not None and (known.run != run or name == "descriptor"):
            raise LogError(f"a {name} document has the uid {doc['uid']!r}, which another one has already")
        return run

    def _parent(self, kind: str, name: str, doc: dict[str, Any]) -> _Parent:
        parent = self._parents.get(doc[kind])
        if parent is None:
            raise LogError(f"a {name} document names the unknown {kind} {doc[kind]!r}")
        return parent

    def _learn(self, run: str, name: str, doc: dict[str, Any]) -> None:
        """Note what later documents may refer to; forget a run that has ended."""
        if name == "descriptor":
            self._parents[doc["uid"]] = _Parent(run, keys_of_events(doc))
        elif name in ("resource", "stream_resource"):
            self._parents[doc["uid"]] = _Parent(run, None)
        elif name == "stop":
            self._open.pop(run, None)
            self._parents = {uid: parent for uid, parent in self._parents.items() if parent.run != run}

    def _end_without(self, doc: Any, error: LogError) -> None:
        """End a run whose stop document was refused; otherwise it would stay open as long as this process runs."""
        run = doc.get("run_start") if isinstance(doc, Mapping) else None
        if isinstance(run, str) and run in self._open:
            stop = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": run, "exit_status": "fail", "num_events": {}}
            self("stop", {**stop, "reason": str(error)})

    def _keep_house(self, connection: sqlite3.Connection) -> None:
        with contextlib.closing(connection):
            while not self._closed.wait(_CHECKPOINT_EVERY_S):
                # A full disk or a busy file is no reason to stop: the content of the write-ahead log is safe.
                with contextlib.suppress(sqlite3.Error, OSError):
                    checkpoint(connection, self.path)
                # Try again to end the runs whose stop documents did not fit on the disk.
                for run, doc in list(self._unstored_stops.items()):
                    with contextlib.suppress(LogError):
                        self("stop", doc)
                        self._unstored_stops.pop(run, None)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LogError(f"the document log {self.path} cannot be read or written ({error})") from error
