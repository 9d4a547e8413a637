"""Runs whose writing process died: they get the stop document that nobody else will write."""

from __future__ import annotations

import socket
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.documents.log import LogError, connect, decode, encode
from analysis.documents.status import is_process


def close_orphans(path: Path | str, *, which: Callable[[dict[str, Any]], bool] = lambda start: True) -> list[str]:
    """Write a stop document for every open run whose writing process is gone, so that it can be archived and reconstructed.

    Parameters
    ----------
    path : Path
        The log.
    which : callable
        Gets a run's start document and says whether the run may be closed (a reconstruction, say, is continued instead).

    Returns
    -------
    list of str
        The uids of the runs that were closed; their stop documents say `exit_status` "fail" and why.
    """
    path = Path(path)
    if not path.exists():
        return []
    connection = connect(path)
    closed = []
    try:
        query = (
            "SELECT runs.uid, host, pid, process_started, body FROM runs JOIN documents ON position = first WHERE stop IS NULL"
        )
        for uid, host, pid, started, body in connection.execute(query).fetchall():
            if host != socket.gethostname() or is_process(pid, started) or not which(decode(body)):
                continue
            connection.execute("BEGIN IMMEDIATE")
            still_open = connection.execute(
                "SELECT 1 FROM runs WHERE uid = ? AND stop IS NULL AND pid = ? AND process_started = ?", (uid, pid, started)
            ).fetchone()
            if still_open:
                stop = _stop_document(connection, uid)
                row = (uid, time.time(), encode(stop))
                position = connection.execute(
                    "INSERT INTO documents (run, name, logged_at, body) VALUES (?, 'stop', ?, ?)", row
                ).lastrowid
                connection.execute("UPDATE runs SET stop = ? WHERE uid = ?", (position, uid))
                closed.append(uid)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise LogError(f"the runs that were cut short could not be closed in {path} ({error})") from error
    finally:
        connection.close()
    return closed


def _stop_document(connection: sqlite3.Connection, run: str) -> dict[str, Any]:
    num_events: dict[str, int] = {}
    streams: dict[str, str] = {}
    last = 0.0
    query = "SELECT name, logged_at, body FROM documents WHERE run = ? ORDER BY position"
    for name, logged_at, body in connection.execute(query, (run,)):
        last = logged_at
        doc = decode(body)
        if name == "descriptor":
            streams[doc["uid"]] = doc.get("name", "primary")
            num_events.setdefault(doc.get("name", "primary"), 0)
        elif name in ("event", "event_page"):
            count = 1 if name == "event" else len(doc["seq_num"])
            num_events[streams[doc["descriptor"]]] += count
    return {
        "uid": str(uuid.uuid4()),
        "time": last,
        "run_start": run,
        "exit_status": "fail",
        "reason": "cut short: the process that wrote this run ended before the run did",
        "num_events": num_events,
    }
