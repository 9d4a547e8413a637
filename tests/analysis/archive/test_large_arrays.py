"""Arrays above 1 MB: in files that Tiled serves, exact, held against the log, and written again where they are damaged."""

from __future__ import annotations

from contextlib import closing

import h5py
import numpy as np
import pytest
from archived_runs import archive, log, odd_run

from analysis.archive import run_archive
from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import connect
from analysis.archive.repeats import few_repeats
from analysis.archive.run_archive import read_back
from analysis.archive.stored_documents import stored_documents
from analysis.documents.frame_folders import frame_folders
from analysis.documents.log import LogReader, log_paths

pytestmark = pytest.mark.e2e

SHAPE = (500, 600)
LARGE = {"dtype": "array", "shape": list(SHAPE), "dtype_numpy": "<f4", "dims": ["y", "x"]}
SMALL = {"dtype": "array", "shape": [3], "dtype_numpy": "<f4"}


@pytest.fixture
def catalog(tiled_server):
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as connected:
        yield connected


@pytest.fixture
def objects() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=SHAPE).astype(np.float32) for _ in range(5)]
    arrays[1][3, 4], arrays[2][0, 0] = np.nan, -0.0
    return arrays


@pytest.fixture
def run(tiled_server, catalog, objects, monkeypatch) -> str:
    monkeypatch.setattr(run_archive, "_BYTES_AT_ONCE", 2_000_000)  # two arrays are stored together
    small = [np.arange(3, dtype=np.float32) + number for number in range(5)]
    uid, documents = odd_run({"object": (LARGE, objects), "small": (SMALL, small)})
    log(tiled_server.state_dir, documents)
    requests = []
    hooks = catalog.root.context.http_client.event_hooks["request"]
    hooks.append(requests.append)
    archive(tiled_server.state_dir, catalog.raw)
    hooks.remove(requests.append)
    assert max(len(request.content) for request in requests) < 100_000, "an array went through Tiled"
    return uid


def test_they_lie_in_files_and_come_back_to_the_bit(tiled_server, catalog, run, objects):
    files = sorted((tiled_server.state_dir / "frames" / "arrays" / run / "primary" / "object").iterdir())
    assert [path.name for path in files] == ["000000.h5", "000001.h5", "000002.h5"]
    assert catalog.raw[run].metadata["verified_against_log"] is True
    stored = catalog.raw[run]["primary"]["object"]
    assert stored.read().tobytes() == np.array(objects).tobytes()
    assert stored[3:5, 7].tobytes() == np.array(objects)[3:5, 7].tobytes()
    assert stored[2].tobytes() == objects[2].tobytes()
    pages = [doc["data"]["object"] for name, doc in stored_documents(catalog.raw[run]) if name == "event_page"]
    assert np.array([array for page in pages for array in page]).tobytes() == np.array(objects).tobytes()


@pytest.mark.parametrize("what", ["gone", "another", "cut"])
def test_damage_is_named_and_mended(tiled_server, catalog, run, objects, what):
    path = tiled_server.state_dir / "frames" / "arrays" / run / "primary" / "object" / "000001.h5"
    folders = frame_folders(tiled_server.state_dir)
    with closing(LogReader(log_paths(tiled_server.state_dir).raw)) as reader:
        assert read_back(catalog.raw, reader, run, folders) == []
        if what == "gone":
            path.unlink()
        elif what == "cut":
            path.write_bytes(path.read_bytes()[:100_000])
        else:
            with h5py.File(path, "r+") as file:
                file["entries"][1, 2, 3] += 1
        assert "object" in "; ".join(read_back(catalog.raw, reader, run, folders))
        with closing(ArchiveLedger(tiled_server.state_dir)) as ledger:
            ledger.forget(run)
        archive(tiled_server.state_dir, catalog.raw)
        assert read_back(catalog.raw, reader, run, folders) == []
    assert catalog.raw[run]["primary"]["object"].read().tobytes() == np.array(objects).tobytes()
