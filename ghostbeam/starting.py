"""How long to wait for services that start: as long as something moves, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

_LOOK_EVERY_S = 1.0
_TELL_EVERY_S = 10.0
_STILL_S = 60.0  # a process that computes nothing for so long waits for something that doesn't come
_MOST_WORK_S = 600.0  # of the processor: some fifty times what the slowest service needs


@dataclass
class _Seen:
    """One service that is waited for: what it had computed (s of the processor), and when that was last more."""

    worked_s: float = 0.0
    moved: float = field(default_factory=time.monotonic)


class Starting:
    """Follows services until they serve, says what is waited for, and notices what will never come.

    Parameters
    ----------
    progress : callable
        Is told, in a few words, what is waited for.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._seen: dict[str, _Seen] = {}
        self._looked = self._told_at = 0.0
        self._told: list[str] | None = None

    def wait_for(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Look at the services that are not ready, by name, as the supervisor's status describes them."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._seen = {name: self._look(name, figures.get("pid")) for name, figures in services.items()}
        names = list(services)
        if names != self._told:
            self._progress(f"starting {', '.join(names)}" if names else "starting")
        elif names and now - self._told_at >= _TELL_EVERY_S:
            worked = ", ".join(f"{name} ({self._seen[name].worked_s:.0f} s)" for name in names if name in self._seen)
            self._progress(f"starting, time of the processor so far: {worked}")
        else:
            return
        self._told, self._told_at = names, now

    def hopeless(self) -> tuple[str, str] | None:
        """A service that will not start, and why; None if all may still start."""
        for name, seen in self._seen.items():
            if time.monotonic() - seen.moved > _STILL_S:
                return name, f"has done nothing for {_STILL_S:.0f} s"
            if seen.worked_s > _MOST_WORK_S:
                return name, f"has computed for {_MOST_WORK_S:.0f} s"
        return None

    def _look(self, name: str, pid: int | None) -> _Seen:
        seen = self._seen.get(name, _Seen())
        worked_s = _worked_s(pid)
        if worked_s != seen.worked_s:
            seen.worked_s, seen.moved = worked_s, time.monotonic()
        return seen


def _worked_s(pid: int | None) -> float:
    """What a process and those below it took of the processor (s)."""
    try:
        process = psutil.Process(pid) if pid else None
        family = [process, *process.children(recursive=True)] if process else []
    except psutil.Error:
        return 0.0
    total = 0.0
    for one in family:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
