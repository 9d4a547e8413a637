"""What a session reports to the live page during a scan."""

import json
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from analysis.documents.status import read_status
from ghostbeam.now import NAME, Now
from plans.suspenders import RingCurrentSuspender


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("ghostbeam.now._EVERY_S", 0.02)
    engine, current = RunEngine({}), Signal(name="ring_current", value=400.0, metadata={"units": "mA"})
    engine.subscribe(Now(engine, tmp_path, {"ring current": current}))
    return engine, current, tmp_path


def said(folder, wanted):
    """What the file says once it says what is wanted."""
    deadline = time.monotonic() + 30
    while True:
        status = read_status(folder, NAME)
        if status is not None and wanted(status):
            return status
        assert time.monotonic() < deadline, json.dumps(status)
        time.sleep(0.01)


@bpp.run_decorator()
def scan(go_on):
    yield from bps.checkpoint()
    yield from bps.pause()
    while not go_on.is_set():
        yield from bps.sleep(0.02)
    yield from bps.checkpoint()


def test_a_pause_and_what_is_waited_for_are_reported_with_conditions(session):
    engine, current, folder = session
    go_on = threading.Event()
    with pytest.raises(RunEngineInterrupted):
        engine(scan(go_on))
    status = said(folder, lambda status: status["state"] == "paused")
    assert status["conditions"] == [{"name": "ring current", "value": 400.0, "units": "mA"}]
    suspender = RingCurrentSuspender(current, 20.0, 0.0)
    engine.install_suspender(suspender)
    seen = []

    def dump_and_restore():
        said(folder, lambda status: status["state"] == "running")
        current.put(1.0)
        seen.append(said(folder, lambda status: status["waiting"] == ["ring current below 20 mA; waiting for beam"]))
        current.put(400.0)
        go_on.set()

    helper = threading.Thread(target=dump_and_restore)
    helper.start()
    engine.resume()
    helper.join()
    assert seen and seen[0]["conditions"][0]["value"] == 1.0


def test_nothing_is_written_between_scans(session):
    engine, _, folder = session
    engine(bps.null())
    assert read_status(folder, NAME) is None
