"""One plan at a time: two processes, one lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bluesky.plan_stubs as bps
import pytest
from bluesky import RunEngine

from ghostbeam.scan_lock import ScanLock, ScanRunning

OTHER = """
import sys, time
import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky import RunEngine
from ghostbeam.scan_lock import ScanLock

def plan():
    print("runs", flush=True)
    for _ in range(6000):
        yield from bps.sleep(0.01)

def closes():
    print("shutter closed", flush=True)
    yield from bps.null()

RE = RunEngine({})
RE.log.logger.disabled = True
RE.preprocessors.append(ScanLock(sys.argv[1]).holds)
try:
    RE(bpp.finalize_wrapper(plan(), closes))
except Exception as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture
def other(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "runs\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def engine(tmp_path: Path) -> RunEngine:
    engine = RunEngine({})
    engine.preprocessors.append(ScanLock(tmp_path).holds)
    return engine


def moves(moved: list[str]):
    moved.append("moved")
    yield from bps.null()


def test_a_plan_is_refused_while_another_process_runs_one_and_told_by_whom(other, engine):
    moved: list[str] = []
    with pytest.raises(ScanRunning, match=rf"process {other.pid}.*break_scan_lock"):
        engine(moves(moved))
    assert not moved
    other.kill()  # the system gives the lock back
    other.wait()
    engine(moves(moved))
    engine(moves(moved))
    assert moved == ["moved", "moved"]


def test_a_lock_that_is_broken_ends_the_other_plan_with_its_cleanup(other, engine, tmp_path):
    assert f"process {other.pid}" in ScanLock(tmp_path).break_()
    moved: list[str] = []
    engine(moves(moved))
    assert moved
    assert other.communicate(timeout=30)[0].splitlines() == ["shutter closed", "ScanLockBroken"]
    assert ScanLock(tmp_path).break_() == "No plan is running."


def test_a_plan_that_fails_or_is_halted_lets_go(engine, tmp_path):
    def fails():
        yield from bps.null()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine(fails())
    assert ScanLock(tmp_path).break_() == "No plan is running."
