"""How the services are, as they last said themselves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from analysis.documents.status import is_running, read_status

_STALE_S = 10.0  # a service that said nothing for so long hangs


def health(state_dir: Path) -> list[dict[str, Any]]:
    """Name, state, whether it is well, and what it says, of Tiled, the archiver and the worker."""
    told = [{"name": "Tiled", "state": "running", "well": True, "says": ""}]  # else nobody would be told
    for name in ("archiver", "worker"):
        said = read_status(state_dir, name)
        state, says = _state(said)
        told.append({"name": name, "state": state, "well": state == "running", "says": says})
    return told


def _state(said: dict[str, Any] | None) -> tuple[str, str]:
    if said is None or not is_running(said):
        return "down", "start it with `ghostbeam up`"
    if time.time() - said["time"] > _STALE_S:
        return "hangs", f"it said nothing for {time.time() - said['time']:.0f} s"
    if said.get("problem"):
        return "waiting", str(said["problem"])
    if given_up := said.get("given_up"):
        uid, problem = next(iter(given_up.items()))
        return "gave up runs", f"{len(given_up)}, such as {uid[:8]}: {problem} (try again with `ghostbeam recover`)"
    lag = said.get("lag_documents")
    return "running", f"{lag} documents behind" if lag else ""
