"""The latency of denoised pairs in Tiled during a series of 24 pairs per second of 256x256 pixels.

The simulated camera writes its file, a session takes the series, and worker, archiver and Tiled are the real ones, on two
cores. A Gaussian filter and a network trained on the first pair denoise every pair. The latency is measured for each pair
from the time of exposure in its file until its denoised image can be read from Tiled. The network starts later because of its
training.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import h5py
import hdf5plugin  # noqa: F401 - the filter that frames are compressed with
import numpy as np

from analysis.archive.catalog import Catalog
from analysis.documents.log import LogReader, RunState
from analysis.documents.recipe import Recipe, derived_uid
from benchmarks._common import Claim, arguments_parser, percentile, report
from benchmarks._services import Services, wait_until
from benchmarks._session import SessionProcess
from sims.frame_writer import EPOCH_1990_S, NUMBERS, TIMES

CLAIMS = (
    Claim("lost", "frames that are not in Tiled, and pairs that were not denoised by either method", exactly=0),
    Claim("lag_s", "s from a pair to its denoised image in Tiled while the series is taken, by the Gaussian, p95"),
    Claim("network_lag_s", "s from the end of the series until all pairs that the network denoised are in Tiled"),
)
RATE_HZ = 24.0
FILTER = Recipe("gaussian")
_POLL_S = 0.5
_ENDED_S = 600.0


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    arguments = parser.parse_args()
    num, side = (96, 64) if arguments.quick else (1440, 256)
    network = Recipe("pair_network", {"steps": 50 if arguments.quick else 400})
    with Services(seed=arguments.seed, speed=1.0, sensor=(side, 2 * side)) as services:
        services.start("simulation", "tiled", "archiver", "worker")
        session = SessionProcess(services.config_file)
        try:
            session.order(pairs=num, rate_hz=RATE_HZ, recipes=[FILTER.to_doc(), network.to_doc()])
            raw, processed = LogReader(services.logs.raw), LogReader(services.logs.processed)
            wait_until(lambda: bool(raw.runs()), 60, "the series")
            uid = raw.runs()[0].uid
            seen: dict[str, list[tuple[float, int]]] = {FILTER.method: [], network.method: []}
            derived = {recipe.method: derived_uid(uid, recipe) for recipe in (FILTER, network)}
            with services.catalog() as catalog:
                deadline = time.monotonic() + _ENDED_S
                series = {method: _Series(catalog, one) for method, one in derived.items()}
                while time.monotonic() < deadline:
                    finished = all(processed.state(one) is RunState.ENDED for one in derived.values())
                    for method, denoised in series.items():
                        seen[method].append((time.time(), denoised.count()))
                    if finished and all(counts[-1][1] >= num for counts in seen.values()):
                        break
                    time.sleep(_POLL_S)
                answer = session.answer()
                stored = catalog.raw[uid]["frames"].base["dual_camera_number"].shape[0]
        finally:
            session.kill()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        numbers, times = _taken(raw, uid)
    lags = {method: _lags(numbers, times, counts) for method, counts in seen.items()}
    missing = {method: num - max(count for _, count in counts) for method, counts in seen.items()}
    live = np.array(lags[FILTER.method])
    figures = {
        "lost": float(num - len(numbers) + num - stored + sum(missing.values())),
        "lag_s": percentile(live.tolist(), 0.95),
        "network_lag_s": max(0.0, _complete(seen[network.method], num) - times[-1]),
    }
    during = {method: max((count for at, count in counts if at <= times[-1]), default=0) for method, counts in seen.items()}
    details = [
        f"{num} pairs of {side}x{side} pixels at {RATE_HZ:g}/s; taken in {times[-1] - times[0]:.1f} s",
        *(f"{method}: {count} pairs in Tiled before the last one was taken" for method, count in during.items()),
        *(
            f"{method}: median {percentile(lag, 0.5):.1f} s behind, longest {max(lag):.1f} s; {missing[method]} missing"
            for method, lag in lags.items()
        ),
    ]
    report(CLAIMS, figures, details, arguments.json)


class _Series:
    """The denoised pairs of a reconstruction in Tiled; each access is one request."""

    def __init__(self, catalog: Catalog, uid: str) -> None:
        self._catalog, self._uid = catalog, uid
        self._stream: Any = None

    def count(self) -> int:
        """Number of pairs; 0 before Tiled knows the run."""
        try:
            if self._stream is None:
                self._stream = self._catalog.processed[self._uid]["series"].base
            return int(self._stream["row_number"].shape[0])
        except KeyError:
            return 0


def _taken(raw: LogReader, uid: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the frames in the camera's file, and their times (s since 1970)."""
    resources: list[dict[str, Any]] = [record.doc for record in raw.documents(uid) if record.name == "stream_resource"]
    path = Path(unquote(urlparse(resources[0]["uri"]).path))
    with h5py.File(path, swmr=True) as file:
        return file[NUMBERS][:], file[TIMES][:] + EPOCH_1990_S


def _lags(numbers: np.ndarray, times: np.ndarray, counts: list[tuple[float, int]]) -> list[float]:
    """Time (s) of each pair from its frame to the first access at which that many denoised pairs were in Tiled."""
    came = np.full(len(numbers), np.inf)
    for at, count in counts:
        came[:count] = np.minimum(came[:count], at)
    lags: list[float] = (came - times).tolist()
    return lags


def _complete(counts: list[tuple[float, int]], num: int) -> float:
    """Time at which all were there (s since 1970); infinite if they never were."""
    return next((at for at, count in counts if count >= num), float("inf"))


if __name__ == "__main__":
    main()
