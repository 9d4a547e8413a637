"""What is done about damage in Tiled after a run was verified, about runs that were given up, and by an archiver that starts."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from archived_runs import archive, log, odd_run

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import connect
from analysis.archive.log_archiver import LogArchiver
from analysis.archive.repeats import few_repeats
from analysis.archive.run_archive import read_back
from analysis.documents.log import LogReader, log_paths
from analysis.documents.service_lock import service_lock

pytestmark = pytest.mark.e2e


@pytest.fixture
def catalog(tiled_server):
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as connected:
        yield connected


@pytest.fixture
def run(tiled_server, catalog) -> str:
    image = {"dtype": "array", "shape": [4, 3]}
    uid, documents = odd_run({"image": (image, [np.full((4, 3), number + 1.0) for number in range(3)])}, md={"sample": "a"})
    log(tiled_server.state_dir, documents)
    archive(tiled_server.state_dir, catalog.raw)
    assert catalog.raw[uid].metadata["verified_against_log"] is True
    return uid


def array_folder(state_dir: Path, uid: str) -> Path:
    return state_dir / "tiled" / "files" / "raw" / uid / "primary" / "image"


def delete_chunk(state_dir: Path, uid: str) -> None:
    chunk = next(path for path in array_folder(state_dir, uid).rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.unlink()


def delete_array(state_dir: Path, uid: str) -> None:
    shutil.rmtree(array_folder(state_dir, uid))


def damage_zarr(state_dir: Path, uid: str) -> None:
    (array_folder(state_dir, uid) / "zarr.json").write_text('{"zarr_format": 3, "sha')


def delete_row(state_dir: Path, uid: str) -> None:
    with closing(sqlite3.connect(state_dir / "tiled" / "tables.db")) as connection, connection:
        (table, *_) = _tables_with(connection, "ts_image")
        last = connection.execute(f'SELECT max("_dataset_id") FROM "{table}"').fetchone()[0]
        connection.execute(f'DELETE FROM "{table}" WHERE "_dataset_id" = ? AND seq_num = 2', (last,))


def change_metadata(state_dir: Path, uid: str) -> None:
    with closing(sqlite3.connect(state_dir / "tiled" / "catalog.db")) as connection, connection:
        connection.execute("UPDATE nodes SET metadata = json_set(metadata, '$.start.sample', 'b') WHERE key = ?", (uid,))


def change_descriptor(state_dir: Path, uid: str) -> None:
    with closing(sqlite3.connect(state_dir / "tiled" / "catalog.db")) as connection, connection:
        connection.execute(
            "UPDATE nodes SET metadata = json_set(metadata, '$.data_keys.diode.source', 'b') WHERE key = 'primary' "
            "AND parent = (SELECT id FROM nodes WHERE key = ?)",
            (uid,),
        )


def _tables_with(connection: sqlite3.Connection, column: str) -> list[str]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if column in [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (delete_chunk, "image differs"),
        (delete_array, "image"),
        (damage_zarr, "image cannot be read"),
        (delete_row, "2 rows are stored"),
        (change_metadata, "the start document differs in sample"),
        (change_descriptor, "the descriptor differs in data_keys"),
    ],
)
def test_damage_after_verification_is_named_and_mended(tiled_server, catalog, run, damage, named):
    with closing(LogReader(log_paths(tiled_server.state_dir).raw)) as reader:
        assert read_back(catalog.raw, reader, run, []) == []
        damage(tiled_server.state_dir, run)
        assert named in "; ".join(read_back(catalog.raw, reader, run, []))
        with closing(ArchiveLedger(tiled_server.state_dir)) as ledger:
            ledger.forget(run)
        archive(tiled_server.state_dir, catalog.raw)
        assert read_back(catalog.raw, reader, run, []) == []
    np.testing.assert_array_equal(catalog.raw[run]["primary"]["image"].read()[:, 0, 0], [1, 2, 3])


def test_a_run_that_is_not_as_logged_is_not_damaged(tiled_server, catalog):
    uid, documents = odd_run(
        {
            "none": ({"dtype": "number"}, [None, 1.0, 2.0]),
            "wave": ({"dtype": "array", "shape": [2]}, [np.arange(2.0), np.arange(3.0), np.arange(1.0)]),
            "raw": ({"dtype": "string"}, [b"a", b"b", b"c"]),
        }
    )
    log(tiled_server.state_dir, documents)
    archive(tiled_server.state_dir, catalog.raw)
    with closing(LogReader(log_paths(tiled_server.state_dir).raw)) as reader:
        assert read_back(catalog.raw, reader, uid, []) == []


def test_an_archiver_that_starts_reads_what_is_not_settled_alone(tmp_path, monkeypatch):
    old, documents = odd_run({})
    log(tmp_path, documents[:-1])
    for _ in range(3):
        settled, others = odd_run({})
        log(tmp_path, others)
        with closing(ArchiveLedger(tmp_path)) as ledger:
            ledger.settle(settled)
    read = []
    once = LogReader.read

    def noted(self, after=0, **how):
        read.append((after, how.get("run")))
        return once(self, after, **how)

    monkeypatch.setattr(LogReader, "read", noted)
    with closing(LogReader(log_paths(tmp_path).raw)) as reader, closing(ArchiveLedger(tmp_path)) as ledger:
        archiver = LogArchiver(reader, ledger, lambda: None)
        assert archiver.unsettled == 1 and archiver.lag == 0
        archiver.step(_Nowhere())
        assert all(run == old or after == reader.last_position() for after, run in read)


class _Nowhere:
    def __contains__(self, uid: str) -> bool:
        return False


def test_what_was_given_up_is_tried_again_when_it_is_struck_from_the_ledger_and_not_by_a_new_archiver(tmp_path):
    uid, documents = odd_run({})
    log(tmp_path, documents)
    with closing(ArchiveLedger(tmp_path)) as ledger, closing(LogReader(log_paths(tmp_path).raw)) as reader:
        ledger.settle(uid, "ValueError: odd")
        archiver = LogArchiver(reader, ledger, lambda: None)
        assert archiver.unsettled == 0 and ledger.problems() == {uid: "ValueError: odd"}
        ledger.acknowledge(uid)
        assert ledger.problems() == {} and ledger.acknowledged() == {uid: "ValueError: odd"}
        ledger.forget(uid)
        archiver.bring_in_again()
        assert archiver.unsettled == 1


def test_one_archiver_serves_a_state_directory(tmp_path):
    command = [sys.executable, "-m", "analysis.archive.archiver", "--state-dir", str(tmp_path), "--uri", "http://127.0.0.1:9"]
    with service_lock(tmp_path, "archiver"):
        second = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert second.returncode == 1
    assert "another archiver" in second.stderr and "stop it first" in second.stderr
