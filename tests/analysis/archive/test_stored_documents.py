"""The documents of a run come back from Tiled as they were logged."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_model import DocumentNames, schema_validators, unpack_event_page
from fly_runs import IMAGE, NUMBER, fly_run
from made_runs import MadeRun, mask_set

from analysis.archive import stored_documents as module
from analysis.archive.catalog import connect
from analysis.archive.run_archive import RunArchive
from analysis.archive.server_settings import CatalogError
from analysis.archive.stored_documents import stored_documents

pytestmark = pytest.mark.e2e

KEYS = {
    "number": {"dtype": "number", "shape": [], "dtype_numpy": "<f8"},
    "count": {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"},
    "label": {"dtype": "string", "shape": [], "dtype_numpy": "<U8"},
    "flag": {"dtype": "boolean", "shape": [], "dtype_numpy": "|b1"},
    "image": {"dtype": "array", "shape": [6, 5], "dtype_numpy": "<f4"},
    "spectrum": {"dtype": "array", "shape": [7], "dtype_numpy": "<i8"},
}


@pytest.fixture
def raw(tiled_server):
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        yield catalog.raw


def odd_values(number: int) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    return {
        "number": [np.nan, np.inf, -1e-300, 0.1 + number, 3.0][number % 5],
        "count": [2**53 + 1, -(2**62), number][number % 3],
        "label": ["", "näh", "NaN", "null"][number % 4],
        "flag": number % 3 == 0,
        "image": np.where(rng.random((6, 5)) < 0.1, np.nan, rng.normal(size=(6, 5))).astype("<f4"),
        "spectrum": rng.integers(-(2**62), 2**62, 7),
    }


def a_run(num: int) -> list[tuple[str, dict[str, Any]]]:
    """Two streams at the same time, one of them configured again halfway."""
    uid = str(uuid.uuid4())
    documents = [("start", {"uid": uid, "time": 0.0, "plan_name": "count", "nested": {"a": [1, 2.5, None, "x"]}})]
    descriptors = {}

    def describe(stream: str, time: float, exposure: float) -> None:
        descriptors[stream] = f"{stream}-{time}-{uid}"
        configuration = {"detector": {"data": {"exposure": exposure}, "timestamps": {"exposure": time}, "data_keys": {}}}
        documents.append(
            (
                "descriptor",
                {
                    "uid": descriptors[stream],
                    "run_start": uid,
                    "time": time,
                    "name": stream,
                    "data_keys": {key: {"source": "made", "object_name": "detector", **entry} for key, entry in KEYS.items()},
                    "object_keys": {"detector": list(KEYS)},
                    "configuration": configuration,
                    "hints": {"detector": {"fields": ["number"]}},
                },
            )
        )

    for number, stream in enumerate(("primary", "monitor")):
        describe(stream, 1.0 + number / 10, exposure=0.1)
    for number in range(num):
        if number == num // 2:
            describe("primary", 2.0 + number - 0.5, exposure=0.2)
        for stream in ("primary", "monitor"):
            data = odd_values(number)
            event = {"uid": str(uuid.uuid4()), "descriptor": descriptors[stream], "seq_num": number + 1, "time": 2.0 + number}
            timestamps = {key: 1.5 + number + place / 8 for place, key in enumerate(KEYS)}
            documents.append(("event", {**event, "data": data, "timestamps": timestamps, "filled": {}}))
    stop = {"uid": str(uuid.uuid4()), "run_start": uid, "time": 1e9 / 3, "exit_status": "success", "reason": ""}
    return [*documents, ("stop", {**stop, "num_events": {"primary": num, "monitor": num}})]


def back(raw, documents, folders: tuple[Path, ...] = ()) -> list[tuple[str, dict[str, Any]]]:
    uid = documents[0][1]["uid"]
    archive = RunArchive(raw, uid, folders=folders)
    for number, (name, doc) in enumerate(documents):
        archive.write(name, doc)
        if number % 10 == 0 and name != "stop":  # which flushes
            archive.flush()
    return list(stored_documents(raw[uid]))


def events_of(documents, stream: str) -> list[dict[str, Any]]:
    """Events of a stream, without their uids, which are new; with all bits, and values as text where NaN is none."""
    uids = {doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream}
    events: list[dict[str, Any]] = []
    for name, doc in documents:
        if name == "event_page":
            events += [dict(event) for event in unpack_event_page(doc)]
        elif name == "event":
            events.append(doc)
    return [
        {
            "descriptor": event["descriptor"],
            "seq_num": event["seq_num"],
            "time": event["time"],
            "timestamps": event["timestamps"],
            "data": {
                key: (value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)
                for key, value in event["data"].items()
            },
        }
        for event in events
        if event["descriptor"] in uids
    ]


def named(documents, name: str) -> list[dict[str, Any]]:
    return [doc for one, doc in documents if one == name]


def check_schemas(documents) -> None:
    plain = (list, tuple, dict, str, int, float, bool, type(None))
    for name, doc in documents:
        if name != "event_page":
            schema_validators[DocumentNames[name]].validate(doc)
        assert all(isinstance(value, plain) for value in doc.values())


@pytest.mark.parametrize("num", [0, 1, 60])
def test_documents_come_back_as_they_were_logged(raw, num, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 16)
    documents = a_run(num)
    stored = back(raw, documents)
    check_schemas(stored)
    for name in ("start", "stop"):
        assert named(stored, name) == named(documents, name)
    assert sorted(named(stored, "descriptor"), key=lambda doc: doc["time"]) == named(documents, "descriptor")
    for stream in ("primary", "monitor"):
        assert events_of(stored, stream) == events_of(documents, stream)
    times = [page["time"][0] for page in named(stored, "event_page")]
    assert times == sorted(times) and len(times) >= 2 * (num // 16)
    assert [name for name, _ in stored][:: len(stored) - 1] == ["start", "stop"]


def test_pages_with_large_arrays_are_short(raw, monkeypatch):
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", 16 * (6 * 5 * 4 + 7 * 8))
    documents = a_run(40)
    assert max(len(page["seq_num"]) for page in named(back(raw, documents), "event_page")) <= 16


def test_frames_come_back_as_the_place_where_they_are(raw, tiled_server):
    run, documents = fly_run(tiled_server.state_dir / "frames" / "place.h5", lost=(3,))
    stored = back(raw, documents, (run.path.parent,))
    check_schemas(stored)
    resources = {doc["data_key"]: doc for doc in named(stored, "stream_resource")}
    logged = {doc["data_key"]: doc for doc in named(documents, "stream_resource")}
    assert resources.keys() == {IMAGE, NUMBER}
    for key, resource in resources.items():
        assert (resource["uri"], resource["mimetype"]) == (logged[key]["uri"], logged[key]["mimetype"])
        assert logged[key]["parameters"].items() <= resource["parameters"].items()
        (datum,) = [doc for doc in named(stored, "stream_datum") if doc["stream_resource"] == resource["uid"]]
        assert datum["indices"] == {"start": 0, "stop": run.lines * run.points - 1}
    assert events_of(stored, "positions") == events_of(documents, "positions")
    assert named(stored, "start") == named(documents, "start")


def test_a_run_that_goes_on_has_no_stop(raw):
    documents = a_run(20)[:-1]
    archive = RunArchive(raw, documents[0][1]["uid"])
    for name, doc in documents:
        archive.write(name, doc)
    archive.flush()
    stored = list(stored_documents(raw[archive.uid]))
    assert named(stored, "stop") == []
    assert events_of(stored, "primary") == events_of(documents, "primary")


def test_a_ghost_scan_comes_back(raw):
    documents = MadeRun(mask_set()).documents()
    stored = back(raw, documents)
    for stream in ("primary", "dark"):
        assert events_of(stored, stream) == events_of(documents, stream)


def test_a_refusal_names_the_run(raw):
    run_uid = a_run(1)
    back(raw, run_uid)
    run = raw[run_uid[0][1]["uid"]]
    raw.delete_contents([run_uid[0][1]["uid"]], recursive=True, external_only=False)
    with pytest.raises(CatalogError, match=run_uid[0][1]["uid"]):
        list(stored_documents(run))
