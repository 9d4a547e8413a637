"""The process of one reconstruction: forked from a server that has imported the required modules, and ended with the worker."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from analysis.documents.log import LogError
from analysis.worker.compute import THREAD_VARIABLES
from analysis.worker.job import Job, run_job


def start_fork_server(threads: int) -> Any:
    """A multiprocessing context whose server has imported the modules that a job needs, with the given number of threads."""
    context = multiprocessing.get_context("forkserver")
    # The command line's main module imports the scheduler and `status`, and every child imports them too.
    context.set_forkserver_preload(["analysis.worker.job_process", "analysis.worker.scheduler", "analysis.documents.status"])
    # The variables stay set: a server that dies is started again, and must have the same number of threads to give the same
    # bits.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    forkserver.ensure_running()
    return context


def run_in_process(job: Job, connection: Connection, lifeline: Connection, nice: int) -> None:
    """The main function of a job's process: report the progress to the worker, and finally the outcome.

    Parameters
    ----------
    job : Job
        The task.
    connection : Connection
        Connection to the worker.
    lifeline : Connection
        Its other end is open as long as the worker lives; the process ends with it.
    nice : int
        Niceness.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the worker ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_worker, args=(lifeline,), daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(nice)
    try:
        outcome, reason = run_job(job, connection.send)
        connection.send({"outcome": outcome, "reason": reason})
    except (LogError, OSError) as error:  # a full disk, or a surviving job of the last worker: a crash is something else
        connection.send({"error": str(error), "disk": True})
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        connection.send({"error": f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"})


def _die_with_worker(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()  # nothing is ever sent: it returns when the worker ends
    os._exit(1)


def exit_in_words(code: int | None) -> str:
    """The end of a process in words, from its exit code."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
