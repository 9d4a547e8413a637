"""A log on a disk that changes or loses bytes: every damage is named by run and position, and what is whole can be read."""

from __future__ import annotations

import os
import random
import sqlite3
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from test_log import RUN, A, B, descriptor, event, start, stop

from analysis.documents.log import LogDamage, LogReader, LogWriter, RunState
from analysis.documents.log_file import RUN_COLUMNS, run_row, save_run
from analysis.documents.orphans import close_orphans
from analysis.documents.process import Process


def write_runs(path, num_events=60):
    """Two runs, interleaved; one of them with a document larger than a page."""
    writer = LogWriter(path)
    for uid in (A, B):
        writer("start", {**start(uid), "note": "x" * 9000 if uid == A else ""})
        writer("descriptor", descriptor(f"d{uid}", uid))
    for number in range(1, num_events + 1):
        for uid in (A, B):
            writer("event", event(f"d{uid}", number))
    for uid in (A, B):
        writer("stop", stop(uid))
    writer.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def change(path, query, *parameters):
    connection = sqlite3.connect(path)
    assert connection.execute(query, parameters).rowcount == 1
    connection.commit()
    connection.close()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log" / "raw.db"
    write_runs(path)
    return path


@pytest.mark.parametrize(
    "column, value",
    [
        ("body", b"\xc1nonsense"),
        ("body", "text"),
        ("run", B),
        ("run", "nobody"),
        ("name", "stop"),
        ("logged_at", 1.0),
        ("number", 3),
        ("number", None),
        ("checksum", None),
        ("checksum", 7),
    ],
)
def test_a_changed_row_is_named_and_nothing_else_is_touched(path, column, value):
    whole = [(record.position, record.run, record.name, record.doc) for record in LogReader(path).documents(None)]
    change(path, f"UPDATE documents SET {column} = ? WHERE position = 21", value)
    assert whole[20][1] == A
    records = list(LogReader(path).documents(None))
    assert [record.position for record in records] == list(range(1, len(whole) + 1))
    assert [record.position for record in records if record.damage] == [21]
    assert records[20].run == A or column == "run"  # the index tells whose it is, unless that was changed as well
    with pytest.raises(LogDamage, match="document 21 of the log"):
        _ = records[20].doc
    assert [(r.position, r.run, r.name, r.doc) for r in records if not r.damage] == whole[:20] + whole[21:]
    assert [record.position for record in LogReader(path).documents(B) if record.damage] == ([21] if value == B else [])
    assert any(record.damage for record in LogReader(path).documents(A))


@pytest.mark.parametrize("position", [21, 123])
def test_a_lost_row_is_named(path, position):
    run = next(record.run for record in LogReader(path).documents(None) if record.position == position)
    change(path, "DELETE FROM documents WHERE position = ?", position)
    reader = LogReader(path)
    assert [record.position for record in reader.documents(None) if record.damage] == [position]
    assert any(record.damage for record in reader.documents(run))
    assert not any(record.damage for record in reader.documents(B if run == A else A))


def test_the_last_rows_of_all_are_missed_too(path):
    last = LogReader(path).last_position()
    change(path, "DELETE FROM documents WHERE position = ?", last)
    reader = LogReader(path)
    assert [record.position for record in reader.documents(None) if record.damage] == [last]
    assert [record.position for record in reader.documents(B) if record.damage] == [last]


@pytest.mark.parametrize("column, value", [("stop", 5), ("stop", None), ("uid", A[::-1]), ("pid", 1), ("first", 9)])
def test_a_changed_entry_of_a_run_is_named_and_the_run_can_be_read(path, column, value):
    change(path, f"UPDATE runs SET {column} = ? WHERE uid = ?", value, A)
    reader = LogReader(path)
    a, b = sorted(reader.runs(), key=lambda info: info.uid == B)
    assert a.damage is not None and a.start == {}
    assert b.damage is None and b.start == start(B) | {"note": ""}
    assert reader.state(A) is RunState.ENDED
    assert close_orphans(path) == []


def test_no_flipped_bit_goes_unnoticed_and_no_read_fails(path, tmp_path):
    whole = path.read_bytes()
    expected = [(record.position, record.run, record.name, record.doc) for record in LogReader(path).documents(None)]
    rng = random.Random(1)
    damaged = tmp_path / "damaged.db"
    named = unharmed = refused = 0
    for _ in range(150):
        flipped = bytearray(whole)
        flipped[rng.randrange(100, len(whole))] ^= 1 << rng.randrange(8)
        damaged.write_bytes(flipped)
        reader = LogReader(damaged)
        try:
            records = list(reader.documents(None))
            infos = reader.runs()
            by_run = {uid: list(reader.documents(uid)) for uid in (A, B)}
        except Exception as error:
            assert type(error).__name__ in ("LogError", "_Unreadable"), error
            refused += 1  # the file as a whole is no log any more
            continue
        finally:
            reader.close()
        told = any(record.damage for record in records) or any(info.damage for info in infos)
        for uid, read in by_run.items():
            same = [(r.position, r.run, r.name, r.content) for r in read] == [e for e in expected if e[1] == uid]
            assert any(r.damage for r in read) or same
        same = [(r.position, r.run, r.name, r.content) for r in records] == expected
        assert told or same
        named += told
        unharmed += same and not told
    assert named > 50 and refused < 15


def test_an_unreadable_page_costs_the_documents_that_are_on_it(path):
    data = bytearray(path.read_bytes())
    marker = next(record.doc["uid"] for record in LogReader(path).documents(None) if record.position == 60).encode()
    page = data.index(marker) // 4096
    data[page * 4096 : (page + 1) * 4096] = os.urandom(4096)
    path.write_bytes(data)
    reader = LogReader(path)
    records = list(reader.documents(None))
    damaged = [record.position for record in records if record.damage]
    assert 60 in damaged and len(damaged) < 40
    assert [record.position for record in records] == list(range(1, 127))
    assert {record.run for record in records} == {A, B}  # the index knows whose they were
    assert len([record for record in reader.documents(A) if not record.damage]) > 30


def test_a_damaged_run_that_was_cut_short_is_closed_with_what_is_left(tmp_path):
    path = tmp_path / "raw.db"
    writer = LogWriter(path)
    writer("start", start(A))
    writer("descriptor", descriptor("d", A))
    for number in range(1, 6):
        writer("event", event("d", number))
    writer.close()
    change(path, "UPDATE documents SET body = ? WHERE position = 4", b"\xc1")
    abandon(path, A)
    assert close_orphans(path) == [A]
    last = list(LogReader(path).documents(A))[-1].doc
    assert last["num_events"] == {"primary": 4}
    assert "1 of its documents cannot be read" in last["reason"]


def abandon(path, uid):
    """As if the process that writes the run had died."""
    connection = sqlite3.connect(path)
    row, _ = run_row(connection.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE uid = ?", (uid,)).fetchone())
    save_run(connection, replace(row, writer=Process(1, 1, "before")))
    connection.commit()
    connection.close()


VERSION_1 = """
CREATE TABLE documents (position INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, name TEXT NOT NULL,
    logged_at REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX documents_by_run ON documents (run, position);
CREATE TABLE runs (uid TEXT PRIMARY KEY, first INTEGER NOT NULL, stop INTEGER, host TEXT NOT NULL, pid INTEGER NOT NULL,
    process_started REAL NOT NULL);
PRAGMA user_version = 1;
"""


def version_1(path, documents, *, pid=2**22, started=1.0):
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL;" + VERSION_1)
    for number, (run, name, doc) in enumerate(documents, start=1):
        connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", (number, run, name, 5.0, msgpack.packb(doc)))
        if name == "start":
            connection.execute("INSERT INTO runs VALUES (?, ?, NULL, 'elsewhere', ?, ?)", (run, number, pid, started))
        elif name == "stop":
            connection.execute("UPDATE runs SET stop = ? WHERE uid = ?", (number, run))
    connection.commit()
    connection.close()


def test_a_log_of_version_1_is_read_and_gone_on_with(tmp_path):
    path = tmp_path / "raw.db"
    whole = [("u", "start", {"uid": "u", "time": 1.0}), ("u", "stop", stop("u"))]
    cut = [(RUN, "start", start(RUN)), (RUN, "descriptor", descriptor("d", RUN)), (RUN, "event", event("d", 1))]
    cut += [(RUN, "event_page", {"descriptor": "d", "data": {}}), (RUN, "resource", {"uid": "r", "run_start": RUN})]
    cut += [(RUN, "event", {"descriptor": "unheard of"})]
    version_1(path, [*whole, *cut])
    assert [record.doc for record in LogReader(path).documents(None)] == [doc for _, _, doc in [*whole, *cut]]
    assert [info.uid for info in LogReader(path).runs()] == ["u", RUN]
    assert close_orphans(path) == [RUN]  # though its writer's machine has another name now
    *_, last = LogReader(path).documents(RUN)
    assert last.doc["num_events"] == {"primary": 1} and "cut short" in last.doc["reason"]
    writer = LogWriter(path)
    writer("start", start(A[:-1] + "c"))
    writer("stop", stop(A[:-1] + "c"))
    assert [record.damage for record in LogReader(path).documents(None)] == [None] * 11


def test_a_run_of_version_1_is_gone_on_with_by_whoever_adopts_it(tmp_path):
    path = tmp_path / "raw.db"
    version_1(path, [(RUN, "start", start(RUN)), (RUN, "descriptor", descriptor("d", RUN)), (RUN, "event", event("d", 1))])
    writer = LogWriter(path)
    writer.adopt(RUN)
    writer("event", event("d", 2))
    writer("stop", stop(RUN))
    assert [record.doc.get("seq_num") for record in LogReader(path).documents(RUN)] == [None, None, 1, 2, None]


def test_what_a_writer_of_version_1_logged_after_a_stop_is_told(tmp_path):
    path = tmp_path / "raw.db"
    documents = [(RUN, "start", start(RUN)), (RUN, "descriptor", descriptor("d", RUN)), (RUN, "stop", stop(RUN))]
    version_1(path, [*documents, (RUN, "event", event("d", 1))])
    for run in (None, RUN):
        *before, last = LogReader(path).documents(run)
        assert not any(record.damage for record in before)
        assert "after the stop document" in last.damage


def test_a_document_of_version_1_that_cannot_be_decoded_is_given_up_alone(tmp_path):
    path = tmp_path / "raw.db"
    poison = {**start(A), "grid": [{(1, 2): 3}]}
    version_1(path, [(A, "start", poison), (A, "stop", stop(A)), (B, "start", start(B)), (B, "stop", stop(B))])
    records = list(LogReader(path).documents(None))
    assert [bool(record.damage) for record in records] == [True, False, False, False]
    a, b = LogReader(path).runs()
    assert "cannot be decoded" in a.damage and b.damage is None


def test_arrays_can_be_left_out_and_reads_are_bounded_by_bytes(tmp_path):
    path = tmp_path / "raw.db"
    writer = LogWriter(path)
    writer("start", start(A))
    writer("descriptor", descriptor("d", A))
    image = np.random.default_rng(0).normal(size=(1000, 1000))
    for number in range(1, 6):
        writer("event", {**event("d", number), "data": {"a": image}})
    reader = LogReader(path)
    assert len(reader.read()) < 7  # 8 MB each
    assert len(list(reader.documents(A))) == 7
    last = list(reader.documents(A, arrays=False))[-1].doc["data"]["a"]
    assert (last.shape, last.dtype) == ((1000, 1000), np.dtype("f8"))
