"""What a session says at the prompt: one line an error, how far a scan is, why no plots."""

from __future__ import annotations

import io
import logging
import sys
import time
from types import SimpleNamespace

import bluesky.plan_stubs as bps
import matplotlib
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus, RunEngineInterrupted
from ophyd.utils.errors import LimitError

from ghostbeam.prompt import plots
from ghostbeam.prompt.errors import keep_log_short, told
from ghostbeam.prompt.progress import ScanProgress
from plans.request import PlanRequestError, check_count


def error_of(function, *args):
    with pytest.raises(Exception) as caught:
        function(*args)
    return caught.value


def test_own_errors_are_told_by_their_message_and_all_others_are_not():
    assert told(error_of(check_count, "many", "num")).startswith("PlanRequestError: num")
    assert told(LimitError("0.5 is beyond the limits")) == "LimitError: 0.5 is beyond the limits"
    assert told(RunEngineInterrupted("\nYour RunEngine is paused\n")) == "Your RunEngine is paused"
    failed = FailedStatus("<MoveStatus ...>")
    failed.__cause__ = LimitError("beyond")
    assert told(failed) == "LimitError: beyond"
    assert told(error_of(lambda: {}["x"])) is None  # an error of the user's, or a fault of ours
    assert told(error_of(int, "x")) is None


def test_the_run_engine_does_not_log_what_it_raises(caplog):
    engine = RunEngine({})

    def plan():
        yield from bps.null()
        raise PlanRequestError("no")

    keep_log_short(engine)
    with caplog.at_level(logging.ERROR), pytest.raises(PlanRequestError):
        engine(plan())
    assert "Run aborted" not in caplog.text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_points_of_a_scan_are_counted_with_the_time_left_and_what_is_waited_for(monkeypatch):
    monkeypatch.setattr("ghostbeam.prompt.progress._EVERY_S", 0.02)
    monkeypatch.setattr("ghostbeam.prompt.progress._LONG_S", 0.01)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    progress = ScanProgress(lambda name, doc: None, lambda uid: [f"tv is flat in {uid}", f"tv is flat in {uid} still"])
    dimensions = {"dimensions": [[["time"], "primary"]]}
    progress("start", {"uid": "r", "num_points": 4, "scan_id": 7, "sample": "CAS", "hints": dimensions})
    progress("descriptor", {"uid": "d", "run_start": "r", "name": "dark"})
    progress("descriptor", {"uid": "p", "run_start": "r", "name": "primary"})
    progress("event", {"descriptor": "d", "seq_num": 1})
    assert "scan 7 CAS: 0/4" in screen.getvalue() and "1/4" not in screen.getvalue()
    progress("event", {"descriptor": "p", "seq_num": 1})
    progress.waiting([SimpleNamespace(device=SimpleNamespace(name="mask_stage"), done=False)])
    deadline = time.monotonic() + 30
    while "waiting for mask_stage" not in screen.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert screen.getvalue().count("ATTENTION") == 1 and "ATTENTION: tv is flat in r\n" in screen.getvalue()
    progress.waiting(None)
    progress("event_page", {"descriptor": "p", "seq_num": [2, 3]})
    assert "3/4" in screen.getvalue() and "left" in screen.getvalue()
    progress("stop", {"run_start": "r"})
    assert progress._bar is None


def test_without_a_display_plots_are_off_and_it_is_said_why(monkeypatch):
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    assert plots.choose_plots(SimpleNamespace()) == "off: there is no display here"
    assert matplotlib.get_backend().lower() == "agg"
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'ghostbeam[qt]'" in plots.choose_plots(SimpleNamespace())
    assert plots.choose_plots(SimpleNamespace(kernel=None)).startswith("off in a notebook")


def test_plots_get_all_documents_but_not_each_event_by_itself():
    passed_on = []
    callback = plots.NowAndThen(lambda name, doc: passed_on.append(name), every_s=3600.0)
    for name in ("start", "descriptor", *["event"] * 5):
        callback(name, {})
    assert passed_on == ["start", "descriptor"]
    callback("stop", {})
    assert passed_on == ["start", "descriptor", *["event"] * 5, "stop"]


def test_a_display_that_has_gone_does_not_end_the_session(monkeypatch):
    pytest.importorskip("PySide6")
    for name in ("WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":4711")
    assert plots.choose_plots(SimpleNamespace()) == "off: the display :4711 does not open"
