"""The catalogue of a session is never behind the log, and what it returns is never another run."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from archived_runs import archive, log, odd_run
from servers import TiledServer

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import connect
from analysis.documents.log import log_paths
from ghostbeam.prompt import catalogue as catalogue_module
from ghostbeam.prompt.catalogue import LoggedCatalogue, NotYetArchived

pytestmark = pytest.mark.e2e


@pytest.fixture
def catalog(tiled_server: TiledServer):
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        yield catalog


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cat(catalog, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> LoggedCatalogue:
    monkeypatch.setattr(catalogue_module, "_SAY_SO_AFTER_S", 0.0)
    monkeypatch.setattr(catalogue_module, "_WITHOUT_ARCHIVER_S", 60.0)  # there is none in these tests
    return LoggedCatalogue(catalog.raw, log_paths(tmp_path).raw, said.append)


def measure(state_dir: Path, scan_id: int) -> str:
    uid, documents = odd_run({}, md={"scan_id": scan_id})
    log(state_dir, documents)
    return uid


def test_what_has_just_been_measured_is_waited_for(cat, catalog, tmp_path, said):
    old = measure(tmp_path, 1)
    archive(tmp_path, catalog.raw)
    assert cat[-1].metadata["start"]["uid"] == old and not said
    for key in (lambda uid: uid, lambda uid: uid[:8], lambda uid: -1, lambda uid: 4000):
        uid = measure(tmp_path, 4000)
        archiver = threading.Timer(0.5, archive, (tmp_path, catalog.raw))
        archiver.start()
        run = cat[key(uid)]
        archiver.join()
        assert run.metadata["start"]["uid"] == uid and run.metadata["stop"]
        assert len(run["primary"].read()["diode"]) == 3
    assert said[0].startswith("waiting for run") and "(scan 4000)" in said[0]


def test_a_run_that_does_not_come_is_an_error_and_never_another_run(cat, catalog, tmp_path, monkeypatch):
    old = measure(tmp_path, 1)
    archive(tmp_path, catalog.raw)
    measure(tmp_path, 2)
    monkeypatch.setattr(catalogue_module, "_PATIENCE_S", 0.2)
    with pytest.raises(NotYetArchived, match=r"\(scan 2\) is safe in the log.*ghostbeam status"):
        cat[-1]
    assert cat[old].metadata["start"]["uid"] == old
    with pytest.raises(KeyError, match="neither in the catalogue nor in the log"):
        cat["ffffffff"]


def test_without_an_archiver_it_is_said_what_to_do(cat, tmp_path, monkeypatch):
    measure(tmp_path, 2)
    monkeypatch.setattr(catalogue_module, "_WITHOUT_ARCHIVER_S", 0.2)
    with pytest.raises(NotYetArchived, match=r"safe in the log.*the archiver does not run. `ghostbeam up`"):
        cat[-1]


def test_a_run_that_was_given_up_is_not_waited_for(cat, tmp_path):
    ArchiveLedger(tmp_path).settle(measure(tmp_path, 3), "too odd")
    with pytest.raises(NotYetArchived, match="could not be stored in the catalogue: too odd"):
        cat[-1]


def test_v2_leaves_the_catalogue_and_every_other_client_as_they_are(cat, catalog, tmp_path):
    measure(tmp_path, 5)
    archive(tmp_path, catalog.raw)
    kind = type(cat[-1])
    assert "V2" in type(cat.v2[-1]).__name__
    assert type(cat[-1]) is kind and type(catalog.raw.values().last()) is kind
    assert "V2" not in kind.__name__
