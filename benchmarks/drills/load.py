"""Failures of load: a long backlog, hundreds of tiny runs, many sessions at once.

`python -m benchmarks.drills.load CONFIG UID SEED` is one of many sessions: it logs a scan.
"""

from __future__ import annotations

import subprocess
import sys

from analysis.documents.log import LogWriter, log_paths
from beamline.config import load_config
from beamline.plates import make_plate
from benchmarks._documents import ghost_scan_documents, paced
from benchmarks.drills.background import counted_documents
from benchmarks.drills.chain import NUM, RATE, RECIPES, Chain

_BACKLOG, _QUICK_BACKLOG = 100, 3  # runs of a thousand events
_TINY_RUNS, _QUICK_TINY_RUNS = 500, 30
_TINY_NUM = 8  # realizations
_SESSIONS = 8
_AT_ONCE = 1e6  # events/s: as fast as it goes


def backlog(chain: Chain) -> str:
    """Archiver and worker are started when 100 000 documents wait for them, followed by a scan."""
    chain.services.end("archiver", "worker")
    waiting = [
        chain.log_other(counted_documents(chain.new_uid(), pages=False, num=1000), chain.writer)
        for _ in range(_QUICK_BACKLOG if chain.quick else _BACKLOG)
    ]
    uid = chain.scan()
    chain.services.start("archiver", "worker")
    return f"{len(waiting)} runs of 1000 events waited; {chain.settle(uid, *waiting)}"


def tiny_runs(chain: Chain) -> str:
    """500 runs of eight realizations, as fast as they can be logged, each with a reconstruction."""
    number = _QUICK_TINY_RUNS if chain.quick else _TINY_RUNS
    uids = [chain.scan(num=_TINY_NUM, rate=_AT_ONCE, recipes=["differential"]) for _ in range(number)]
    return f"{len(uids)} runs of {_TINY_NUM} realizations; {chain.settle(*uids)}"


def sessions(chain: Chain) -> str:
    """Eight processes log one scan each at the same time."""
    uids = [chain.new_uid() for _ in range(_SESSIONS)]
    command = [sys.executable, "-m", "benchmarks.drills.load", str(chain.services.config_file)]
    writers = [subprocess.Popen([*command, uid, str(number)]) for number, uid in enumerate(uids)]
    aborted = sum(writer.wait() != 0 for writer in writers)
    chain.runs.update(dict.fromkeys(uids, RECIPES))
    return f"{_SESSIONS} scans at once, {aborted} of them aborted; {chain.settle(*uids)}"


def main() -> None:
    """Log a scan."""
    config_file, uid, seed = sys.argv[1:]
    config = load_config(config_file)
    writer = LogWriter(log_paths(config.state_dir).raw)
    for name, doc in paced(ghost_scan_documents(make_plate(config), NUM, uid=uid, seed=int(seed), recipes=RECIPES), RATE):
        writer(name, doc)
    writer.close()


if __name__ == "__main__":
    main()
