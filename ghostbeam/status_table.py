"""What `ghostbeam status` shows."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from rich.markup import escape
from rich.table import Table

from analysis.archive.server_settings import is_healthy
from analysis.documents.log import LogReader, log_paths
from analysis.documents.status import read_status, service_state
from beamline.config import GhostbeamConfig
from ghostbeam.control import supervisor_status
from ghostbeam.services import tiled_uri

_NOT_COUNTERS = {
    "pid",
    "started_ticks",
    "boot",
    "running_s",
    "time",
    "healthy",
    "problem",
    "lag_documents",
    "given_up",
    "not_as_logged",
    "state",
    "last_error",
}


def service_states(config: GhostbeamConfig) -> tuple[list[dict[str, Any]], bool]:
    """How each service is, and whether all is well.

    Returns
    -------
    list of dict
        Of each service: its name (`service`), `state`, whether that is `well`, `pid`, `starts`, `lag_documents` behind the log,
        and its `remark`. Empty if no services run.
    bool
    """
    supervisor = supervisor_status(config.state_dir)
    if supervisor is None:
        return [], False
    states = []
    for name, figures in supervisor["services"].items():
        said = read_status(config.state_dir, name) or {}
        state, remark = figures["state"], figures["last_words"]
        if state == "running":
            remark = _remark(said)
            if said:
                state = service_state(said)
            elif name == "tiled" and not is_healthy(tiled_uri(config)):
                state, remark = "no answer", f"{tiled_uri(config)} does not answer"
        told = {"service": name, "state": state, "well": state in ("running", "elsewhere"), "pid": figures["pid"]}
        states.append({**told, "starts": figures["restarts"] + 1, "lag_documents": said.get("lag_documents"), "remark": remark})
    return states, all(state["well"] for state in states)


def status_table(config: GhostbeamConfig, states: list[dict[str, Any]]) -> Table:
    """A table of the services, and of the document log."""
    table = Table(title=f"ghostbeam services of {config.state_dir}", title_justify="left")
    for heading in ("service", "state", "pid", "starts", "lag", "what it says"):
        table.add_column(heading, overflow="fold")
    if not states:
        table.add_row("all", "[red]down[/red]", "", "", "", "start them with `ghostbeam up`")
        return table
    for one in states:
        colour = "green" if one["well"] else "red"
        lag = "" if one["lag_documents"] is None else f"{one['lag_documents']} documents"
        state = f"[{colour}]{one['state']}[/{colour}]"
        table.add_row(one["service"], state, str(one["pid"] or ""), str(one["starts"]), lag, escape(one["remark"]))
    paths = log_paths(config.state_dir)
    for label, path in (("raw", paths.raw), ("processed", paths.processed)):
        with closing(LogReader(path)) as reader:
            runs = reader.runs()
        open_runs = sum(run.stop is None for run in runs)
        table.add_row(f"log {label}", "", "", "", "", f"{len(runs)} runs, {open_runs} open, {_size(path)}")
    return table


def _remark(said: dict[str, Any]) -> str:
    if said.get("problem"):
        return str(said["problem"])
    parts = []
    for key, value in said.items():
        if key == "counters":
            parts += [f"{count} {name}" for name, count in value.items()]
        elif key == "jobs":
            parts += [f"{job['method']} of {job['run'][:8]} at {job['used']}" for job in value]
            doubted = {(job["run"], doubt): None for job in value for doubt in job.get("doubts") or ()}
            parts += [f"ATTENTION, {run[:8]}: {doubt}" for run, doubt in doubted]
        elif key not in _NOT_COUNTERS:
            parts.append(f"{value} {key.replace('_', ' ')}")
    if said.get("last_error"):
        parts.append(f"last error: {said['last_error']}")
    for uid, lost in (said.get("not_as_logged") or {}).items():
        place, what = next(iter(lost.items()))
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        parts.append(f"{uid[:8]} is in Tiled, but not as logged: {place} {what}{more}")
    for uid, problem in (said.get("given_up") or {}).items():
        parts.append(f"gave up {uid[:8]}: {problem} (try again with `ghostbeam recover`)")
    return ", ".join(parts)


def _size(path: Any) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "no file yet"
