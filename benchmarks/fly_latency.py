"""The latency from a frame to a map in Tiled during a fly scan of 192x192 pixels at 2 kHz, and the memory of a long scan.

Frames are written and announced as by the simulated detector's writer and a session; worker, archiver and Tiled are the real
ones, and another process follows the maps by Tiled's websocket. The latency is measured for every frame from the 64th on,
from its trigger to the first map that includes it, in units of the time of one append to Tiled in the same run. Then a scan
ten times as long shows whether the memory grows with its length.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import uuid
from typing import Any

import numpy as np
import psutil

from analysis.documents.log import LogReader, RunState
from analysis.documents.recipe import Recipe, derived_uid
from analysis.documents.status import read_status
from benchmarks._append_time import append_ms
from benchmarks._common import Claim, arguments_parser, percentile, report
from benchmarks._image_watcher import ImageWatcher
from benchmarks._services import Services, wait_until
from ghostbeam.reprocess import wait_until_archived

CLAIMS = (
    Claim("lost", "frames lost or unpaired", exactly=0),
    Claim("p95_appends", "appends to Tiled from a frame's trigger to a map that includes it, p95", at_most=20),
    Claim("p95_ms", "ms from a frame's trigger to a map that includes it, p95"),
    Claim("memory_growth", "memory of worker and archiver at ten times as many frames, the one that grows more", at_most=1.2),
)
RATE_HZ = 2000.0
LINES = 100
FIRST = 64


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    arguments = parser.parse_args()
    short = 4000 if arguments.quick else 20_000
    with Services(seed=arguments.seed) as services:
        services.start("tiled", "archiver", "worker")
        with services.catalog() as catalog:
            appends = [append_ms(catalog)]
            began, seen, first_peak, lost, uid = scan(services, short)
            settled = not wait_until_archived(services.state_dir, [uid], seconds=180)
            appends.append(append_ms(catalog))
            counted = catalog.raw[uid]["frames"].base["pixel_detector_number"].shape[0] if settled else 0
        _, _, second_peak, more_lost, _ = scan(services, 10 * short, watched=False)
    latency = latencies(began, short, seen)
    unit = statistics.mean(appends)
    figures = {
        "lost": float(lost + more_lost + abs(short - counted)),
        "p95_appends": percentile(latency, 0.95) / unit,
        "p95_ms": percentile(latency, 0.95),
        "memory_growth": max(second_peak[name] / first_peak[name] for name in first_peak),
    }
    details = [
        f"{short} frames at {RATE_HZ:g}/s: {len(seen)} maps",
        f"median {percentile(latency, 0.5):.0f} ms, longest {max(latency):.0f} ms",
        f"one append to Tiled before the scan {appends[0]:.0f} ms, after it {appends[1]:.0f} ms (medians)",
        *(f"{name}: {first_peak[name]:.0f} MB, with ten times as many frames {second_peak[name]:.0f} MB" for name in first_peak),
    ]
    report(CLAIMS, figures, details, arguments.json)


def scan(
    services: Services, num: int, *, watched: bool = True
) -> tuple[float, list[tuple[float, int]], dict[str, float], int, str]:
    """One scan: the time of its first trigger, the maps received, memory (MB) at its end, lost frames, and its uid."""
    uid = str(uuid.uuid4())
    watcher = ImageWatcher(services.uri, services.key, 1, image="counts") if watched else None
    if watcher is not None:
        watcher.wait_until_ready()
    arguments = [str(services.state_dir), uid, str(LINES), str(num // LINES), str(RATE_HZ)]
    source = subprocess.Popen([sys.executable, "-m", "benchmarks._fly_source", *arguments], stdout=subprocess.PIPE, text=True)
    assert source.stdout is not None
    began = float(source.stdout.readline())
    memory: dict[str, float] = {}
    while source.poll() is None:
        memory |= {name: max(megabytes, memory.get(name, 0.0)) for name, megabytes in _memory(services).items()}
        time.sleep(0.5)
    if source.returncode:
        raise RuntimeError(f"the source of frames ended with code {source.returncode}: see above")
    derived = derived_uid(uid, Recipe("sums"))
    processed = LogReader(services.logs.processed)
    wait_until(lambda: processed.state(derived) is RunState.ENDED, 300, "the maps of all frames")
    seen = [(at, last) for _, at, last in watcher.result()] if watcher is not None else []
    stop: dict[str, Any] = [record.doc for record in processed.documents(derived, arrays=False) if record.name == "stop"][-1]
    return began, seen, memory, num - int(stop["ledger"]["used"]), uid


def _memory(services: Services) -> dict[str, float]:
    """Resident memory of the archiver and of the reconstruction, MB."""
    pids = {"archiver": (read_status(services.state_dir, "archiver") or {}).get("pid")}
    jobs = (read_status(services.state_dir, "worker") or {}).get("jobs") or []
    if jobs:
        pids["worker"] = jobs[0]["pid"]
    found = {}
    for name, pid in pids.items():
        try:
            found[name] = psutil.Process(pid).memory_info().rss / 1e6
        except psutil.Error:
            continue
    return found


def latencies(began: float, num: int, maps: list[tuple[float, int]]) -> list[float]:
    """Latency of each frame from the 64th on (ms), with triggers at a steady rate from `began` (s since 1970)."""
    numbers = np.arange(FIRST, num + 1)
    came = np.full(len(numbers), np.inf)
    for at, last in maps:
        known = numbers <= last
        came[known] = np.minimum(came[known], at)
    latency: list[float] = (1e3 * (came - (began + numbers / RATE_HZ))).tolist()
    return latency


if __name__ == "__main__":
    main()
