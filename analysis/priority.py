"""Yielding the processor to what matters more."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def yield_session(niceness: int) -> None:
    """Make the session of this process as nice as that, if the process leads it; else it may be somebody's terminal.

    Where Linux shares the processor among sessions first, and then among the processes of each (`sched_autogroup_enabled`, the
    usual setting), the niceness of a process counts within its session alone.
    """
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(min(niceness, 19)))
