"""The last runs in a table: the measurement, how it ended, and its reconstructions. Reads only the document log."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from analysis.documents.log import LogReader, log_paths
from analysis.documents.log_reader import RunInfo
from analysis.views.table import table

RUNNING = "running"


@dataclass(frozen=True)
class LastRun:
    """One measured run.

    Attributes
    ----------
    uid : str
        Uid of the run.
    scan : str
        Its scan number; empty if it has none.
    plan, sample : str
        From the start document; empty if it names none.
    time : float
        Start time (s since the epoch).
    status : str
        "running", or the exit status of the stop document, with the reason if it did not succeed.
    methods : list of str
        Methods of its reconstructions, oldest first, with "failed" or "running" if applicable.
    """

    uid: str
    scan: str
    plan: str
    sample: str
    time: float
    status: str
    methods: list[str]


def last_runs(state_dir: Path | str, most: int) -> list[LastRun]:
    """The last runs that were measured or ingested with this state directory, newest first.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    most : int
        Maximum number of runs.
    """
    paths = log_paths(state_dir)
    with closing(LogReader(paths.raw)) as raw, closing(LogReader(paths.processed)) as processed:
        chosen = raw.runs()[-most:][::-1]
        wanted = {run.uid for run in chosen}
        methods: dict[str, list[str]] = {uid: [] for uid in wanted}
        for derived in processed.runs():
            if (uid := derived.start.get("derived_from")) in wanted:
                status = exit_status(processed, derived.uid)[0]
                remark = "" if status == "success" else f" ({'failed' if status == 'fail' else status})"
                methods[uid].append(f"{derived.start.get('method')}{remark}")
        return [_run(raw, run, methods[run.uid]) for run in chosen]


def runs_table(state_dir: Path | str, most: int = 10) -> str:
    """The last runs as text, newest first."""
    runs = last_runs(state_dir, most)
    if not runs:
        return "no runs yet"
    rows = [("run", "scan", "plan", "sample", "began", "exit status", "reconstructions")]
    for run in runs:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.time))
        rows.append((run.uid[:8], run.scan, run.plan, run.sample[:24], began, run.status, ", ".join(run.methods)))
    return "\n".join(table(rows))


def exit_status(reader: LogReader, uid: str) -> tuple[str, str]:
    """How a run ended ("success", "abort", "fail"), and why; or "running"."""
    record = reader.stop(uid)
    if record is None:
        return RUNNING, ""
    if record.damage is not None:
        return "unknown", record.damage
    return str(record.doc.get("exit_status", "unknown")), str(record.doc.get("reason") or "")


def _run(reader: LogReader, run: RunInfo, methods: list[str]) -> LastRun:
    status, reason = exit_status(reader, run.uid)
    first = reason.strip().partition("\n")[0]
    status += f": {first[:60]}" if first and status != "success" else ""
    start = run.start
    scan, plan, sample = (str(start.get(key) or "") for key in ("scan_id", "plan_name", "sample"))
    return LastRun(run.uid, scan, plan, sample, float(start.get("time") or 0.0), status, methods)
