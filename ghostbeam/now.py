"""What a session reports to the live page during a scan: whether it is paused, ring current, shutter."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from analysis.documents.status import StatusFile
from plans.suspenders import RingCurrentSuspender

NAME = "session"
_EVERY_S = 1.0


class Now:
    """Writes the state of a running plan into `services/session.json` once a second. Subscribe it to the RunEngine.

    Parameters
    ----------
    engine : RunEngine
    state_dir : Path
        The state directory.
    conditions : mapping of str to device
        Signals to report, each under its name. They must be monitored, so that reading them sends no request to an IOC.
    """

    def __init__(self, engine: Any, state_dir: Path, conditions: dict[str, Any]) -> None:
        self._engine = engine
        self._file = StatusFile(state_dir, NAME)
        self._conditions = conditions
        self._run: str | None = None
        self._ended = threading.Event()

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Begin with a run, and end with it."""
        if name == "start":
            self._run, self._ended = doc["uid"], threading.Event()
            threading.Thread(target=self._tell, args=(self._ended,), name="what happens now", daemon=True).start()
        elif name == "stop" and doc["run_start"] == self._run:
            self._ended.set()

    def figures(self) -> dict[str, Any]:
        """What to report now."""
        suspenders = [one for one in self._engine.suspenders if isinstance(one, RingCurrentSuspender)]
        return {
            "run": self._run,
            "state": str(self._engine.state),
            "waiting": [one.reason for one in suspenders if one.tripped],
            "conditions": [one for name, signal in self._conditions.items() if (one := _condition(name, signal)) is not None],
        }

    def _tell(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._file.write(self.figures(), every_s=0)
            ended.wait(_EVERY_S)


def _condition(name: str, signal: Any) -> dict[str, Any] | None:
    """Value and unit of a signal; None while its IOC does not answer."""
    if not signal.connected:
        return None
    try:
        return {"name": name, "value": signal.get(), "units": signal.metadata.get("units") or None}
    except Exception:  # whatever Channel Access raises when the IOC has just died
        return None
