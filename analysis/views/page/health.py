"""The state of the services, according to their last reports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from analysis.documents.status import is_running, read_status, service_state


def health(state_dir: Path) -> list[dict[str, Any]]:
    """Name, state, health and remarks of Tiled, the archiver and the worker."""
    told = [{"name": "Tiled", "state": "running", "well": True, "says": ""}]  # if Tiled did not run, there would be no page
    for name in ("archiver", "worker"):
        said = read_status(state_dir, name)
        state, says = _state(said)
        told.append({"name": name, "state": state, "well": state == "running", "says": says})
    return told


def _state(said: dict[str, Any] | None) -> tuple[str, str]:
    if said is None or not is_running(said):
        return "down", "start it with `ghostbeam up`"
    state = service_state(said)
    if state == "hangs":
        return state, f"it said nothing for {time.time() - said['time']:.0f} s"
    if state == "waiting":
        return state, str(said["problem"])
    if state == "gave up runs":
        uid, problem = next(iter(said["given_up"].items()))
        return state, f"{len(said['given_up'])}, such as {uid[:8]}: {problem} (try again with `ghostbeam recover`)"
    lag = said.get("lag_documents")
    return state, f"{lag} documents behind" if lag else ""
