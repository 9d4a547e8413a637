"""The archiver and a real Tiled server: whatever is killed, Tiled ends up equal to the log."""

import contextlib
import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import connect
from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.status import read_status
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore

pytestmark = pytest.mark.e2e

DATA_KEYS = {
    "bucket": {"dtype": "number", "shape": [], "source": "x", "dtype_numpy": "<f8"},
    "index": {"dtype": "integer", "shape": [], "source": "x", "dtype_numpy": "<i8"},
    "image": {"dtype": "array", "shape": [6, 5], "source": "x", "dtype_numpy": "<f4"},
    "pair": {"dtype": "array", "shape": [2], "source": "x", "dtype_numpy": "<f8"},
    "label": {"dtype": "string", "shape": [], "source": "x", "dtype_numpy": "<U8"},
}


def documents(uid: str, num: int):
    """A run with every kind of column, NaN and infinity among the numbers, whole numbers in a column of floats."""
    descriptor = str(uuid.uuid4())
    yield "start", {"uid": uid, "time": 1.0, "scan_id": 1, "shape": (4, 5), "big": 2**60, "nothing": None}
    keys = {"data_keys": DATA_KEYS, "configuration": {}, "hints": {}, "object_keys": {}}
    yield "descriptor", {"uid": descriptor, "run_start": uid, "name": "primary", "time": 1.5, **keys}
    for number in range(num):
        data = {
            "bucket": float("nan") if number == 3 else float("inf") if number == 4 else number if number % 2 else number / 3,
            "index": number,
            "image": np.full((6, 5), number / 7, np.float32),
            "pair": np.array([number, 1 / (number + 1)]),
            "label": f"n{number}",
        }
        head = {"uid": str(uuid.uuid4()), "descriptor": descriptor, "seq_num": number + 1, "time": 2.0 + number}
        yield "event", {**head, "data": data, "timestamps": dict.fromkeys(data, 2.0 + number), "filled": {}}
    end = {"uid": str(uuid.uuid4()), "run_start": uid, "time": 9.0, "exit_status": "success", "reason": ""}
    yield "stop", {**end, "num_events": {"primary": num}}


class ArchiverProcess:
    def __init__(self, server) -> None:
        self.server = server
        self.process = None

    def start(self) -> None:
        command = [sys.executable, "-m", "analysis.archive.archiver", "--uri", self.server.uri]
        command += ["--state-dir", str(self.server.state_dir)]
        with (self.server.state_dir / "archiver.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def _archiver(_module_server):
    archiver = ArchiverProcess(_module_server)
    yield archiver
    archiver.kill()


@pytest.fixture
def archiver(tiled_server, _archiver):
    """An archiver that the tests share, since each takes seconds to start; running."""
    if _archiver.process is None or _archiver.process.poll() is not None:
        _archiver.start()
    return _archiver


def wait_until_verified(state_dir: Path, uids: list[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not all(ArchiveLedger(state_dir).is_verified(uid) for uid in uids):
        assert time.monotonic() < deadline, (state_dir / "archiver.log").read_text()[-3000:]
        time.sleep(0.1)


def wait_for_table(server, uid: str, rows: int, seconds: float = 30):
    """The run's table once so many rows are in it."""
    deadline = time.monotonic() + seconds
    raw = connect(server.uri, server.key).raw
    while time.monotonic() < deadline:
        with contextlib.suppress(KeyError, IndexError):
            table = raw[uid]["primary"].base["internal"]
            if len(table.read()) >= rows:
                return table
        time.sleep(0.1)
    raise AssertionError(f"no {rows} rows within {seconds} s")


def check_stored(server, uid: str, num: int) -> None:
    run = connect(server.uri, server.key).raw[uid]
    table = run["primary"].base["internal"].read()
    np.testing.assert_array_equal(table["seq_num"], np.arange(num) + 1)
    np.testing.assert_array_equal(table["index"], np.arange(num))
    bucket = np.array([number if number % 2 else number / 3 for number in range(num)], float)
    bucket[3:5] = np.nan, np.inf
    np.testing.assert_array_equal(table["bucket"], bucket)
    expected = np.repeat((np.arange(num) / 7).astype(np.float32), 30).reshape(num, 6, 5)
    np.testing.assert_array_equal(run["primary"].base["image"].read(), expected)
    assert run.metadata["verified_against_log"] is True
    names = [name for name, _ in run.documents()]
    assert names == ["start", "descriptor", *["event"] * num, "stop"]


def log_run(writer, num: int, *, pause_s: float = 0.0, at=None, uid: str | None = None) -> str:
    uid = uid or str(uuid.uuid4())
    for number, (name, doc) in enumerate(documents(uid, num)):
        writer(name, doc)
        time.sleep(pause_s)
        if at and number in at:
            at[number]()
    return uid


def test_runs_arrive_exactly_and_a_run_can_be_read_while_it_goes_on(tiled_server, archiver):
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    seen, first = [], str(uuid.uuid4())

    def look() -> None:
        seen.append(len(wait_for_table(tiled_server, first, 39).read()))

    log_run(writer, 60, pause_s=0.005, at={40: look}, uid=first)
    second = log_run(writer, 700)
    wait_until_verified(tiled_server.state_dir, [first, second])
    check_stored(tiled_server, first, 60)
    check_stored(tiled_server, second, 700)
    assert seen == [39]
    assert read_status(tiled_server.state_dir, "archiver")["lag_documents"] == 0


def test_a_killed_server_costs_nothing_but_time(tiled_server, archiver):
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    uid = log_run(writer, 200, pause_s=0.004, at={50: tiled_server.kill, 120: tiled_server.start})
    wait_until_verified(tiled_server.state_dir, [uid])
    check_stored(tiled_server, uid, 200)


def test_a_killed_archiver_goes_on_where_the_log_is(tiled_server, archiver):
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    before = log_run(writer, 20)
    wait_until_verified(tiled_server.state_dir, [before])
    uid = log_run(writer, 150, pause_s=0.01, at={60: archiver.kill, 100: archiver.start})
    wait_until_verified(tiled_server.state_dir, [uid])
    check_stored(tiled_server, before, 20)
    check_stored(tiled_server, uid, 150)
    assert list(connect(tiled_server.uri, tiled_server.key).raw).count(uid) == 1


def test_an_archiver_killed_while_it_writes_files_of_arrays_leaves_no_half_file(tiled_server, archiver):
    num, shape = 24, (512, 1024)
    uid, descriptor = str(uuid.uuid4()), str(uuid.uuid4())
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    writer("start", {"uid": uid, "time": 1.0})
    keys = {"object": {"dtype": "array", "shape": list(shape), "source": "x", "dtype_numpy": "<f4"}}
    head = {"configuration": {}, "hints": {}, "object_keys": {}}
    writer("descriptor", {"uid": descriptor, "run_start": uid, "name": "primary", "time": 1.5, "data_keys": keys, **head})
    folder = tiled_server.state_dir / "frames" / "arrays" / uid
    for number in range(num):
        event = {"uid": str(uuid.uuid4()), "descriptor": descriptor, "seq_num": number + 1, "time": 2.0, "filled": {}}
        writer("event", {**event, "data": {"object": np.full(shape, number, np.float32)}, "timestamps": {"object": 2.0}})
        if number in (8, 16):
            deadline = time.monotonic() + 30
            while not list(folder.rglob("*")):  # it has begun to write files
                assert time.monotonic() < deadline
                time.sleep(0.001)
            archiver.kill()
            archiver.start()
    end = {"uid": str(uuid.uuid4()), "run_start": uid, "time": 9.0, "exit_status": "success", "reason": ""}
    writer("stop", {**end, "num_events": {"primary": num}})
    wait_until_verified(tiled_server.state_dir, [uid])
    stored = connect(tiled_server.uri, tiled_server.key).raw[uid]["primary"].base["object"]
    np.testing.assert_array_equal(stored[:, 0, 0], np.arange(num))
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".h5"}


def test_a_run_that_somebody_damaged_before_it_was_verified_is_repaired(tiled_server, archiver):
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    told = tiled_server.state_dir / "archiver.log"
    before = len(told.read_text())
    uid = str(uuid.uuid4())

    def damage() -> None:
        table = wait_for_table(tiled_server, uid, 19)
        doubled = pyarrow.Table.from_pandas(table.read().iloc[:3], schema=table.structure().arrow_schema_decoded)
        table.append_partition(0, doubled)

    log_run(writer, 30, pause_s=0.005, at={20: damage}, uid=uid)
    wait_until_verified(tiled_server.state_dir, [uid])
    check_stored(tiled_server, uid, 30)
    assert "stored and logged differ" in told.read_text()[before:]


def test_a_run_that_cannot_be_stored_does_not_hold_up_the_others(tiled_server, archiver):
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    bad = str(uuid.uuid4())
    for name, doc in documents(bad, 5):
        if name == "event" and doc["seq_num"] == 3:
            doc["seq_num"] = 2**63  # no table has a place for it
        writer(name, doc)
    good = log_run(writer, 20)
    wait_until_verified(tiled_server.state_dir, [good])
    deadline = time.monotonic() + 30
    while bad not in ArchiveLedger(tiled_server.state_dir).problems():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.0)
    assert bad in json.dumps(read_status(tiled_server.state_dir, "archiver")["given_up"])


def test_reconstructions_and_mask_sets_have_their_own_containers(tiled_server, archiver):
    masks = MaskSet("few", np.random.default_rng(0).random((5, 4, 3)).astype(np.float32), np.zeros((5, 2)), 10.0)
    identity = MaskStore(tiled_server.state_dir).save(masks)
    uid = log_run(LogWriter(log_paths(tiled_server.state_dir).processed), 10)
    wait_until_verified(tiled_server.state_dir, [uid])
    catalog = connect(tiled_server.uri, tiled_server.key)
    assert uid in catalog.processed
    assert uid not in catalog.raw
    deadline = time.monotonic() + 20
    while "patterns" not in catalog.masks.get(identity, {}):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    np.testing.assert_array_equal(catalog.masks[identity]["patterns"].read(), masks.patterns)
    assert catalog.masks[identity].metadata["pixel_size_um"] == 10.0


def test_a_wrong_key_is_told_apart_from_no_server(tiled_server):
    with pytest.raises(CatalogError, match="refuses the API key"):
        connect(tiled_server.uri, "wrong")
    tiled_server.kill()
    with pytest.raises(CatalogError, match="ghostbeam up"):
        connect(tiled_server.uri, tiled_server.key)
