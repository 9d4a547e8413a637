"""Odd columns and odd metadata on their way into a real Tiled: the rest of the run is there, and what is odd is named."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
from archived_runs import archive, log, odd_run

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import connect
from analysis.archive.repeats import few_repeats
from analysis.documents.log import LogWriter, log_paths

pytestmark = pytest.mark.e2e

NUMBER, INTEGER, TEXT = {"dtype": "number"}, {"dtype": "integer"}, {"dtype": "string"}


def array(*shape: int | None):
    return {"dtype": "array", "shape": list(shape)}


@pytest.fixture
def catalog(tiled_server):
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as connected:
        yield connected


def stored(tiled_server, catalog, documents):
    log(tiled_server.state_dir, documents)
    archive(tiled_server.state_dir, catalog.raw)
    ledger = ArchiveLedger(tiled_server.state_dir)
    uid = documents[0][1]["uid"]
    assert uid not in ledger.problems()
    assert ledger.is_archived(uid)
    run = catalog.raw[uid]
    assert ledger.not_as_logged(uid) == dict(run.metadata["not_as_logged"])
    ledger.close()
    return run


GOOD = {
    "large integers": (INTEGER, [2**60 + 1, -(2**63), 3]),
    "time in ns": (INTEGER, [1795733973974588297, 2, 3]),
    "not finite": (NUMBER, [math.inf, -math.inf, math.nan]),
    "without dimensions": (NUMBER, [np.array(1.5), np.array(2.5), np.array(3.5)]),
    "whole numbers among others": (NUMBER, [1, 2.5, 3]),
    "NUL and other alphabets": (TEXT, ["a\0b", "日本語🙂", ""]),
    "lists": (array(3), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
    "another shape than announced": (array(48, 32), [np.full((32, 48), n, np.uint16) for n in range(3)]),
    "infinity in arrays": (array(2), [[math.inf, math.nan], [1, 2], [3.5, 4]]),
}


def test_what_a_table_or_an_array_can_hold_comes_back_as_it_was(tiled_server, catalog):
    _, documents = odd_run(GOOD)
    run = stored(tiled_server, catalog, documents)
    assert run.metadata["verified_against_log"] is True
    for key, (_, values) in GOOD.items():
        read = run["primary"][key].read()
        if isinstance(values[0], int | str):
            assert read.tolist() == values, key
        else:
            np.testing.assert_array_equal(read, np.array([np.asarray(value) for value in values]), err_msg=key)
    assert run["primary"]["another shape than announced"].dtype == np.uint16


CONVERTED = {
    "ragged": (array(5), [np.arange(5.0), np.arange(7.0), np.arange(3.0)], "json", "[0.0, 1.0, 2.0]"),
    "empty": (array(0), [np.zeros(0)] * 3, "json", "[]"),
    "texts": (array(2), [["a", "b"], ["longer", "c"], ["", "d"]], "json", '["", "d"]'),
    "none_array": (array(1), [None, [1.5], [2.5]], "json", "[2.5]"),
    "unsigned": (INTEGER, [3, 4, 2**63 + 5], "uint", 2**63 + 5),
    "large_float": (NUMBER, [1.0, 2.0, 2**60 + 1], "json", "1152921504606846977"),
    "fraction": (INTEGER, [1, 2, 2.5], "float", 2.5),
}


def test_a_column_that_fits_nowhere_is_converted_and_named_and_nothing_of_it_is_lost(tiled_server, catalog):
    _, documents = odd_run({key: (data_key, values) for key, (data_key, values, _, _) in CONVERTED.items()})
    run = stored(tiled_server, catalog, documents)
    assert run.metadata["verified_against_log"] is True
    assert run.metadata["not_as_logged"] == {}
    table = run["primary"].read()
    np.testing.assert_array_equal(table["diode"], np.arange(3) / 3)
    for key, (_, _, storage, last) in CONVERTED.items():
        assert run.metadata["converted"][f"primary/{key}"].startswith(f"stored as {storage}: announced as"), key
        assert run["primary"].metadata["data_keys"][key]["stored_as"] == storage
        assert run["primary"][key].read()[-1] == last, key
    assert [name for name, _ in run.documents()] == ["start", "descriptor", "event", "event", "event", "stop"]


RENAMED = {
    "DIODE": "DIODE_",
    "time": "time_",
    "seq_num": "seq_num_",
    "ts_diode": "x_ts_diode",
    "own/det": "own_det",
    "../masks": "x_.._masks",
    "a?b#c%2e": "a_b_c_2e",
    "internal": "x_internal",
}


def test_names_that_mean_something_else_to_the_catalogue_are_replaced_and_named(tiled_server, catalog, monkeypatch):
    # The log refuses some of these names; a log that something else wrote may hold them.
    monkeypatch.setattr("analysis.documents.log.check_document", lambda name, doc: None, raising=False)
    columns = {key: (array(1), [[1.0], [2.0], [3.0]]) for key in RENAMED}
    _, documents = odd_run(columns, stream="../../masks")
    run = stored(tiled_server, catalog, documents)
    assert run.metadata["verified_against_log"] is True
    assert run.metadata["converted"]["../../masks"] == "called x_.._.._masks"
    (stream,) = run
    for key, name in RENAMED.items():
        assert run.metadata["converted"][f"../../masks/{key}"] == f"called {name}"
        np.testing.assert_array_equal(run[stream][name].read().ravel(), [1, 2, 3])
    assert len(catalog.root) == 3


def test_what_cannot_be_stored_is_left_out_and_named_in_run_and_ledger(tiled_server, catalog):
    _, documents = odd_run({"bytes": (TEXT, [b"\x00", b"b", b"c"]), "none": (NUMBER, [None, 1.0, 2.0])})
    run = stored(tiled_server, catalog, documents)
    assert run.metadata["verified_against_log"] is False
    said = run.metadata["not_as_logged"]
    assert said["primary/bytes"] == "left out: announced as string, was b'\\x00'"
    assert said["primary/none"] == "None is stored as NaN"
    np.testing.assert_array_equal(run["primary"].read()["none"], [math.nan, 1, 2])
    assert "bytes" not in run["primary"]


def test_a_value_that_is_odd_late_makes_the_run_be_written_again(tiled_server, catalog):
    values = [np.arange(4.0)] * 700 + [np.arange(6.0)]
    _, documents = odd_run({"wave": (array(4), values)})
    run = stored(tiled_server, catalog, documents)
    assert run["primary"]["wave"].read()[-1] == "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]"
    np.testing.assert_array_equal(run["primary"]["seq_num"].read(), np.arange(701) + 1)


def test_numbers_in_metadata_come_back_as_they_were(tiled_server, catalog):
    md = {"ns": 1795733973974588297, "two": 2**60, "u64": 2**64 - 1, "17": 1e17, "23": 6e23, "19": [1e19], "tiny": 5e-324}
    _, documents = odd_run({}, md={"sample": 17, "tiled_specs": ["a"], "tiled_access_tags": ["b"], **md})
    run = stored(tiled_server, catalog, documents)
    for key, value in md.items():
        assert run.metadata["start"][key] == value, key
    assert run.metadata["start"]["tiled_specs"] == ["a"]
    assert run.metadata["verified_against_log"] is True


def test_metadata_that_json_cannot_hold_become_text_and_the_run_is_not_called_verified(tiled_server, catalog):
    _, documents = odd_run({}, md={"x": {"inf": math.inf, "nan": [1.0, math.nan]}, "raw": b"\x01\xff"})
    run = stored(tiled_server, catalog, documents)
    assert run.metadata["start"]["x"] == {"inf": "inf", "nan": [1.0, "nan"]}
    assert run.metadata["start"]["raw"] == "01ff"
    assert run.metadata["verified_against_log"] is False
    assert sorted(run.metadata["not_as_logged"]) == ["start/raw", "start/x/inf", "start/x/nan/1"]


def test_a_detector_whose_files_nobody_can_read_costs_its_own_column_alone(tiled_server, catalog, tmp_path):
    uid, documents = odd_run({"camera": ({"dtype": "array", "shape": [6, 7], "external": "FILESTORE:"}, ["a/0", "a/1", "a/2"])})
    resource = {"uid": "a", "run_start": uid, "spec": "NPY_SEQ", "root": str(tmp_path), "resource_path": "gone"}
    extra = [("resource", {**resource, "resource_kwargs": {}, "path_semantics": "posix"})]
    extra += [("datum", {"datum_id": f"a/{number}", "resource": "a", "datum_kwargs": {"index": number}}) for number in range(3)]
    for name, doc in documents:
        if name == "event":
            doc["filled"] = {"camera": False}
    run = stored(tiled_server, catalog, [*documents[:2], *extra, *documents[2:]])
    assert run.metadata["verified_against_log"] is False
    assert run.metadata["not_as_logged"]["primary/camera"].startswith("left out: ")
    np.testing.assert_array_equal(run["primary"].read()["diode"], np.arange(3) / 3)


def test_a_configuration_whose_data_keys_have_no_types_is_stored_as_it_is(tiled_server, catalog):
    """As that of an EpicsMotor which is no ghostbeam device."""
    _, documents = odd_run({"x": (NUMBER, [1.0, 2.0, 3.0])})
    keys = {"offset": NUMBER, "old": {**NUMBER, "dtype_str": "<f8"}, "odd": {**NUMBER, "shape": None}}
    configuration = {"x": {"data": dict.fromkeys(keys, 0.5), "timestamps": dict.fromkeys(keys, 1.0), "data_keys": keys}}
    documents = [(name, doc | {"configuration": configuration} if name == "descriptor" else doc) for name, doc in documents]
    run = stored(tiled_server, catalog, documents)
    assert run["primary"].metadata["configuration"] == configuration


@pytest.mark.parametrize("uid", ["../masks", "?%2e%2e", "short", "B24F9056-3522-4E2D-BF9B-5825F5D21A99"])
def test_a_uid_that_is_no_uuid_never_reaches_the_catalogue(tiled_server, catalog, uid, monkeypatch):
    monkeypatch.setattr("analysis.documents.log.check_document", lambda name, doc: None, raising=False)
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    writer("start", {"uid": uid, "time": 1.0})
    writer("stop", {"uid": str(uuid.uuid4()), "run_start": uid, "time": 9.0, "exit_status": "success"})
    writer.close()
    before = [sorted(container) for container in (catalog.raw, catalog.masks, catalog.processed)]
    archive(tiled_server.state_dir, catalog.raw)
    assert [sorted(container) for container in (catalog.raw, catalog.masks, catalog.processed)] == before
    ledger = ArchiveLedger(tiled_server.state_dir)
    assert "is not a UUID" in ledger.problems()[uid]
    ledger.close()
