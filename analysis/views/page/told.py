"""What the page is told of runs, reconstructions and services, from the document log and the services' own words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from analysis.documents.log import LogReader, log_paths
from analysis.views.page.health import health
from analysis.views.page.reconstruction import Reconstruction
from analysis.views.page.scan import Scan

_LISTED = 20  # scans; their documents are small, their images stay in Tiled


class Told:
    """Follows both logs. Each call reads what is new, without arrays.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        paths = log_paths(state_dir)
        self._raw, self._processed = LogReader(paths.raw), LogReader(paths.processed)
        self._scans: dict[str, Scan] = {}
        self._reconstructions: dict[str, Reconstruction] = {}
        self._last_raw = self._last_processed = 0

    def state(self, chosen: str | None) -> dict[str, Any]:
        """Everything that the page shows beside the images.

        Parameters
        ----------
        chosen : str or None
            Uid of the run to show; by default, and where it isn't among the last ones, the one that runs, or ran last.
        """
        self._look_for_runs()
        for scan in self._scans.values():
            scan.follow(self._raw)
        shown = self._scans.get(chosen or "") or self._newest()
        for one in self._reconstructions.values():
            one.follow(self._processed, whole=shown is not None and one.raw_uid == shown.uid)
        return {
            "runs": [{**scan.summary(), "methods": self._methods(scan.uid)} for scan in reversed(self._scans.values())],
            "scan": None if shown is None else shown.told(time.time()),
            "reconstructions": [] if shown is None else [one.told() for one in self._of(shown.uid)],
            "health": health(self._state_dir),
        }

    def _look_for_runs(self) -> None:
        for info in self._raw.runs(after=self._last_raw)[-_LISTED:]:
            self._last_raw = info.first
            if info.start:
                self._scans[info.uid] = Scan(info)
        self._scans = dict(list(self._scans.items())[-_LISTED:])
        for info in self._processed.runs(after=self._last_processed):
            self._last_processed = info.first
            if "derived_from" in info.start:
                self._reconstructions[info.uid] = Reconstruction(info)
        self._reconstructions = {uid: one for uid, one in self._reconstructions.items() if one.raw_uid in self._scans}

    def _newest(self) -> Scan | None:
        """The scan that runs; else the last one that was reconstructed; else the last one."""
        scans = list(self._scans.values())
        running = [scan for scan in scans if scan.stop is None]
        reconstructed = [scan for scan in scans if self._of(scan.uid)]
        found = running or reconstructed or scans
        return found[-1] if found else None

    def _of(self, uid: str) -> list[Reconstruction]:
        return [one for one in self._reconstructions.values() if one.raw_uid == uid]

    def _methods(self, uid: str) -> list[dict[str, Any]]:
        return [{"method": one.method, "state": one.state} for one in self._of(uid)]
