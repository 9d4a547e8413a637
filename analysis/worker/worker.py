"""The reconstruction worker: follows the document log and reconstructs every run of a known technique while it is measured.

Run it as `python -m analysis.worker.worker --state-dir DIR`. It may be killed at any moment; started again, it continues from
the log.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

from analysis.documents.private import private_folder
from analysis.documents.recipe import Recipe
from analysis.documents.status import StatusFile, StopRequest, read_status
from analysis.techniques import TECHNIQUES, unknown_methods
from analysis.worker.scheduler import LONGEST_S, Scheduler

POLL_S = 0.03
_METHODS = ", ".join(method for technique in TECHNIQUES.values() for method in technique.methods)


class WorkerBusy(RuntimeError):
    """Another worker serves this state directory."""


def work(
    state_dir: Path,
    recipes: list[Recipe],
    *,
    slow_at_once: int = 1,
    threads: int = 1,
    longest_s: float = LONGEST_S,
    until_idle: bool = False,
) -> None:
    """Reconstruct until asked to stop (SIGTERM, SIGINT). Call it in the main thread.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the references.
    recipes : list of Recipe
        Recipes for runs that list none in their start document.
    slow_at_once : int
        Number of reconstructions by slow methods that may run at a time.
    threads : int
        Threads of the numerical libraries in each process.
    longest_s : float
        Maximum time for one estimate (s).
    until_idle : bool
        Return when nothing is left to do.

    Raises
    ------
    WorkerBusy
        If another worker serves this state directory.
    """
    lock_path = private_folder(state_dir / "services") / "worker.lock"
    with open(lock_path, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = (read_status(state_dir, "worker") or {}).get("pid", "unknown")
            raise WorkerBusy(
                f"another worker (process {other}) serves {state_dir}: stop it first, or choose another --state-dir"
            ) from error
        stop = StopRequest()
        _use_temporary_folder(state_dir)
        status = StatusFile(state_dir, "worker")
        scheduler = Scheduler(state_dir, recipes, slow_at_once=slow_at_once, threads=threads, longest_s=longest_s)
        try:
            while not stop:
                scheduler.step(POLL_S)
                figures = scheduler.status()
                status.write({"state": "running", **figures})
                if until_idle and not figures["jobs"] and not figures["queued"]:
                    break
        finally:
            scheduler.close()
            status.write({"state": "stopped", **scheduler.status(), "jobs": []}, every_s=0)


def _use_temporary_folder(state_dir: Path) -> None:
    """Make the folder for temporary files of this worker and its jobs, without the remains of a killed worker.

    It is not below the state directory, whose path may be too long for a socket. It is removed when this process ends.
    """
    identity = hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:16]
    prefix = f"ghostbeam-worker-{identity}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=prefix)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    # After multiprocessing has removed its own files in this folder (priority -100), which would fail otherwise.
    Finalize(None, shutil.rmtree, args=[folder], kwargs={"ignore_errors": True}, exitpriority=-200)


def main() -> None:
    """Follow the log until asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m analysis.worker.worker", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="the state directory, with the document log and the references"
    )
    parser.add_argument(
        "--recipes",
        type=_recipes,
        default='["differential", "tv"]',
        help='what to make of runs that list no recipes: a JSON list of methods or of {"method": ..., "options": {...}}, '
        f"as in a start document; methods: {_METHODS} (default: %(default)s)",
    )
    parser.add_argument("--threads", type=_from_one, default=1, help="threads of the numerical libraries in each reconstruction")
    parser.add_argument(
        "--slow-at-once", type=_from_one, default=1, help="reconstructions by slow methods that may run at a time"
    )
    parser.add_argument(
        "--longest-s",
        type=float,
        default=LONGEST_S,
        help="how long one estimate may take (s); a reconstruction that needs longer is ended (default: %(default)g)",
    )
    parser.add_argument("--until-idle", action="store_true", help="end when nothing is left to reconstruct")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        work(
            arguments.state_dir,
            arguments.recipes,
            slow_at_once=arguments.slow_at_once,
            threads=arguments.threads,
            longest_s=arguments.longest_s,
            until_idle=arguments.until_idle,
        )
    except WorkerBusy as error:
        parser.exit(1, f"{error}\n")


def _recipes(text: str) -> list[Recipe]:
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    recipes = [Recipe.parse(entry) for entry in entries] if isinstance(entries, list) else []
    unknown = unknown_methods(recipe.method for recipe in recipes)
    if unknown or not recipes:
        raise argparse.ArgumentTypeError(f"unknown method {', '.join(unknown) or text!r}; the methods are {_METHODS}")
    return recipes


def _from_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()
