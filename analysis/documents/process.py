"""Which process wrote something, and whether it still runs: by the kernel's counters, which no change of the clock affects.

A process's number is given again when it has ended. With the moment at which it began, in ticks since the machine was started,
and the identity that the kernel draws at each start, it is unique. (psutil's `create_time` adds the time of the last start, which
moves whenever the clock is set.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of one start of one machine.

    Attributes
    ----------
    pid : int
        Its number.
    started_ticks : int
        When it began: clock ticks since the machine was started (field 22 of /proc/PID/stat).
    boot : str
        The kernel's identity of that start of the machine.
    """

    pid: int
    started_ticks: int
    boot: str

    @property
    def is_running(self) -> bool:
        """Whether it runs on this machine, under whichever name this machine goes now."""
        return self.boot == _boot() and _started_ticks(self.pid) == self.started_ticks


def this_process() -> Process:
    """The process that asks."""
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """The process that has this number now; one that does not run if there is none."""
    ticks = _started_ticks(pid)
    return Process(pid, 0, "") if ticks is None else Process(pid, ticks, _boot())


def _started_ticks(pid: int) -> int | None:
    """When a process began, ticks; None if there is none of this number, or only what is left of it (a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The second field is the program's name in brackets, in which anything may stand.
    state, *fields = text[text.rindex(")") + 1 :].split()
    return None if state in "ZX" else int(fields[18])


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
