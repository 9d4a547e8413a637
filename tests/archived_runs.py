"""Runs with odd columns or metadata, and an archiver in this process that brings them into a real Tiled."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.log_archiver import LogArchiver
from analysis.documents.frame_folders import frame_folders
from analysis.documents.log import LogReader, LogWriter, log_paths

Documents = list[tuple[str, dict[str, Any]]]


def odd_run(columns: dict[str, tuple[dict[str, Any], list[Any]]], *, stream: str = "primary", md: dict[str, Any] | None = None):
    """Documents of a run with a good column `diode` and others: for each its data key and its values."""
    uid, descriptor = str(uuid.uuid4()), str(uuid.uuid4())
    num = max([len(values) for _, values in columns.values()], default=3)
    good = {"diode": ({"dtype": "number"}, [number / 3 for number in range(num)])}
    columns = {**good, **columns}
    data_keys = {key: {"source": "test", "shape": [], **data_key} for key, (data_key, _) in columns.items()}
    documents: Documents = [("start", {"uid": uid, "time": 1.0, **(md or {})})]
    head = {"uid": descriptor, "run_start": uid, "time": 1.5, "name": stream, "data_keys": data_keys}
    documents.append(("descriptor", {**head, "configuration": {}, "hints": {}, "object_keys": {"device": list(columns)}}))
    for number in range(num):
        data = {key: values[number] for key, (_, values) in columns.items()}
        event = {"uid": str(uuid.uuid4()), "descriptor": descriptor, "seq_num": number + 1, "time": 2.0 + number}
        documents.append(("event", {**event, "data": data, "timestamps": dict.fromkeys(data, 2.5 + number), "filled": {}}))
    end = {"uid": str(uuid.uuid4()), "run_start": uid, "time": 9.0, "exit_status": "success", "reason": ""}
    documents.append(("stop", {**end, "num_events": {stream: num}}))
    return uid, documents


def log(state_dir: Path, documents: Iterable[tuple[str, dict[str, Any]]]) -> None:
    writer = LogWriter(log_paths(state_dir).raw)
    for name, doc in documents:
        writer(name, doc)
    writer.close()


def archive(state_dir: Path, container: Any, *, processed: bool = False, seconds: float = 60.0) -> None:
    """Bring in all that is in the log (of scans, or of reconstructions), and read it back."""
    paths = log_paths(state_dir)
    reader, ledger = LogReader(paths.processed if processed else paths.raw), ArchiveLedger(state_dir)
    archiver = LogArchiver(reader, ledger, lambda: None, frame_folders(state_dir))
    deadline = time.monotonic() + seconds
    while archiver.unsettled or archiver.lag:
        archiver.step(container)
        archiver.verify(busy=False)
        assert time.monotonic() < deadline, f"{archiver.unsettled} runs are not settled"
    reader.close()
    ledger.close()
