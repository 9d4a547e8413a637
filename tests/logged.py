"""Made-up runs in a document log, and what reconstructions wrote of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from event_model import DocumentNames, schema_validators
from made_runs import Documents, MadeRun

from analysis.documents.log import LogReader, LogWriter, log_paths
from analysis.techniques.ghost.mask_sets import MaskStore


def write_raw(state_dir: Path, documents: Iterable[tuple[str, dict[str, Any]]]) -> None:
    writer = LogWriter(log_paths(state_dir).raw)
    for name, doc in documents:
        writer(name, doc)
    writer.close()


def log_run(state_dir: Path, run: MadeRun) -> None:
    MaskStore(state_dir).save(run.masks)
    write_raw(state_dir, run.documents())


def raw_documents(state_dir: Path, uid: str) -> Documents:
    return [(record.name, record.doc) for record in LogReader(log_paths(state_dir).raw).documents(uid)]


@dataclass
class Stored:
    """One derived run as it is in the log."""

    documents: Documents

    @property
    def start(self) -> dict[str, Any]:
        return self.documents[0][1]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [doc for name, doc in self.documents if name == "event"]

    @property
    def stop(self) -> dict[str, Any] | None:
        name, doc = self.documents[-1]
        return doc if name == "stop" else None

    @property
    def final(self) -> np.ndarray:
        (event,) = [event for event in self.events if event["data"]["final"]]
        image: np.ndarray = event["data"]["image"]
        return image


def derived_runs(state_dir: Path) -> list[Stored]:
    reader = LogReader(log_paths(state_dir).processed)
    runs = [Stored([(record.name, record.doc) for record in reader.documents(info.uid)]) for info in reader.runs()]
    reader.close()
    return runs


def check_documents(documents: Documents) -> None:
    """A run as it must be: schemas, one start, one stop, sequence numbers from 1 without a gap, data as its descriptor says."""
    names = [name for name, _ in documents]
    assert names[0] == "start" and names.count("start") == 1
    assert names.count("stop") <= 1 and ("stop" not in names or names[-1] == "stop")
    data_keys: dict[str, Any] = {}
    for name, doc in documents:
        plain = _plain(doc)
        schema_validators[DocumentNames[name]].validate(plain)
        if name == "descriptor":
            data_keys = doc["data_keys"]
            assert all("dtype_numpy" in key for key in data_keys.values())
        if name == "event":
            assert doc["data"].keys() == data_keys.keys() == doc["timestamps"].keys()
            for key, value in doc["data"].items():
                array = np.asarray(value)
                assert list(array.shape) == data_keys[key]["shape"]
                assert array.dtype.str == data_keys[key]["dtype_numpy"]
    seq_nums = [doc["seq_num"] for name, doc in documents if name == "event"]
    assert seq_nums == list(range(1, len(seq_nums) + 1))
    if names[-1] == "stop":
        assert documents[-1][1]["num_events"].get("primary", 0) == len(seq_nums)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def as_formerly_logged(path: Path, position: int, doc: dict[str, Any]) -> None:
    """Put another document in a place of a log, as a writer of version 1, which looked at nothing, would have logged it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "UPDATE documents SET number = NULL, checksum = NULL, body = ? WHERE position = ?"
        connection.execute(query, (msgpack.packb(doc), position))
