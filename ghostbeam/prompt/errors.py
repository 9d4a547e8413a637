"""Errors that say what to do are printed in one line at the prompt; `%tb` shows the rest."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

from bluesky.utils import FailedStatus, RunEngineInterrupted
from ophyd.utils import errors as ophyd_errors

_OURS = {"analysis", "beamline", "ghostbeam", "plans", "profile_collection"}
_OPHYD = ophyd_errors.__name__


def told(error: BaseException) -> str | None:
    """An error in one line (or in the lines of its message), if that says all that a user needs; else None.

    Those are the project's own errors, what it refuses with Python's ValueError or LookupError, what ophyd says of a device, and
    bluesky's word that a plan is paused.
    """
    if isinstance(error, RunEngineInterrupted):
        return str(error).strip()
    if isinstance(error, FailedStatus) and error.__cause__ is not None:
        error = error.__cause__
    module = type(error).__module__
    refused = isinstance(error, (ValueError, LookupError)) and _raised_in(error.__traceback__) in _OURS
    if module.partition(".")[0] not in _OURS and module != _OPHYD and not refused:
        return None
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return f"{type(error).__name__}: {message}" if message else None


def tell_in_one_line(shell: Any) -> None:
    """Let this IPython shell print `told(error)` where there is one, and every other error as usual."""

    def show(
        shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
    ) -> list[str] | None:
        line = told(error)
        if line is None:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
            return None
        sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # for %tb
        lines = [line] if isinstance(error, RunEngineInterrupted) else [line, "(%tb shows where in the code)"]
        shell._showtraceback(kind, error, lines)
        return lines

    shell.set_custom_exc((Exception,), show)


_NOISE = {
    "Run aborted",  # with the traceback of an error that the RunEngine raises as well
    "No open traces left to close!",  # after each abort, of a telemetry that nobody has set up
}


class _NoNoise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in _NOISE


def keep_log_short(engine: Any) -> None:
    """Let the RunEngine's log leave out the errors that it raises as well."""
    engine.log.logger.addFilter(_NoNoise())


def _raised_in(trace: TracebackType | None) -> str:
    """The package in which an error was raised."""
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
