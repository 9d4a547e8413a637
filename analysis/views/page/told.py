"""What the page shows of runs, reconstructions and services, from the document log and the services' reports."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from analysis.documents.log import LogReader, log_paths
from analysis.documents.log_reader import RunInfo
from analysis.documents.status import doubts_so_far, read_status
from analysis.views.page.health import health
from analysis.views.page.reconstruction import Reconstruction
from analysis.views.page.scan import Scan
from analysis.views.signal import FirstRows

_LISTED = 20  # scans; their documents are small, their images stay in Tiled
_STATE_S = 0.5
_OLDER = 60  # older scans that a user has opened


class Told:
    """Follows both logs. Each call reads the new documents, without arrays.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        paths = log_paths(state_dir)
        self._raw, self._processed = LogReader(paths.raw), LogReader(paths.processed)
        self._first_rows = FirstRows(self._raw)
        self._scans: dict[str, Scan] = {}
        self._older: dict[str, Scan] = {}
        self._reconstructions: dict[str, Reconstruction] = {}
        self._last_raw = self._last_processed = 0
        self._states: dict[str | None, tuple[float, bytes]] = {}

    def state_json(self, chosen: str | None) -> bytes:
        """The state as JSON, renewed after half a second: several browsers share it."""
        made, content = self._states.get(chosen, (-math.inf, b""))
        if time.monotonic() - made > _STATE_S:
            content = orjson.dumps(self.state(chosen), default=str)
            self._states = {run: state for run, state in self._states.items() if time.monotonic() - state[0] <= _STATE_S}
            self._states[chosen] = (time.monotonic(), content)
        return content

    def state(self, chosen: str | None) -> dict[str, Any]:
        """Everything that the page shows besides the images.

        Parameters
        ----------
        chosen : str or None
            Uid of the run to show; by default, and if there is no such run, the running or last one.
        """
        self._look_for_runs()
        if chosen is not None and chosen not in self._scans and chosen not in self._older:
            self._look_back(info for info in self._raw.runs() if info.uid == chosen)
        for scan in self._scans.values():
            scan.follow(self._raw)
        shown = self._scans.get(chosen or "") or self._older.get(chosen or "") or self._newest()
        for one in self._reconstructions.values():
            one.follow(self._processed, whole=shown is not None and one.raw_uid == shown.uid)
        doubts = doubts_so_far(self._state_dir)
        return {
            "runs": self._summaries(self._scans.values()),
            "scan": None if shown is None else self._told(shown),
            "reconstructions": [] if shown is None else [one.told(doubts.get(one.uid, ())) for one in self._of(shown.uid)],
            "health": health(self._state_dir),
        }

    def newest(self, run: str) -> bytes:
        """The arrays of the newest estimate of a reconstruction, as MessagePack: {count, arrays: {name: {type, shape, data}}}.

        Raises
        ------
        LookupError
            If there is none, or if the page shows no such reconstruction.
        """
        if run not in self._reconstructions:
            raise LookupError(f"the page shows no reconstruction {run}")
        return self._reconstructions[run].newest_arrays(self._processed)

    def older(self, before: str) -> list[dict[str, Any]]:
        """Summaries of the runs before one, newest first; empty if there are none.

        Parameters
        ----------
        before : str
            Uid of that run.
        """
        infos = [info for info in self._raw.runs() if info.start]
        place = next((number for number, info in enumerate(infos) if info.uid == before), 0)
        page = infos[max(0, place - _LISTED) : place]
        self._look_back(page)
        for one in self._reconstructions.values():
            one.follow(self._processed, whole=False)
        return self._summaries(self._older[info.uid] for info in page if info.uid in self._older)

    def _told(self, scan: Scan) -> dict[str, Any]:
        doubt = self._first_rows.doubt(scan.uid)
        return scan.told(time.time(), read_status(self._state_dir, "session"), doubt)

    def _summaries(self, scans: Iterable[Scan]) -> list[dict[str, Any]]:
        return [{**scan.summary(), "methods": self._methods(scan.uid)} for scan in reversed(list(scans))]

    def _look_for_runs(self) -> None:
        for info in self._raw.runs(after=self._last_raw)[-_LISTED:]:
            self._last_raw = info.first
            if info.start:
                self._scans[info.uid] = Scan(info)
        self._scans = dict(list(self._scans.items())[-_LISTED:])
        self._add_reconstructions(self._processed.runs(after=self._last_processed))
        known = {*self._scans, *self._older}
        self._reconstructions = {uid: one for uid, one in self._reconstructions.items() if one.raw_uid in known}

    def _look_back(self, infos: Iterable[RunInfo]) -> None:
        """Read runs that are not among the last ones, with their reconstructions."""
        found = {info.uid: Scan(info) for info in infos if info.start}
        for scan in found.values():
            scan.follow(self._raw)
        self._older = dict(list({**self._older, **found}.items())[-_OLDER:])
        self._add_reconstructions(info for info in self._processed.runs() if info.start.get("derived_from") in found)

    def _add_reconstructions(self, infos: Iterable[RunInfo]) -> None:
        for info in infos:
            self._last_processed = max(self._last_processed, info.first)
            if "derived_from" in info.start and info.uid not in self._reconstructions:
                self._reconstructions[info.uid] = Reconstruction(info)

    def _newest(self) -> Scan | None:
        """The running scan; else the last one that was reconstructed; else the last one."""
        scans = list(self._scans.values())
        running = [scan for scan in scans if scan.stop is None]
        reconstructed = [scan for scan in scans if self._of(scan.uid)]
        found = running or reconstructed or scans
        return found[-1] if found else None

    def _of(self, uid: str) -> list[Reconstruction]:
        return [one for one in self._reconstructions.values() if one.raw_uid == uid]

    def _methods(self, uid: str) -> list[dict[str, Any]]:
        return [{"method": one.method, "state": one.state} for one in self._of(uid)]
