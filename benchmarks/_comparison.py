"""Compares a run in Tiled with the log, independently of the archiver's own check."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from event_model import unpack_event_page

from analysis.documents.log import Record


def compare(container: Any, uid: str, records: Iterable[Record]) -> Counter[str]:
    """Count the documents of a run that are "lost" or "duplicated", or out of "order"; with different data it is lost.

    Parameters
    ----------
    container : tiled client
        `raw` or `processed`.
    uid : str
        The run.
    records : iterable of Record
        The run's documents in the log.
    """
    found: Counter[str] = Counter(lost=0, duplicated=0, order=0)
    streams: dict[str, str] = {}
    descriptors: dict[str, list[str]] = defaultdict(list)
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    files: dict[str, str] = {}  # uid of a stream resource -> its data key
    announced: dict[tuple[str, str], int] = {}  # (stream, data key) -> entries
    ends: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.name == "descriptor":
            streams[record.doc["uid"]] = record.doc["name"]
            descriptors[record.doc["name"]].append(record.doc["uid"])
        elif record.name in ("event", "event_page"):
            page = [record.doc] if record.name == "event" else list(unpack_event_page(cast(Any, record.doc)))
            events[streams[record.doc["descriptor"]]] += page
        elif record.name == "stream_resource":
            files[record.doc["uid"]] = record.doc["data_key"]
        elif record.name == "stream_datum":
            part = streams[record.doc["descriptor"]], files[record.doc["stream_resource"]]
            announced[part] = max(announced.get(part, 0), record.doc["indices"]["stop"])
        else:
            found["lost"] += record.name in ends
            ends[record.name] = record.doc
    if uid not in container:
        found["lost"] += sum(map(len, (ends, *descriptors.values(), *events.values())))
        return found
    run = container[uid]
    for name, doc in ends.items():
        found["lost"] += (run.metadata.get(name) or {}).get("uid") != doc["uid"]
    for stream, uids in descriptors.items():
        _count(found, uids, _stored_descriptors(run, stream))
    for (stream, key), entries in announced.items():
        stored = run[stream].base[key].shape[0] if stream in run and key in run[stream].base else 0
        found["lost"] += max(0, entries - stored)
        found["duplicated"] += max(0, stored - entries)
    for stream, logged in events.items():
        _compare_events(found, run, stream, logged)
    return found


def _stored_descriptors(run: Any, stream: str) -> list[str]:
    if stream not in run:
        return []
    metadata = run[stream].metadata
    return [metadata["uid"], *(update["uid"] for update in metadata.get("_config_updates", []))]


def _count(found: Counter[str], logged: list[Any], stored: list[Any]) -> None:
    if stored == logged:
        return
    counted = Counter(stored)
    found["duplicated"] += sum(counted.values()) - len(counted)
    once = list(dict.fromkeys(stored))
    found["lost"] += sum(item not in counted for item in logged)
    present = [item for item in logged if item in counted]
    found["order"] += sum(a != b for a, b in zip(present, once, strict=False))


def _compare_events(found: Counter[str], run: Any, stream: str, logged: list[dict[str, Any]]) -> None:
    seq_nums = [doc["seq_num"] for doc in logged]
    if stream not in run:
        found["lost"] += len(logged)
        return
    parts = run[stream].base
    table = parts["internal"].read()
    stored = table["seq_num"].tolist()
    _count(found, seq_nums, stored)
    if stored != seq_nums or seq_nums != list(range(1, len(seq_nums) + 1)):
        found["lost"] += stored == seq_nums  # the log itself has a gap, or an event twice
        return
    wrong = np.zeros(len(logged), dtype=bool)
    for key in logged[0]["data"]:
        expected = np.asarray([doc["data"][key] for doc in logged])
        actual = table[key].to_numpy() if key in table else parts[key].read()
        if len(actual) != len(expected):
            found["duplicated" if len(actual) > len(expected) else "lost"] += abs(len(actual) - len(expected))
            continue
        same = (actual == expected) | (np.not_equal(actual, actual) & np.not_equal(expected, expected))
        wrong |= ~same.reshape(len(logged), -1).all(axis=1)
    found["lost"] += int(wrong.sum())
