"""The latency from a bucket reading to an image in Tiled during a scan of 64x64 pixels.

It uses the whole chain (soft IOC, RunEngine, document log, worker, archiver, Tiled), two fast methods, and a scan whose moves
and exposures are ten times as fast as in reality. Another process follows the images by Tiled's websocket. The latency is
measured for every realization from the 64th on, from its event's time to the first image that includes it; the figures are
those of the slower method. It is also given in units of the time of one append to Tiled just before and after the scan.
"""

from __future__ import annotations

import statistics
from typing import Any

from analysis.documents.log import LogReader
from benchmarks._append_time import append_ms
from benchmarks._common import Claim, add_speed, arguments_parser, percentile, report
from benchmarks._image_watcher import ImageWatcher
from benchmarks._services import Services
from benchmarks._session import SessionProcess

CLAIMS = (
    Claim("p95_appends", "appends to Tiled from a bucket read to an image that includes it, p95", at_most=40),
    Claim("p95_ms", "ms from a bucket read to an image that includes it, p95"),
    Claim("first_image_s", "s from the 64th realization to the first image"),
)
METHODS = ("differential", "tv")
FIRST = 64
EXPOSURE_S = 0.1


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    add_speed(parser)
    arguments = parser.parse_args()
    num = 200 if arguments.quick else 1024
    with Services(methods=METHODS, seed=arguments.seed, speed=arguments.speed) as services:
        services.start("repeater", "simulation", "tiled", "archiver", "worker")
        with services.catalog() as catalog:
            appends = [append_ms(catalog)]
            scan, seen = scan_and_watch(services, num)
            appends.append(append_ms(catalog))
        measured = {
            record.doc["seq_num"]: record.doc["time"]
            for record in LogReader(services.logs.raw).documents(scan["uid"])
            if record.name == "event" and "mask_stage_index" in record.doc["data"]
        }
        processed = LogReader(services.logs.processed)
        derived = {run.start["method"]: list(processed.documents(run.uid)) for run in processed.runs()}
    figures = dict.fromkeys((claim.key for claim in CLAIMS), 0.0)
    details = [f"{num} realizations at {num / scan['seconds']:.0f}/s"]
    for method, records in derived.items():
        events = [record for record in records if record.name == "event"]
        images = [(at, last) for uid, at, last in seen if uid == records[0].run]
        latency = latencies(measured, images)
        logged = latencies(measured, [(record.logged_at, record.doc["data"]["number_last"]) for record in events])
        first = images[0][0] - measured[FIRST]
        computing = 1e3 * statistics.median(record.doc["data"]["elapsed_s"] for record in events)
        details += [
            f"{method}: {len(images)} images; {_summary(latency)}; first image after {first:.2f} s",
            f"  of that until it was in the document log {_summary(logged)}; computing {computing:.0f} ms",
        ]
        figures["p95_ms"] = max(figures["p95_ms"], percentile(latency, 0.95))
        figures["first_image_s"] = max(figures["first_image_s"], first)
    figures["p95_appends"] = figures["p95_ms"] / statistics.mean(appends)
    details.append(f"one append to Tiled before the scan {appends[0]:.0f} ms, after it {appends[1]:.0f} ms (medians)")
    report(CLAIMS, figures, details, arguments.json)


def scan_and_watch(services: Services, num: int) -> tuple[dict[str, Any], list[tuple[str, float, int]]]:
    """Scan, and return the session's answer and the observations of `benchmarks._image_watcher`."""
    watcher = ImageWatcher(services.uri, services.key, len(METHODS))
    session = SessionProcess(services.config_file)
    try:
        watcher.wait_until_ready()
        scan = session.scan(num=num, exposure=EXPOSURE_S, logged=True)
        seen = watcher.result()
    finally:
        session.kill()
        watcher.kill()
    return scan, seen


def latencies(measured: dict[int, float], images: list[tuple[float, int]]) -> list[float]:
    """Latency of each realization from the 64th on (ms).

    Parameters
    ----------
    measured : dict
        Time at which each realization was read (s since the epoch), by sequence number.
    images : list of (float, int)
        Time at which an image arrived (s since the epoch), and the last realization in it.
    """
    return [
        1e3 * (min(at for at, last in images if last >= seq_num) - time) for seq_num, time in measured.items() if seq_num >= FIRST
    ]


def _summary(latency_ms: list[float]) -> str:
    middle, late = percentile(latency_ms, 0.5), percentile(latency_ms, 0.95)
    return f"median {middle:.0f} ms, p95 {late:.0f} ms, longest {max(latency_ms):.0f} ms"


if __name__ == "__main__":
    main()
