"""Runs whose writing process died: they get the stop document that nobody else will write."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.documents.encoding import LogError, encode
from analysis.documents.log_file import RUN_COLUMNS, RunRow, connect, last_number, run_row, save_document, save_run, transaction
from analysis.documents.log_reader import LogReader, Record

logger = logging.getLogger("ghostbeam.log")


def close_orphans(path: Path | str, *, which: Callable[[dict[str, Any]], bool] = lambda start: True) -> list[str]:
    """Write a stop document for every open run whose writing process is gone, so that it can be archived and reconstructed.

    Parameters
    ----------
    path : Path
        The log.
    which : callable
        Receives a run's start document (empty if it cannot be read) and returns whether the run may be closed (a
        reconstruction, for example, is continued instead).

    Returns
    -------
    list of str
        The uids of the runs that were closed; their stop documents say `exit_status` "fail" and why.

    Raises
    ------
    LogError
        If the log as a whole cannot be read or written.
    """
    path = Path(path)
    if not path.exists():
        return []
    closed = []
    with closing(connect(path)) as connection, closing(LogReader(path)) as reader:
        for row in _abandoned(connection, path):
            try:
                first = reader.read(row.first - 1, run=row.uid, limit=1, arrays=False)
                if not which(first[0].doc if first and first[0].damage is None else {}):
                    continue
                # Reading a long run takes seconds, so it is done before other processes have to wait for the lock.
                stop = _stop_document(row.uid, reader)
                if _close(connection, row, encode(stop, "stop")):
                    closed.append(row.uid)
            except Exception:  # whatever is wrong with one run, the others are closed
                logger.exception("run %s, which was cut short, could not be closed in %s", row.uid, path)
    return closed


def _abandoned(connection: sqlite3.Connection, path: Path) -> list[RunRow]:
    try:
        found = connection.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE stop IS NULL ORDER BY first").fetchall()
    except sqlite3.Error as error:
        if "no such table" in str(error):  # another process is making the file right now
            return []
        raise LogError(f"the runs that were cut short could not be found in {path} ({error})") from error
    rows = [run_row(columns) for columns in found]
    # If an entry is damaged, it is unknown whether its writer is alive: it stays, and readers are told.
    return [row for row, whole in rows if whole and not row.writer.is_running]


def _close(connection: sqlite3.Connection, row: RunRow, body: bytes) -> bool:
    """Store a stop document, unless another process was faster or continues the run."""
    with transaction(connection):
        position = save_document(connection, row, last_number(connection, row.uid) + 1, "stop", body)
        if position is None:
            return False
        save_run(connection, replace(row, stop=position))
    return True


def _stop_document(run: str, reader: LogReader) -> dict[str, Any]:
    streams: dict[str, str] = {}
    num_events: dict[str, int] = defaultdict(int)
    last, damaged = 0.0, 0
    for record in reader.documents(run, arrays=False):
        last = max(last, record.logged_at)
        if record.damage is not None:
            damaged += 1
        else:
            _count(record, streams, num_events)
    reason = "cut short: the process that wrote this run ended before the run did"
    return {
        "uid": str(uuid.uuid4()),
        "time": last,
        "run_start": run,
        "exit_status": "fail",
        "reason": f"{reason}; {damaged} of its documents cannot be read" if damaged else reason,
        "num_events": dict(num_events),
    }


def _count(record: Record, streams: dict[str, str], num_events: dict[str, int]) -> None:
    """Add a document to the number of events of each stream. Logs of former versions hold documents that lack an entry."""
    doc = record.doc
    if record.name == "descriptor":
        stream = streams[str(doc.get("uid"))] = str(doc.get("name", "primary"))
        num_events[stream] += 0
        return
    stream = streams.get(str(doc.get("descriptor")), "")
    if not stream:
        return
    if record.name == "event":
        num_events[stream] += 1
    elif record.name == "event_page":
        num_events[stream] += len(doc["seq_num"]) if isinstance(doc.get("seq_num"), list) else 0
    elif record.name == "stream_datum":  # several keys of a stream have datums for the same events
        seq_nums = doc.get("seq_nums")
        end = seq_nums.get("stop") if isinstance(seq_nums, Mapping) else None
        num_events[stream] = max(num_events[stream], end - 1 if isinstance(end, int) else 0)
