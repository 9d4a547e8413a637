"""What a demo shows while it scans and reconstructs: a bar, and a line for each reconstruction."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live as Display
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from analysis.documents.log import LogReader, log_paths
from analysis.views.live import Live
from analysis.views.live_run import LiveRun, figure_text, quality_headings
from ghostbeam.control import ServiceError
from ghostbeam.demo.demonstration import Demonstration

_REFRESH_S = 0.25
_RECONSTRUCTED_S = 300.0


@contextmanager
def shown_scan(state_dir: Path, demo: Demonstration, total: int, console: Console) -> Iterator[None]:
    """Show how a scan gets on while the body runs it."""
    done = threading.Event()
    shown = threading.Thread(target=_show_scan, args=(state_dir, demo, total, done, console), daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def wait_for_reconstructions(state_dir: Path, uid: str, demo: Demonstration, console: Console) -> list[LiveRun]:
    """Show how the reconstructions of a scan get on until all have ended, and return them in the order of the methods.

    Raises
    ------
    ServiceError
        If one fails, or they take too long.
    """
    live = Live(state_dir)
    deadline = time.monotonic() + _RECONSTRUCTED_S
    progress = _progress()
    task = progress.add_task("finishing the reconstructions", total=len(demo.methods))
    with Display(progress, console=console, refresh_per_second=8) as display:
        while time.monotonic() < deadline:
            runs = [run for run in live.runs() if run.raw_uid == uid]
            ended = [run for run in runs if run.stop is not None]
            progress.update(task, completed=len(ended))
            display.update(_panel(progress, runs))
            if len(ended) == len(demo.methods):
                for run in ended:
                    if run.state == "failed":
                        raise ServiceError(f"the reconstruction {run.method} failed: {run.stop['reason'] if run.stop else ''}")
                break
            time.sleep(_REFRESH_S)
        else:
            log = state_dir / "services" / "worker.log"
            raise ServiceError(f"the reconstructions did not end within {_RECONSTRUCTED_S:.0f} s; see {log}")
    console.print()
    return sorted(ended, key=lambda run: demo.methods.index(run.method))


def _show_scan(state_dir: Path, demo: Demonstration, total: int, done: threading.Event, console: Console) -> None:
    reader, live = LogReader(log_paths(state_dir).raw), Live(state_dir)
    position, count = reader.last_position(), 0
    before = {run.uid for run in live.runs()}
    progress = _progress()
    task = progress.add_task(demo.rows, total=total)
    with Display(progress, console=console, refresh_per_second=8) as display:
        while True:
            last = done.wait(_REFRESH_S)
            for record in reader.read(position, limit=10_000):
                position = record.position
                count += demo.rows_in(record.name, record.doc)
            progress.update(task, completed=count)
            display.update(_panel(progress, [run for run in live.runs() if run.uid not in before]))
            if last:
                break
    console.print()


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def _panel(progress: Progress, runs: list[LiveRun]) -> Table:
    grid = Table.grid()
    grid.add_row(progress)
    if runs:
        headings = quality_headings(runs)
        table = Table("method", "state", runs[0].rows, *headings.values(), box=None, pad_edge=False)
        for run in runs:
            table.add_row(run.method, run.state, str(run.used), *(figure_text(run.figures.get(key)) for key in headings))
        grid.add_row(table)
    return grid
