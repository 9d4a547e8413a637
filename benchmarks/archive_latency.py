"""The latency from a bucket reading to its row in Tiled, at 200 events per second, with five readers.

It is measured from the reading (the event's time) until the row has reached another process: one that subscribes to Tiled's
websocket, and one that polls every 150 ms. When the run has ended it is read back, and missing or duplicated rows are
counted. The subscriber's latency is also given in units of the time of one append to Tiled just before and after the run,
while the five readers are reading.
"""

from __future__ import annotations

import statistics
import uuid

from analysis.documents.log import LogWriter
from analysis.documents.status import read_status
from beamline.plates import make_plate
from benchmarks._append_time import append_ms
from benchmarks._common import Claim, arguments_parser, percentile, report
from benchmarks._documents import ghost_scan_documents, paced
from benchmarks._services import Services
from benchmarks._watcher import Watcher
from ghostbeam.reprocess import wait_until_archived

CLAIMS = (
    Claim("p95_appends", "appends to Tiled from a read to its row at a subscriber, p95", at_most=20),
    Claim("p95_ms", "ms from a read to its row at a subscriber, p95"),
    Claim("p95_polled_ms", "ms from a read to its row at one that polls, p95"),
    Claim("lost", "rows lost", exactly=0),
    Claim("duplicated", "rows stored twice", exactly=0),
)
RATE = 200.0  # events/s
READERS = 5


def main() -> None:
    """Measure and report."""
    arguments = arguments_parser(__doc__).parse_args()
    num = 1000 if arguments.quick else 6000
    uid = str(uuid.uuid4())
    with Services(seed=arguments.seed) as services:
        services.start("tiled", "archiver")
        kinds = ["subscribe", "poll", *["read"] * READERS]
        watchers = [Watcher(kind, services.uri, services.key, uid, num) for kind in kinds]
        try:
            for watcher in watchers:
                watcher.wait_until_ready()
            with services.catalog() as catalog:
                appends = [append_ms(catalog)]
            writer = LogWriter(services.logs.raw)
            documents = ghost_scan_documents(make_plate(services.config), num, uid=uid, seed=arguments.seed)
            for name, doc in paced(documents, RATE):
                writer(name, doc)
            writer.close()
            unsettled = wait_until_archived(services.state_dir, [uid])
            with services.catalog() as catalog:
                appends.append(append_ms(catalog))
            found = [watcher.result() for watcher in watchers]
        finally:
            for watcher in watchers:
                watcher.kill()
        with services.catalog() as catalog:
            stored = catalog.raw[uid]["primary"].base["internal"].read()["seq_num"].tolist()
        rewritten = (read_status(services.state_dir, "archiver") or {})["rewritten_runs"]
    pushed, polled = found[0]["latency_ms"], found[1]["latency_ms"]
    figures = {
        "p95_appends": percentile(pushed, 0.95) / statistics.mean(appends),
        "p95_ms": percentile(pushed, 0.95),
        "p95_polled_ms": percentile(polled, 0.95),
        "lost": num - len(set(stored) & set(range(1, num + 1))),
        "duplicated": len(stored) - len(set(stored)),
    }
    readers = found[2:]
    reads, wrong, gone = (sum(reader[key] for reader in readers) for key in ("reads", "wrong", "gone"))
    details = [
        f"{num} events at {RATE:g}/s; verified by the archiver: {'no' if unsettled else 'yes'}; runs written again: {rewritten}",
        f"at the subscriber {len(pushed)} rows: {_summary(pushed)}",
        f"at the one that polls {len(polled)} rows: {_summary(polled)}",
        f"{READERS} readers read the table {reads} times; torn or out of order {wrong} times; gone {gone} times",
        f"one append to Tiled before the run {appends[0]:.0f} ms, after it {appends[1]:.0f} ms (medians)",
    ]
    report(CLAIMS, figures, details, arguments.json)


def _summary(latency_ms: list[float]) -> str:
    middle, late = percentile(latency_ms, 0.5), percentile(latency_ms, 0.99)
    return f"median {middle:.0f} ms, p99 {late:.0f} ms, longest {max(latency_ms, default=0.0):.0f} ms"


if __name__ == "__main__":
    main()
