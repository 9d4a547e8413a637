"""Which process wrote something, and whether it still runs: by the kernel's counters, which do not depend on the clock.

The number of a process is reused after it has ended. Together with its start time, in ticks since the machine was booted, and
the identity that the kernel draws at each boot, it is unique. (psutil's `create_time` adds the time of the last boot, which
changes whenever the clock is set.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process during one boot of one machine.

    Attributes
    ----------
    pid : int
        Its number.
    started_ticks : int
        Its start time: clock ticks since the machine was booted (field 22 of /proc/PID/stat).
    boot : str
        The kernel's identity of that boot.
    """

    pid: int
    started_ticks: int
    boot: str

    @property
    def is_running(self) -> bool:
        """Whether it runs on this machine, whatever the machine's name is now."""
        return self.boot == _boot() and _started_ticks(self.pid) == self.started_ticks


def this_process() -> Process:
    """The calling process."""
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """The process that has this number now; if there is none, a process that does not run."""
    ticks = _started_ticks(pid)
    return Process(pid, 0, "") if ticks is None else Process(pid, ticks, _boot())


def _started_ticks(pid: int) -> int | None:
    """The start time of a process in ticks; None if there is no such process, or only a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The second field is the program's name in brackets, which may contain any characters.
    state, *fields = text[text.rindex(")") + 1 :].split()
    return None if state in "ZX" else int(fields[18])


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
