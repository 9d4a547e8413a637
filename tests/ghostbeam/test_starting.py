"""Waiting for services: as long as they compute, and no longer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from ghostbeam import starting as starting_module
from ghostbeam.starting import Starting

COMPUTES = "while True: pass"
SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def process() -> Iterator[Callable[[str], int]]:
    started = []

    def start(program: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", program]))
        return started[-1].pid

    yield start
    for one in started:
        one.kill()
        one.wait()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_module, "_STILL_S", 3.0)
    monkeypatch.setattr(starting_module, "_LOOK_EVERY_S", 0.2)


def test_a_service_that_computes_is_waited_for_and_one_that_does_nothing_is_named(process: Callable[[str], int]) -> None:
    said: list[str] = []
    starting = Starting(said.append)
    services = {"busy": {"pid": process(COMPUTES)}, "asleep": {"pid": process(SLEEPS)}}
    deadline = time.monotonic() + 60
    while not starting.hopeless():
        assert time.monotonic() < deadline
        starting.wait_for(services)
        time.sleep(0.05)
    assert starting.hopeless() == ("asleep", "has done nothing for 3 s")
    assert said == ["starting busy, asleep"]


def test_a_service_that_computes_for_ever_is_named_too(process: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_module, "_MOST_WORK_S", 1.0)
    starting = Starting(lambda text: None)
    services = {"busy": {"pid": process(COMPUTES)}}
    deadline = time.monotonic() + 60
    while not starting.hopeless():
        assert time.monotonic() < deadline
        starting.wait_for(services)
        time.sleep(0.05)
    assert starting.hopeless() == ("busy", "has computed for 1 s")


def test_it_says_what_is_waited_for_when_that_changes_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_module, "_TELL_EVERY_S", 0.3)
    said: list[str] = []
    starting = Starting(said.append)
    starting.wait_for({"a": {"pid": None}, "b": {"pid": None}})
    starting.wait_for({"a": {"pid": None}, "b": {"pid": None}})
    starting.wait_for({"b": {"pid": None}})
    assert said == ["starting a, b", "starting b"]
    deadline = time.monotonic() + 30
    while len(said) == 2:
        assert time.monotonic() < deadline
        starting.wait_for({"b": {"pid": None}})
    assert said[2] == "starting, time of the processor so far: b (0 s)"
