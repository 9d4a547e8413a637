"""Speed and memory of replaying a run of 100 000 events from Tiled, and of reading a run with large arrays.

For the first run, the figure is the speed of a replay with a reconstruction at its end, over that of `run.documents()` alone.
For the second, 28 000 events with 4096 channels each, it is the speed of its documents, over that of its arrays alone through
Tiled's array client. Each measurement runs in a separate process, in turns. A run a quarter as long shows how the memory
grows with the number of events.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from typing import Any

from analysis.archive.run_archive import RunArchive
from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.plates import make_plate
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._documents import ghost_scan_documents, spectra_documents
from benchmarks._services import Services

CLAIMS = (
    Claim("ratio", "events/s of a replay over those of run.documents() alone", at_least=0.5),
    Claim("ratio_arrays", "the same of documents with large arrays over reading the arrays alone", at_least=0.5),
    Claim("peak_mb", "MB by which a reading process grows at most"),
)
ROUNDS = 3
CHANNELS = 4096
_AT_ONCE = 10_000  # events stored per request
_SPECTRA_AT_ONCE = 500


def main() -> None:
    """Measure and report."""
    arguments = arguments_parser(__doc__).parse_args()
    events, spectra = (5_000, 1_000) if arguments.quick else (100_000, 28_000)
    rounds = 1 if arguments.quick else ROUNDS
    with Services(seed=arguments.seed) as services:
        services.start("tiled")
        plate = make_plate(services.config)
        MaskStore(services.state_dir).save(plate)
        uids = [str(uuid.uuid4()) for _ in range(3)]
        store(services, ghost_scan_documents(plate, events, uid=uids[0], seed=arguments.seed), _AT_ONCE)
        if not arguments.quick:
            store(services, ghost_scan_documents(plate, events // 4, uid=uids[1], seed=arguments.seed), _AT_ONCE)
        store(services, spectra_documents(spectra, CHANNELS, uid=uids[2], seed=arguments.seed), _SPECTRA_AT_ONCE)
        measured: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("documents", "replay", "arrays", "stored")}
        for _ in range(rounds):
            for kind, readings in measured.items():
                readings.append(read(services, kind, uids[0] if kind in ("documents", "replay") else uids[2]))
        shorter = [] if arguments.quick else [read(services, "replay", uids[1])]
    speed = {kind: statistics.median(one["events"] / one["seconds"] for one in readings) for kind, readings in measured.items()}
    grown = {kind: max(one["grown_mb"] for one in readings) for kind, readings in measured.items()}
    figures = {
        "ratio": speed["replay"] / speed["documents"],
        "ratio_arrays": speed["stored"] / speed["arrays"],
        "peak_mb": max(grown["replay"], grown["stored"]),
    }
    details = [
        f"{events} events, median of {rounds}: run.documents() alone {speed['documents']:.0f} events/s, growing by "
        f"{grown['documents']:.0f} MB; replay {speed['replay']:.0f} events/s, growing by {grown['replay']:.0f} MB",
        *(f"a replay of {events // 4} events grows by {one['grown_mb']:.0f} MB" for one in shorter),
        f"{spectra} events of {CHANNELS} channels: arrays alone {speed['arrays']:.0f} events/s, growing by "
        f"{grown['arrays']:.0f} MB; documents {speed['stored']:.0f} events/s, growing by {grown['stored']:.0f} MB",
    ]
    report(CLAIMS, figures, details, arguments.json)


def store(services: Services, documents: Iterable[tuple[str, dict[str, Any]]], at_once: int) -> None:
    """Store a run in Tiled, `at_once` documents per request."""
    began = time.perf_counter()
    archive: RunArchive | None = None
    with services.catalog() as catalog:
        for number, (name, doc) in enumerate(documents):
            archive = archive or RunArchive(catalog.raw, doc["uid"])
            archive.write(name, doc)
            if number % at_once == 0 and name != "stop":  # the stop document flushes by itself
                archive.flush()
    print(f"  stored {number + 1} documents in {time.perf_counter() - began:.0f} s")


def read(services: Services, kind: str, uid: str) -> dict[str, Any]:
    """Read a run in another process; for `kind` see `benchmarks._replaying`."""
    command = [sys.executable, "-m", "benchmarks._replaying", kind, str(services.config_file), uid]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1000)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
