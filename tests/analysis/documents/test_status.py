"""The state of a service by what it last said: the same for `ghostbeam status` and the live page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from analysis.documents.status import StatusFile, service_state
from analysis.views.page.health import health


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, "running"),
        ({"problem": "no Tiled server answers"}, "waiting"),
        ({"given_up": {"3e81bad2": "damaged"}}, "gave up runs"),
        ({"problem": "no Tiled server answers", "given_up": {"3e81bad2": "damaged"}}, "waiting"),
        # What it said is old: whatever it was, it hangs now.
        ({"time": 1.0, "problem": "no Tiled server answers"}, "hangs"),
    ],
)
def test_one_order_of_states(said: dict[str, Any], state: str) -> None:
    assert service_state({"time": time.time(), **said}) == state


def test_the_live_page_says_so_too(tmp_path: Path) -> None:
    StatusFile(tmp_path, "archiver").write({"problem": "no Tiled server answers", "given_up": {"3e81bad2": "damaged"}}, every_s=0)
    told = {one["name"]: (one["state"], one["says"]) for one in health(tmp_path)}
    assert told["archiver"] == ("waiting", "no Tiled server answers")
    assert told["worker"][0] == "down"
