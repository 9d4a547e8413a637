"""How fast a run of 100 000 events is replayed from Tiled, and how much memory that takes.

The speed is that of `run.documents()` with a reconstruction at its end, over that of `run.documents()` alone, each in a
process of its own, in turns. A run a quarter as long shows how the memory grows with the number of events.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import uuid
from typing import Any

from analysis.archive.run_archive import RunArchive
from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.plates import make_plate
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._documents import ghost_scan_documents
from benchmarks._services import Services

CLAIMS = (
    Claim("ratio", "documents/s of a replay over those of documents() alone", at_least=0.5),
    Claim("peak_mb", "MB by which the replaying process grows at most"),
)
ROUNDS = 3
_AT_ONCE = 10_000  # events stored by one request


def main() -> None:
    """Measure and report."""
    arguments = arguments_parser(__doc__).parse_args()
    events = 5_000 if arguments.quick else 100_000
    rounds = 1 if arguments.quick else ROUNDS
    with Services(seed=arguments.seed) as services:
        services.start("tiled")
        stored = store(services, events, arguments.seed)
        alone, replayed = [], []
        for _ in range(rounds):
            alone.append(read(services, "documents", stored))
            replayed.append(read(services, "replay", stored))
        shorter = read(services, "replay", store(services, events // 4, arguments.seed))
    speed, replay_speed = (statistics.median(one["documents"] / one["seconds"] for one in many) for many in (alone, replayed))
    figures = {"ratio": replay_speed / speed, "peak_mb": max(one["grown_mb"] for one in replayed)}
    details = [
        f"{events} events, median of {rounds}: documents() alone {speed:.0f} documents/s, growing by "
        f"{max(one['grown_mb'] for one in alone):.0f} MB; replay {replay_speed:.0f} documents/s",
        f"a replay of {events // 4} events grows by {shorter['grown_mb']:.0f} MB, of {events} by {figures['peak_mb']:.0f} MB",
    ]
    report(CLAIMS, figures, details, arguments.json)


def store(services: Services, events: int, seed: int) -> str:
    """Store a run of so many events in Tiled and return its uid."""
    uid = str(uuid.uuid4())
    plate = make_plate(services.config)
    MaskStore(services.state_dir).save(plate)
    began = time.perf_counter()
    with services.catalog() as catalog:
        archive = RunArchive(catalog.raw, uid)
        for number, (name, doc) in enumerate(ghost_scan_documents(plate, events, uid=uid, seed=seed)):
            archive.write(name, doc)
            if number % _AT_ONCE == 0:
                archive.flush()
    print(f"  stored {events} events in {time.perf_counter() - began:.0f} s")
    return uid


def read(services: Services, kind: str, uid: str) -> dict[str, Any]:
    """Read a run in another process; kind as in `benchmarks._replaying`."""
    command = [sys.executable, "-m", "benchmarks._replaying", kind, str(services.config_file), uid]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
