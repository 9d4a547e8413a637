"""What a writer refuses, and that nobody but the culprit suffers; what becomes of runs that another process ended."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing

import numpy as np
import pytest
from test_log import A, B, descriptor, event, start, stop
from test_log_damage import abandon

from analysis.documents import log, log_file
from analysis.documents.log import LogError, LogReader, LogWriter, RunState
from analysis.documents.orphans import close_orphans


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "raw.db"


@pytest.fixture
def writer(path):
    writer = LogWriter(path)
    yield writer
    writer.close()


def begin(writer, uid=A):
    writer("start", start(uid))
    writer("descriptor", descriptor(f"d{uid}", uid))


BAD = [
    ("start", {"time": 1.0}, r'start\["uid"\] must be text, which is missing'),
    ("start", {"uid": 7, "time": 1.0}, r'start\["uid"\] must be text, not 7'),
    *(
        ("start", {"uid": uid, "time": 1.0}, r"must be a UUID|must be text")
        for uid in ("../masks", "../raw", "?%2e%2e", "a/b", "", ".", A.upper(), A + "\n", "u" * 300)
    ),
    ("start", start(A), "has already begun"),
    *(
        ("descriptor", {**descriptor("d", A), "name": name}, "plain name|must be text")
        for name in ("../x", "a/b", "a\\b", "", "?", "%2e", ".", "a#b", " a", "a\nb", "x" * 300)
    ),
    *(
        (
            "descriptor",
            {**descriptor("d", A), "data_keys": {key: {"dtype": "number", "shape": []}}},
            "a data key must be a plain name",
        )
        for key in ("../x", "a/b", "", "?", "x" * 300)
    ),
    ("descriptor", {**descriptor("d", A), "data_keys": {"a": 1}}, "must be a table that names a dtype"),
    ("descriptor", {"uid": "d", "run_start": A, "name": "x", "time": 1.0}, r'\["data_keys"\] must be a table'),
    ("descriptor", descriptor(f"d{A}", A), "which another one has already"),
    ("descriptor", descriptor("d", B), "which is not open"),
    ("descriptor", [1, 2], "must be a table, not of type list"),
    ("event", None, "must be a table, not of type NoneType"),
    ("event", {**event(f"d{A}", 1), "data": {}}, r'event\["data"\] lacks a'),
    ("event", {**event(f"d{A}", 1), "data": {"a": 1.0, "b": 1.0}}, "has b, which its descriptor does not list"),
    ("event", {**event(f"d{A}", 1), "timestamps": {}}, r'event\["timestamps"\] lacks a'),
    ("event", {**event(f"d{A}", 1), "seq_num": 1.5}, "must be a whole number, not 1.5"),
    ("event", {**event(f"d{A}", 1), "seq_num": True}, "must be a whole number, not True"),
    ("event", event("nobody", 1), "unknown descriptor 'nobody'"),
    ("event_page", {"descriptor": f"d{A}", "data": {"a": [1]}}, r'event_page\["uid"\] must be a list'),
    ("stream_datum", {"uid": "x", "descriptor": f"d{A}", "stream_resource": "r"}, r'\["indices"\] must be a table'),
    ("datum", {"datum_id": "x", "resource": "nobody"}, "unknown resource"),
    ("resource", {"uid": "r"}, "names no run"),
    ("evnt", {}, "of the kind 'evnt'"),
    (["event"], {}, "of the kind"),
    (None, {}, "of the kind"),
    ([], {1: 2}, "of the kind"),
]


@pytest.mark.parametrize("name, doc, told", BAD)
def test_a_malformed_document_is_refused_and_the_run_goes_on(path, writer, name, doc, told):
    begin(writer)
    with pytest.raises(LogError, match=told):
        writer(name, doc)
    writer("event", event(f"d{A}", 1))
    writer("stop", stop(A))
    records = list(LogReader(path).documents(A))
    assert [record.name for record in records] == ["start", "descriptor", "event", "stop"]
    assert not any(record.damage for record in records)


def test_a_page_of_columns_of_different_lengths_is_refused(writer):
    begin(writer)
    page = {"uid": ["1", "2"], "descriptor": f"d{A}", "time": [1.0, 2.0], "seq_num": [1, 2]}
    page |= {"data": {"a": np.array([1.0, 2.0])}, "timestamps": {"a": [1.0, 2.0]}, "filled": {}}
    writer("event_page", page)
    for key, value in (
        ("time", [1.0]),
        ("seq_num", [1, 2, 3]),
        ("data", {"a": [1.0]}),
        ("data", {"a": 1.0}),
        ("time", ["a", "b"]),
        ("data", {"a": np.array(1)}),
    ):
        with pytest.raises(LogError, match="event_page"):
            writer("event_page", {**page, key: value})


def test_a_poisonous_descriptor_in_the_log_hurts_nobody_else(path, writer):
    begin(writer)
    begin(writer, B)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE documents SET body = x'c1' WHERE position = 2")
    connection.commit()
    connection.close()
    second = LogWriter(path)
    abandon(path, A)
    abandon(path, B)
    second.adopt(A)
    second.adopt(B)
    second("event", event(f"d{B}", 1))
    with pytest.raises(LogError, match="unknown descriptor"):
        second("event", event(f"d{A}", 1))
    second.close()


def test_nothing_is_written_after_a_stop_that_another_process_wrote(path, writer):
    begin(writer)
    begin(writer, B)
    abandon(path, A)
    assert close_orphans(path) == [A]
    with pytest.raises(LogError, match=rf"event document of run {A} was not stored.*another process has ended it.*scan again"):
        writer("event", event(f"d{A}", 1))
    writer("stop", stop(A))  # what a RunEngine sends then; it has been told
    writer("event", event(f"d{B}", 1))
    assert [record.name for record in LogReader(path).documents(A)] == ["start", "descriptor", "stop"]
    assert not any(record.damage for record in LogReader(path).documents(None))


def test_a_run_ends_once(path, writer):
    begin(writer)
    writer("stop", stop(A))
    with pytest.raises(LogError, match="which is not open"):
        writer("stop", stop(A))


def test_a_stop_after_a_stop_is_told(path, writer):
    begin(writer)
    abandon(path, A)
    close_orphans(path)
    with pytest.raises(LogError, match="another process has ended it"):
        writer("stop", stop(A))


def test_a_writer_whose_run_was_adopted_writes_no_more(path, writer):
    begin(writer)
    second = subprocess.run([sys.executable, "-c", ADOPT, str(path), A], capture_output=True, text=True, check=True)
    assert second.stdout.strip() == "adopted"
    with pytest.raises(LogError, match="has gone on with it"):
        writer("event", event(f"d{A}", 1))


ADOPT = """
import sys
from analysis.documents.log import LogWriter
LogWriter(sys.argv[1]).adopt(sys.argv[2])
print("adopted")
"""


def test_a_run_whose_stop_document_is_refused_ends_all_the_same(path, writer):
    begin(writer)
    with pytest.raises(LogError, match="not valid Unicode"):
        writer("stop", {**stop(A), "reason": "no such file \udcff"})
    last = list(LogReader(path).documents(A))[-1].doc
    assert last["exit_status"] == "fail" and 'stop["reason"] is the text' in last["reason"]
    assert LogReader(path).state(A) is RunState.ENDED


def test_a_closed_writer_raises_log_error(path):
    writer = LogWriter(path)
    begin(writer)
    writer.close()
    with pytest.raises(LogError):
        writer("event", event(f"d{A}", 1))
    with pytest.raises(LogError):
        writer.adopt(A)


def test_a_run_of_frames_that_was_cut_short_counts_them(path, writer):
    writer("start", start(A))
    keys = {key: {"source": "made", "dtype": "array", "shape": [4, 4], "external": "STREAM:"} for key in ("image", "number")}
    writer("descriptor", {**descriptor("frames", A, "frames"), "data_keys": keys})
    writer("descriptor", descriptor("d", A))
    for key in keys:
        resource = {"uid": key, "run_start": A, "data_key": key, "uri": "file://localhost/x.h5", "parameters": {}}
        writer("stream_resource", {**resource, "mimetype": "application/x-hdf5"})
    for first, last in ((0, 64), (64, 100)):
        for key in keys:
            span = {"indices": {"start": first, "stop": last}, "seq_nums": {"start": first + 1, "stop": last + 1}}
            writer("stream_datum", {"uid": f"{key}/{first}", "descriptor": "frames", "stream_resource": key, **span})
    for number in (1, 2, 3):
        writer("event", event("d", number))
    abandon(path, A)
    assert close_orphans(path) == [A]
    assert list(LogReader(path).documents(A))[-1].doc["num_events"] == {"frames": 100, "primary": 3}


def test_closing_a_long_run_keeps_no_writer_waiting(path, writer, monkeypatch):
    begin(writer)
    begin(writer, B)
    abandon(path, A)
    reading, go_on = threading.Event(), threading.Event()
    whole = LogReader.documents

    def slowly(self, *arguments, **options):
        reading.set()
        assert go_on.wait(20)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(LogReader, "documents", slowly)
    closer = threading.Thread(target=close_orphans, args=(path,))
    closer.start()
    assert reading.wait(20)
    writer("event", event(f"d{B}", 1))  # would wait for the lock, 10 s, and fail
    go_on.set()
    closer.join()
    monkeypatch.undo()
    assert LogReader(path).state(A) is RunState.ENDED


def test_one_run_that_cannot_be_closed_does_not_keep_others_open(path, writer, monkeypatch):
    begin(writer)
    begin(writer, B)
    abandon(path, A)
    abandon(path, B)

    def which(doc):
        if doc["uid"] == A:
            raise KeyError("odd")
        return True

    assert close_orphans(path, which=which) == [B]


def test_the_write_ahead_log_stays_bounded_while_readers_read(path, monkeypatch):
    monkeypatch.setattr(log_file, "LARGEST_WAL_BYTES", 1_000_000)
    monkeypatch.setattr(log, "_CHECKPOINT_EVERY_S", 0.05)
    writer = LogWriter(path)
    begin(writer)
    ended = threading.Event()

    def follow():
        with closing(LogReader(path)) as reader:
            after = 0
            while not ended.is_set():
                for record in reader.read(after, limit=20):
                    after = record.position

    readers = [threading.Thread(target=follow) for _ in range(3)]
    for thread in readers:
        thread.start()
    longest = 0
    wal = path.with_name("raw.db-wal")
    try:
        for number in range(1, 2001):  # 40 MB
            writer("event", {**event(f"d{A}", number), "data": {"a": np.zeros(2500)}})
            longest = max(longest, wal.stat().st_size)
            time.sleep(0.001)
    finally:
        ended.set()
        for thread in readers:
            thread.join()
        writer.close()
    assert longest < 15_000_000


def test_uids_of_ingested_and_derived_runs_are_as_the_log_wants_them(writer):
    for uid in (uuid.uuid4(), uuid.uuid5(uuid.NAMESPACE_OID, "x")):
        writer("start", start(str(uid)))
