"""Check of a chain's scans: in the log, in Tiled, and bit by bit in the final images."""

from __future__ import annotations

import subprocess
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.documents.encoding import encode
from analysis.documents.frame_folders import allow_frames
from analysis.documents.log import LogReader, LogWriter, log_paths
from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.plates import make_plate
from benchmarks._comparison import compare
from benchmarks._services import Services
from benchmarks.drills.chain import Chain, Documents
from benchmarks.drills.fly import pairs


def judge(chain: Chain) -> Counter[str]:
    """Count the errors of all scans so far.

    Returns
    -------
    Counter
        "lost", "duplicated" and "order" of documents; runs that differ although they are marked as verified ("undetected");
        the number of "scans", and of those with "identical" images, compared with a worker that processed the same documents
        undisturbed; and the number of "documents" that were checked.
    """
    services = chain.services
    reference = log_paths(reconstruct_in_peace(services, list(chain.runs))).processed
    derived = chain.derived(*chain.runs)
    chain.settle(*chain.runs, *chain.others)  # a scan that took too long for one drill is not lost
    found = Counter(chain.found, scans=len(chain.runs))
    ledger = ArchiveLedger(services.state_dir)
    with services.catalog() as catalog:
        for container, reader, uids in (
            (catalog.raw, chain.raw, [*chain.runs, *chain.others]),
            (catalog.processed, chain.processed, derived),
        ):
            for uid in uids:
                records = list(reader.documents(uid))
                differences = compare(container, uid, records)
                found.update(differences)
                found["documents"] += len(records)
                found["undetected"] += bool(differences.total()) and ledger.is_verified(uid)
        for uid in chain.runs:
            found["identical"] += all(_are_stored(catalog, one, final_arrays(reference, one)) for one in chain.derived(uid))
        if chain.frames is not None:
            found.update(pairs(chain, catalog))
    ledger.close()
    found["lost"] += sum(not_logged(chain.raw, uid, documents) for uid, documents in chain.accepted.items())
    return found


def not_logged(reader: LogReader, uid: str, accepted: Documents) -> int:
    """Number of documents accepted by the log for a run that are not in it, in their place and unchanged."""
    logged = [(record.name, record.doc) for record in reader.documents(uid)]
    pairs = zip_longest(accepted, logged[: len(accepted)])
    return sum(there is None or taken[0] != there[0] or encode(taken[1]) != encode(there[1]) for taken, there in pairs)


def reconstruct_in_peace(services: Services, runs: list[str]) -> Path:
    """Let an undisturbed worker process the same documents; return its state directory."""
    state_dir = services.folder / "reference"
    MaskStore(state_dir).save(make_plate(services.config))
    allow_frames(state_dir, services.config.frames_folder)
    writer = LogWriter(log_paths(state_dir).raw)
    there = {run.uid for run in LogReader(log_paths(state_dir).raw).runs()}
    reader = LogReader(services.logs.raw)
    for uid in runs:
        if uid not in there:
            for record in reader.documents(uid):
                writer(record.name, record.doc)
                if record.name == "stop":
                    break  # a scan that continued after its stop document is counted as lost
    writer.close()
    command = [str(state_dir) if part == str(services.state_dir) else part for part in services.command("worker")]
    subprocess.run([*command, "--until-idle"], check=True, timeout=60.0 + 60.0 * len(runs))
    return state_dir


def final_arrays(path: Path, uid: str) -> dict[str, bytes] | None:
    """The arrays of the final estimate of a reconstruction in a log, by name; None if it does not have exactly one."""
    estimates = [record.doc["data"] for record in LogReader(path).documents(uid) if record.name == "event"]
    finals = [data for data in estimates if data["final"]]
    if len(finals) != 1:
        return None
    return {key: value.tobytes() for key, value in finals[0].items() if isinstance(value, np.ndarray)}


def _are_stored(catalog: Any, uid: str, arrays: dict[str, bytes] | None) -> bool:
    """Whether a reconstruction in Tiled ends with exactly these arrays."""
    if not arrays or uid not in catalog.processed:
        return False
    stored = catalog.processed[uid]["primary"].base
    return all(stored[key][-1].tobytes() == expected for key, expected in arrays.items())
