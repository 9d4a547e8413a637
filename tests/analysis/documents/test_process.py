"""Which process wrote something: told whatever happens to the clock, to the machine's name, or to process numbers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from analysis.documents.process import process_of, this_process
from analysis.documents.status import StatusFile, is_running, read_status


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def test_a_process_runs_until_it_ends(child):
    identity = process_of(child.pid)
    assert identity.is_running and this_process().is_running
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not identity.is_running  # though nobody has collected it
    child.wait()
    assert not identity.is_running
    assert not process_of(child.pid).is_running


def test_another_process_of_the_same_number_is_told(child):
    identity = process_of(child.pid)
    assert not replace(identity, started_ticks=identity.started_ticks - 1).is_running
    assert not replace(identity, boot="of yesterday").is_running


def test_the_clock_has_no_part_in_it(child, monkeypatch):
    identity = process_of(child.pid)
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert process_of(child.pid) == identity and identity.is_running


def test_a_status_says_whether_its_process_still_runs(tmp_path):
    file = StatusFile(tmp_path / "state", "worker")
    file.write({"figure": 1})
    status = read_status(tmp_path / "state", "worker")
    assert status["figure"] == 1 and is_running(status)
    assert not is_running({**status, "started_ticks": 0})
    assert not is_running({"pid": status["pid"], "process_started": 1.0})  # as a former version wrote it
