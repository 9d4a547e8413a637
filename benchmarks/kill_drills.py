"""`kill -9` at random moments, and what is left of the data.

Each drill is one scan with three reconstructions, two fast ones and a short Noise2Ghost, through the whole chain. One process
is killed: the worker or the archiver (started again half a second later, as the supervisor would), Tiled (started again 30 s
later), or the session, a real one on the simulated beamline, between its last event and its stop document. When all is
settled, every document in the log is looked for in Tiled, and the final images are compared, bit by bit, with those of a
worker that is given the same documents and left in peace.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.documents.log import LogReader, LogWriter, RunState, log_paths
from analysis.documents.mask_store import MaskStore
from analysis.documents.recipe import Recipe, derived_uid
from beamline.plates import make_plate
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._comparison import compare
from benchmarks._documents import ghost_scan_documents, paced
from benchmarks._services import Services, wait_until
from benchmarks._session import SessionProcess
from ghostbeam.reprocess import wait_until_archived

RECIPES = ["differential", "tv", {"method": "n2g", "options": {"steps": 40}}]
TARGETS = ("worker", "archiver", "tiled", "session")
NUM = 200  # realizations of a scan
RATE = 50.0  # events/s
RESTART_S = {"worker": 0.5, "archiver": 0.5, "tiled": 30.0}
QUICK_OUTAGE_S = 4.0
AFTER_SCAN_S = 5.0  # a service may be killed so long after the scan too: reconstructions end, and runs are read back
SETTLED_S = 150.0


class Drills:
    """A running chain, and one scan after the other through it.

    Parameters
    ----------
    services : Services
        Everything started.
    seed : int
        Of the data and the moments.
    outage_s : float
        How long Tiled is gone.
    """

    def __init__(self, services: Services, seed: int, outage_s: float) -> None:
        self.runs: list[str] = []
        self._services = services
        self._seed = seed
        self._outage_s = outage_s
        self._random = random.Random(seed)
        self._plate = make_plate(services.config)
        MaskStore(services.state_dir).save(self._plate)
        self._writer = LogWriter(services.logs.raw)

    def drill(self, target: str) -> str:
        """Scan, kill, and wait until everything is settled; returns what happened, in words."""
        began = time.monotonic()
        moment = self._kill_session() if target == "session" else self._kill_service(target)
        uid = self.runs[-1]
        processed = LogReader(self._services.logs.processed)
        derived = derived_uids(uid)
        wait_until(lambda: all(processed.state(one) is RunState.ENDED for one in derived), SETTLED_S, f"reconstructions of {uid}")
        waiting = wait_until_archived(self._services.state_dir, [uid, *derived], seconds=SETTLED_S)
        settled = f"{len(waiting)} runs NOT verified" if waiting else "all verified"
        return f"{target} killed {moment}; {settled} after {time.monotonic() - began:.0f} s"

    def _kill_service(self, target: str) -> str:
        moment = self._random.uniform(0.0, NUM / RATE + AFTER_SCAN_S)
        killer = threading.Thread(target=self._kill_and_restart, args=(target, time.monotonic() + moment))
        killer.start()
        uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        seed = self._seed + len(self.runs)
        for name, doc in paced(ghost_scan_documents(self._plate, NUM, uid=uid, seed=seed, recipes=RECIPES), RATE):
            self._writer(name, doc)
        self.runs.append(uid)
        killer.join()
        return f"{moment:.1f} s after the scan of {NUM / RATE:.1f} s had begun"

    def _kill_and_restart(self, target: str, moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))
        self._services.kill(target)
        time.sleep(self._outage_s if target == "tiled" else RESTART_S[target])
        self._services.start(target)

    def _kill_session(self) -> str:
        session = SessionProcess(self._services.config_file)
        delay = self._random.uniform(0.0, 1.0)
        try:
            session.order(num=NUM, exposure=0.1, logged=True, hold=True, recipes=RECIPES)
            session.answer()
            time.sleep(delay)
        finally:
            session.kill()
        self.runs.append(LogReader(self._services.logs.raw).runs()[-1].uid)
        return f"{delay:.2f} s after its last event"


def derived_uids(raw_uid: str) -> list[str]:
    """Uids of the reconstructions of a run."""
    return [derived_uid(raw_uid, Recipe.parse(recipe)) for recipe in RECIPES]


def reconstruct_in_peace(services: Services, runs: list[str]) -> Path:
    """Give the same documents to a worker that nobody kills; returns its state directory."""
    state_dir = services.folder / "reference"
    plate = make_plate(services.config)
    MaskStore(state_dir).save(plate)
    writer = LogWriter(log_paths(state_dir).raw)
    reader = LogReader(services.logs.raw)
    for uid in runs:
        for record in reader.documents(uid):
            writer(record.name, record.doc)
    writer.close()
    command = [str(state_dir) if part == str(services.state_dir) else part for part in services.command("worker")]
    subprocess.run([*command, "--until-idle"], check=True, timeout=600)
    return state_dir


def final_image(path: Path, uid: str) -> bytes:
    """The final image of a reconstruction in a log."""
    images = [record.doc["data"] for record in LogReader(path).documents(uid) if record.name == "event"]
    (final,) = [data["image"] for data in images if data["final"]]
    return bytes(final.tobytes())


def main() -> None:
    """Drill and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--n", type=int, help="drills (default: 20; 4 with --quick)")
    arguments = parser.parse_args()
    number = arguments.n or (4 if arguments.quick else 20)
    outage_s = QUICK_OUTAGE_S if arguments.quick else RESTART_S["tiled"]
    targets = [TARGETS[drill % len(TARGETS)] for drill in range(number)]
    found: Counter[str] = Counter()
    details: list[str] = []
    with Services(seed=arguments.seed, num_masks=256) as services:
        services.start("repeater", "simulation", "tiled", "archiver", "worker")
        drills = Drills(services, arguments.seed, outage_s)
        for target in targets:
            details.append(drills.drill(target))
            print(f"  {details[-1]}", flush=True)
        logged = reconstruct_in_peace(services, drills.runs)
        with services.catalog() as catalog:
            for uid in drills.runs:
                found += _judge(services, catalog, uid, logged)
    figures = {"drills": number, "lost": found["lost"], "duplicated": found["duplicated"], "identical": found["identical"]}
    claims = (
        Claim("drills", "processes killed"),
        Claim("lost", "documents lost, out of order or changed", exactly=0),
        Claim("duplicated", "documents stored more than once", exactly=0),
        Claim("identical", "drills whose final images are bit-identical to undisturbed ones", exactly=number),
    )
    summary = f"{found['documents']} documents of {len(drills.runs)} runs and their reconstructions looked for in Tiled"
    report(claims, figures, [summary], arguments.json)


def _judge(services: Services, catalog: Any, uid: str, reference: Path) -> Counter[str]:
    found = Counter(identical=1)
    for container, path, run in [
        (catalog.raw, services.logs.raw, uid),
        *((catalog.processed, services.logs.processed, derived) for derived in derived_uids(uid)),
    ]:
        records = list(LogReader(path).documents(run))
        found["documents"] += len(records)
        found += compare(container, run, records)
    for derived in derived_uids(uid):
        stored = catalog.processed[derived]["primary"].base["image"][-1].tobytes()
        if stored != final_image(log_paths(reference).processed, derived):
            found["identical"] = 0
    return found


if __name__ == "__main__":
    main()
