"""The cost of storage for a scan: time in the RunEngine's storing subscriber, and the scan rate with and without it.

The time is measured for each call of the subscriber in a scan at the full speed of the simulation, while Tiled is up,
suspended (SIGSTOP) and dead (`kill -9`); archiver and worker run all the time. The rate is that of the whole plan with the
subscriber and all services running, over that of the same plan without any subscriber while the services are suspended; in
turns. `rate_ratio` is that of a scan with realistic moves and exposures; the ratio for a scan at full speed, which waits only
for the processors, is printed too. `p99_ratio` is for documents stored by the benchmark itself, while Tiled is up, in turns
with the same bytes inserted into a plain SQLite file of the same mode.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from analysis.documents.encoding import encode
from analysis.documents.log import LogWriter
from analysis.documents.recipe import Recipe, derived_uid
from beamline.plates import make_plate
from benchmarks._common import Claim, arguments_parser, percentile, report
from benchmarks._documents import ghost_scan_documents, paced
from benchmarks._services import Services
from benchmarks._session import SessionProcess
from ghostbeam.reprocess import wait_until_archived

CLAIMS = (
    Claim("p99_ratio", "storing a document over a bare SQLite insert of its bytes, p99 both", at_most=3),
    Claim("p99_ms_up", "ms a document in the subscriber, p99, Tiled up"),
    Claim("p99_ms_stopped", "the same, Tiled stopped by SIGSTOP"),
    Claim("p99_ms_killed", "the same, Tiled killed"),
    Claim("rate_ratio", "scan rate with subscriber and services over without", at_least=0.95),
)
METHODS = ("differential", "tv")
BUSY = ("tiled", "archiver", "worker")
EXPOSURE_S = 0.1
FLAT_OUT, AS_IN_LIFE = 1000.0, 1.0  # speed of the simulated devices
WARM_UP = 5
PAIRS_RATE = 100.0  # documents/s


def main() -> None:
    """Measure and report."""
    arguments = arguments_parser(__doc__).parse_args()
    quick = arguments.quick
    with Services(methods=METHODS, seed=arguments.seed, speed=FLAT_OUT) as services:
        fast, costs = measure(services, num=100 if quick else 400, pairs=1 if quick else 3)
        stored, bare = beside_bare_inserts(services, num=200 if quick else 4000, seed=arguments.seed)
        with session_of(services) as session:
            costs["stopped"], costs["killed"] = without_tiled(services, session, num=100 if quick else 400)
    with Services(methods=METHODS, seed=arguments.seed, speed=AS_IN_LIFE) as services:
        slow, _ = measure(services, num=8 if quick else 40, pairs=1 if quick else 3)
    figures = {f"p99_ms_{state}": percentile(many, 0.99) for state, many in costs.items()}
    figures["rate_ratio"] = ratio(slow)
    figures["p99_ratio"] = percentile(stored, 0.99) / percentile(bare, 0.99)
    details = [
        f"{len(many)} documents, Tiled {state}: median {percentile(many, 0.5):.3f} ms, longest {max(many):.2f} ms"
        for state, many in costs.items()
    ]
    for pace, rates in (("as in life", slow), ("as fast as it goes", fast)):
        for logged, many in rates.items():
            what = "with subscriber and services" if logged else "without any subscriber"
            details.append(f"{pace}, realizations/s {what}: " + " ".join(f"{rate:.2f}" for rate in many))
    details.append(f"alternating: storing p99 {percentile(stored, 0.99):.3f} ms, bare inserts {percentile(bare, 0.99):.3f} ms")
    details.append(f"ratio of the scan as fast as it goes: {ratio(fast):.3f}")
    report(CLAIMS, figures, details, arguments.json)


def measure(services: Services, *, num: int, pairs: int) -> tuple[dict[bool, list[float]], dict[str, list[float]]]:
    """Scan with and without the subscriber in turns.

    Returns
    -------
    rates : dict
        Realizations/s of each scan, by whether it was logged.
    costs : dict
        Under "up": time of each document in the subscriber, ms.
    """
    rates: dict[bool, list[float]] = {True: [], False: []}
    costs: list[float] = []
    services.start("repeater", "simulation", *BUSY)
    with session_of(services) as session:
        session.scan(num=WARM_UP, exposure=EXPOSURE_S, logged=False)  # the first scan also loads the required modules
        for pair in range(pairs):
            for logged in (True, False) if pair % 2 == 0 else (False, True):
                if not logged:
                    services.stop(*BUSY)
                scan = session.scan(num=num, exposure=EXPOSURE_S, logged=logged)
                rates[logged].append(num / scan["seconds"])
                if logged:
                    costs += scan["cost_ms"]
                    _settle(services, scan["uid"])
                else:
                    services.resume(*BUSY)
    return rates, {"up": costs}


def beside_bare_inserts(services: Services, *, num: int, seed: int) -> tuple[list[float], list[float]]:
    """The time to store each document of a scan (ms), and to insert the same bytes into a plain SQLite file."""
    connection = sqlite3.connect(services.state_dir / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE bodies (position INTEGER PRIMARY KEY, body BLOB)")
    writer = LogWriter(services.logs.raw)
    stored: list[float] = []
    bare: list[float] = []
    uid = str(uuid.uuid4())
    documents = ghost_scan_documents(make_plate(services.config), num, uid=uid, seed=seed, recipes=[])
    for number, (name, doc) in enumerate(paced(documents, PAIRS_RATE)):
        body = encode(doc)
        for kind in (stored, bare) if number % 2 else (bare, stored):  # the second one benefits from warm caches
            began = time.perf_counter()
            if kind is stored:
                writer(name, doc)
            else:
                connection.execute("INSERT INTO bodies (body) VALUES (?)", (body,))
            kind.append(1e3 * (time.perf_counter() - began))
    writer.close()
    connection.close()
    wait_until_archived(services.state_dir, [uid])
    return stored, bare


def without_tiled(services: Services, session: SessionProcess, *, num: int) -> tuple[list[float], list[float]]:
    """The time of each document in the subscriber (ms) while Tiled is suspended, and after it has been killed."""
    session.scan(num=WARM_UP, exposure=EXPOSURE_S, logged=False)
    services.stop("tiled")
    stopped = session.scan(num=num, exposure=EXPOSURE_S, logged=True)["cost_ms"]
    services.kill("tiled")
    return stopped, session.scan(num=num, exposure=EXPOSURE_S, logged=True)["cost_ms"]


@contextmanager
def session_of(services: Services) -> Iterator[SessionProcess]:
    """A session for as long as the block lasts."""
    session = SessionProcess(services.config_file)
    try:
        yield session
    finally:
        session.kill()


def ratio(rates: dict[bool, list[float]]) -> float:
    """Median over the pairs of the rate with the subscriber, over the rate without it."""
    return statistics.median(a / b for a, b in zip(rates[True], rates[False], strict=True))


def _settle(services: Services, uid: str) -> None:
    """Wait until no work is left that could slow the next scan."""
    derived = [derived_uid(uid, Recipe.parse(recipe)) for recipe in services.config.reconstruction.recipes]
    wait_until_archived(services.state_dir, [uid, *derived])


if __name__ == "__main__":
    main()
