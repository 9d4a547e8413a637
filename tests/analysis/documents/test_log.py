"""The document log: what is appended is there, for every reader, whatever happens to the writer."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

import numpy as np
import pytest

from analysis.documents.encoding import decode, encode
from analysis.documents.log import LogError, LogReader, LogWriter, RunState
from analysis.documents.orphans import close_orphans

RUN = "00000000-0000-4000-8000-00000000000a"
KEYS = {"a": {"source": "made", "dtype": "number", "shape": []}}
A, B = RUN, RUN[:-1] + "b"


def start(uid: str) -> dict:
    return {"uid": uid, "time": 1.0}


def descriptor(uid: str, run: str, name: str = "primary") -> dict:
    return {"uid": uid, "run_start": run, "name": name, "time": 2.0, "data_keys": KEYS}


def event(descriptor_uid: str, seq_num: int) -> dict:
    doc = {"uid": str(uuid.uuid4()), "descriptor": descriptor_uid, "seq_num": seq_num, "time": 3.0}
    return {**doc, "data": {"a": seq_num / 3}, "timestamps": {"a": 3.0}}


def stop(run: str) -> dict:
    return {"uid": str(uuid.uuid4()), "run_start": run, "time": 4.0, "exit_status": "success", "num_events": {"primary": 1}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "raw.db"


def test_numpy_numbers_and_nan_survive():
    back = decode(encode({"n": np.float64("nan"), "i": np.int64(3), "b": np.bool_(True), "inf": float("inf")}))
    assert np.isnan(back["n"])
    assert (back["i"], back["b"], back["inf"]) == (3, True, float("inf"))


def test_what_is_not_data_is_refused_by_type_before_anything_is_written(path):
    writer = LogWriter(path)
    with pytest.raises(LogError, match="of type object"):
        writer("start", {"uid": A, "odd": object()})
    assert LogReader(path).read() == []


def test_readers_tell_never_from_not_yet_from_no_more(path):
    reader = LogReader(path)
    assert reader.read() == []
    assert reader.state(A) is RunState.UNKNOWN
    writer = LogWriter(path)
    writer("start", start(A))
    assert reader.state(A) is RunState.OPEN
    writer("stop", stop(A))
    assert reader.state(A) is RunState.ENDED
    assert reader.state(B) is RunState.UNKNOWN


def test_two_interleaved_runs_are_read_together_and_apart(path):
    writer, reader = LogWriter(path), LogReader(path)
    for uid in (A, B):
        writer("start", start(uid))
        writer("descriptor", descriptor(f"d{uid}", uid))
    for number in range(5):
        for uid in (A, B):
            writer("event", event(f"d{uid}", number + 1))
    assert [record.position for record in reader.read()] == list(range(1, 15))
    assert [record.doc["seq_num"] for record in reader.read(run=B) if record.name == "event"] == [1, 2, 3, 4, 5]
    assert [record.position for record in reader.read(after=12, limit=1)] == [13]
    assert len(list(reader.documents(A))) == 7
    assert [run.uid for run in reader.runs()] == [A, B]


def test_a_document_of_an_unknown_descriptor_is_refused(path):
    writer = LogWriter(path)
    with pytest.raises(LogError, match="unknown descriptor 'nobody'"):
        writer("event", event("nobody", 1))


def test_a_second_writer_does_not_disturb_the_first(path):
    first, second = LogWriter(path), LogWriter(path)
    first("start", start(A))
    second("start", start(B))
    first("stop", stop(A))
    second("stop", stop(B))
    assert [record.run for record in LogReader(path).read()] == [A, B, A, B]


def test_a_new_log_waits_for_others_that_open_it_too(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # a lock for which SQLite doesn't wait when it changes the journal mode
    done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    done.start()
    try:
        writer = LogWriter(path)
    finally:
        done.join()
        other.close()
    writer("start", start(A))
    assert LogReader(path).state(A) is RunState.OPEN


def test_what_is_not_a_log_is_refused_by_name(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    for opened in (LogWriter, lambda path: LogReader(path).runs()):
        with pytest.raises(LogError, match=str(path)):
            opened(path)


def test_a_log_of_another_version_is_refused(path):
    LogWriter(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogError, match="version 99"):
        LogWriter(path)


WRITER = """
import sys, uuid
RUN = "00000000-0000-4000-8000-00000000000a"
from analysis.documents.log import LogWriter
writer = LogWriter(sys.argv[1])
writer("start", {"uid": RUN, "time": 1.0})
writer("descriptor", {"uid": "d", "run_start": RUN, "name": "primary", "time": 2.0, "data_keys": {}})
number = 0
while True:
    number += 1
    writer("event", {"uid": str(uuid.uuid4()), "descriptor": "d", "seq_num": number, "time": 3.0, "data": {}, "timestamps": {}})
    print(number, flush=True)
"""


@pytest.fixture
def writing_process(path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_nothing_that_was_appended_is_lost_when_the_writer_is_killed(path, writing_process):
    for line in writing_process.stdout:
        if int(line) >= 50:
            break
    os.kill(writing_process.pid, signal.SIGKILL)
    acknowledged = int(line)
    for line in writing_process.stdout:  # what it still printed
        acknowledged = int(line) if line.strip() else acknowledged
    writing_process.wait()
    numbers = [record.doc["seq_num"] for record in LogReader(path).documents(RUN) if record.name == "event"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= acknowledged


def test_a_run_cut_short_is_closed_once_and_says_why(path, writing_process):
    writing_process.stdout.readline()
    assert close_orphans(path) == []  # its writer lives
    writing_process.kill()
    writing_process.wait()
    assert close_orphans(path) == [RUN]
    assert close_orphans(path) == []
    *events, last = LogReader(path).documents(RUN)
    assert last.name == "stop"
    assert last.doc["exit_status"] == "fail"
    assert "cut short" in last.doc["reason"]
    assert last.doc["num_events"] == {"primary": len(events) - 2}


def test_orphans_that_somebody_will_continue_stay_open_and_can_be_adopted(path, writing_process):
    writing_process.stdout.readline()
    writing_process.kill()
    writing_process.wait()
    assert close_orphans(path, which=lambda start: False) == []
    writer = LogWriter(path)
    writer.adopt(RUN)
    assert close_orphans(path) == []
    writer("event", {**event("d", 10_000), "data": {}, "timestamps": {}})
    writer("stop", stop(RUN))
    assert LogReader(path).state(RUN) is RunState.ENDED
    with pytest.raises(LogError, match="not an open run"):
        writer.adopt(RUN)


def test_a_full_disk_stops_the_writer_and_keeps_what_was_logged(path):
    script = WRITER + "\n"
    limit = 400_000  # bytes a file may have, as if the disk were full then

    def little_space() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], preexec_fn=little_space, capture_output=True, text=True, timeout=60
    )
    assert "LogError" in done.stderr
    assert "Free disk space" in done.stderr
    acknowledged = int(done.stdout.split()[-1])
    numbers = [record.doc["seq_num"] for record in LogReader(path).documents(RUN) if record.name == "event"]
    assert numbers == list(range(1, acknowledged + 1))


def test_a_reader_sees_a_document_soon(path):
    reader, writer = LogReader(path), LogWriter(path)
    writer("start", start(A))
    began = time.monotonic()
    while not reader.read():
        assert time.monotonic() - began < 2


def test_a_run_whose_start_was_refused_never_was(path):
    writer, reader = LogWriter(path), LogReader(path)
    with pytest.raises(LogError, match="of type object"):
        writer("start", {"uid": A, "odd": object()})
    writer("stop", stop(A))  # a RunEngine sends it all the same
    with pytest.raises(LogError, match="not open"):
        writer("descriptor", descriptor("d", A))
    assert reader.read() == []
    assert reader.state(A) is RunState.UNKNOWN


FULL_DISK = """
import resource, signal, sys, time
RUN = "00000000-0000-4000-8000-00000000000a"
from analysis.documents.log import LogError, LogReader, LogWriter, RunState
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = LogWriter(sys.argv[1])
writer("start", {"uid": RUN, "time": 1.0})
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
stop = {"uid": "s", "run_start": RUN, "time": 2.0, "exit_status": "abort", "num_events": {}}
try:
    writer("stop", stop)
except LogError:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, before)
deadline = time.monotonic() + 20
while LogReader(sys.argv[1]).state(RUN) is not RunState.ENDED and time.monotonic() < deadline:
    time.sleep(0.1)
print(LogReader(sys.argv[1]).state(RUN).value)
"""


def test_a_run_that_could_not_be_ended_for_want_of_space_ends_when_there_is_some(path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == ["refused", "ended"]
