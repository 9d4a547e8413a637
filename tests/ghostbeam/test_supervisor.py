"""One service under supervision: nothing of it outlives it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ghostbeam.services import Service
from ghostbeam.supervisor import Supervised

# Prints the number of a process that it starts and that would outlive it by far.
STARTS_ANOTHER = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
{then}
"""


def supervised(folder: Path, then: str) -> Supervised:
    service = Service(
        "made", [sys.executable, "-c", STARTS_ANOTHER.format(then=then)], ready=lambda printed, pid: "\n" in printed
    )
    one = Supervised(service, folder)
    one.start()
    return one


def until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Supervised]]:
    all_of_them: list[Supervised] = []
    yield all_of_them
    for one in all_of_them:
        one.ask_to_end()
        one.wait_for_end(time.monotonic() + 5)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_service_started_ends_with_it(tmp_path: Path, started: list[Supervised]) -> None:
    one = supervised(tmp_path, "time.sleep(600)")
    started.append(one)
    until(lambda: one.step() or one.is_ready)
    other = int((tmp_path / "made.log").read_text())
    assert lives(other)
    one.ask_to_end()
    one.wait_for_end(time.monotonic() + 5)
    until(lambda: not lives(other))


def test_what_a_service_started_ends_when_the_service_dies(tmp_path: Path, started: list[Supervised]) -> None:
    one = supervised(tmp_path, "sys.exit(3)")
    started.append(one)
    until(lambda: one.step() or one.figures()["state"] == "died")
    other = int((tmp_path / "made.log").read_text().split()[0])
    until(lambda: not lives(other))


def test_its_log_is_its_owners_alone(tmp_path: Path, started: list[Supervised]) -> None:
    started.append(supervised(tmp_path, "sys.exit(0)"))
    assert (tmp_path / "made.log").stat().st_mode & 0o077 == 0
