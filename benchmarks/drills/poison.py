"""Irregular runs logged during a good scan: each is refused, kept, or given up with its reason, and stops nothing else."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, cast

import numpy as np
from event_model import unpack_event_page

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.stored_documents import stored_documents
from analysis.documents.log import LogError, LogWriter, Record
from benchmarks.drills.chain import SCAN_S, Chain
from benchmarks.drills.odd_runs import all_odd, odd_run

_AT_ONCE = 12  # irregular runs beside one scan
_SETTLED_S = 150.0


def poison(chain: Chain) -> str:
    """Log a dozen irregular runs during a scan; the next drill takes the next dozen."""
    cases = all_odd()
    first = _AT_ONCE * len(chain.runs) % len(cases)
    refused: list[str] = []
    accepted: dict[str, tuple[str, Any]] = {}

    def log_them() -> None:
        with closing(LogWriter(chain.services.logs.raw)) as writer:
            for kind, what in cases[first : first + _AT_ONCE]:
                uid = str(what) if kind == "uid" else str(uuid.uuid4())
                if _log(chain, writer, kind, what, uid):
                    accepted[uid] = (kind, what)
                else:
                    refused.append(f"{kind}: {what}")
                time.sleep(SCAN_S / _AT_ONCE / 2)

    with chain.meanwhile(0.2, log_them):
        scanned = chain.scan()
    settled = chain.settle(scanned)
    fates = _look_at(chain, accepted)
    told = ", ".join(f"{number} {fate}" for fate, number in fates.items())
    return f"{len(refused)} odd runs refused, {len(accepted)} taken ({told}); {settled}"


def _log(chain: Chain, writer: LogWriter, kind: str, what: Any, uid: str) -> bool:
    """Log an irregular run as far as the log accepts it; return whether it accepted the start document and each other one."""
    for name, doc in odd_run(kind, what, uid):
        try:
            writer(name, doc)
        except LogError:
            with suppress(LogError):
                writer("stop", {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "fail"})
            return False
        except Exception as error:
            _found(chain, f"{kind}, {what}: logging {name} raises {type(error).__name__}: {error}")
            return False
    return True


def _look_at(chain: Chain, accepted: dict[str, tuple[str, Any]]) -> Counter[str]:
    """Wait until irregular runs are settled, and compare them with the log; return how many were archived, and how."""
    fates: Counter[str] = Counter()
    end = time.monotonic() + _SETTLED_S
    with closing(ArchiveLedger(chain.services.state_dir)) as ledger, chain.services.catalog() as catalog:
        while accepted.keys() - ledger.settled() and time.monotonic() < end:
            chain.start_again()
            time.sleep(0.2)
        problems = ledger.problems()
        for uid, (kind, what) in accepted.items():
            try:
                records = list(chain.raw.documents(uid))
            except Exception as error:
                _found(chain, f"{kind}, {what}: accepted, and then {type(error).__name__}: {error}")
                continue
            if uid in problems:
                fates["given up"] += 1
            elif not ledger.is_archived(uid):
                _found(chain, f"{kind}, {what}: neither archived nor given up after {_SETTLED_S:.0f} s")
            elif ledger.not_as_logged(uid):
                fates["archived, with what is otherwise named"] += 1
            elif difference := _difference(catalog, uid, records):
                _found(chain, f"{kind}, {what}: verified, though {difference}")
            else:
                fates["verified"] += 1
    return fates


def _difference(catalog: Any, uid: str, records: list[Record]) -> str:
    """The difference between the log and Tiled for a run marked as verified, in words; empty if there is none."""
    run = catalog.raw[uid]
    logged, stored = records[0].doc.get("odd"), run.metadata["start"].get("odd")
    if _numbers(logged) != _numbers(stored):
        return f"metadata {logged!r:.80} are stored as {stored!r:.80}"
    documents = ((record.name, record.doc) for record in records)
    expected, found = _readings(documents), _readings(stored_documents(run))
    if expected.keys() != found.keys():
        return f"{len(expected)} events were logged, {len(found)} are stored"
    for place, logged in expected.items():
        differing = [key for key, value in logged.items() if not _equal(value, found[place].get(key))]
        if differing:
            return f"{differing[0]} of event {place} was {logged[differing[0]]!r:.80}, is {found[place].get(differing[0])!r:.80}"
    return ""


def _readings(documents: Iterable[tuple[str, dict[str, Any]]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The data of each event, by stream and number."""
    streams: dict[str, str] = {}
    readings: dict[tuple[str, int], dict[str, Any]] = {}
    for name, doc in documents:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name in ("event", "event_page"):
            for event in [doc] if name == "event" else unpack_event_page(cast(Any, doc)):
                readings[streams[event["descriptor"]], event["seq_num"]] = dict(event["data"])
    return readings


def _equal(logged: Any, stored: Any) -> bool:
    """Whether two readings are the same value to the last bit; NaN equals NaN, and a list equals the array of its items."""
    if isinstance(logged, np.ndarray | list) and np.asarray(logged).dtype.kind in "biufc":
        return np.array_equal(np.asarray(logged), np.asarray(stored), equal_nan=True)
    if isinstance(logged, float) and np.isnan(logged):
        return isinstance(stored, float) and bool(np.isnan(stored))
    return bool(logged == stored)


def _numbers(value: Any) -> list[str]:
    """All numbers in a nested value, as text that distinguishes 2**53 + 1 from 2**53 and is the same for 1 and 1.0."""
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    if isinstance(value, np.ndarray):
        return _numbers(value.tolist())
    if isinstance(value, float) and value.is_integer():
        return [str(int(value))]
    return [str(value)] if isinstance(value, int | float) else []


def _found(chain: Chain, what: str) -> None:
    print(f"  UNDETECTED {what}"[:500], flush=True)
    chain.found["undetected"] += 1
