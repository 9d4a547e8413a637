"""Runs that are irregular in one way each: in their metadata, recipes, columns, names, or set of documents."""

from __future__ import annotations

import datetime
import decimal
import random
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import msgpack
import numpy as np

from benchmarks.drills.background import counted_documents
from benchmarks.drills.chain import Documents

METADATA: dict[str, Any] = {
    "tuples as keys": [{(1, 2): 3}],
    "a msgpack extension": msgpack.ExtType(5, b"x"),
    "whole numbers as keys": {1: "Cu", 2: "Ni"},
    "whole numbers as keys in a list": [{1: "Cu"}],
    "None as a key": {None: 1},
    "keys of several types": {1: "a", "1": "b", 2.5: "c"},
    "ns since the epoch": 1795733973974588297,
    "2**60": 2**60,
    "2**70": 2**70,
    "6e23": 6e23,
    "infinite": float("inf"),
    "not a number": {"a": float("nan"), "b": [float("nan")]},
    "complex": 1 + 2j,
    "complex array": np.array([1 + 2j]),
    "masked array": np.ma.masked_array([1.0, 2.0], [True, False]),
    "structured array": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "array of objects": np.array([{"a": 1}, None], dtype=object),
    "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "a moment": datetime.datetime(2026, 1, 2, 3, 4),
    "a decimal": decimal.Decimal("1.5"),
    "bytes": b"\x00abc",
    "a mixed set": {"b", 1},
    "a lone surrogate": "bad \udcff name",
    "NUL": "nul \x00 inside",
    "keys with dots and slashes": {"a.b": {"c/d": 1}, "$x": 1, "": 2},
    "2 MB of text": "x" * 2_000_000,
    "deep nesting": [],
    "a function": len,
}
_nest: list[Any] = METADATA["deep nesting"]
for _ in range(2000):
    _nest.append([])
    _nest = _nest[0]

RECIPES: dict[str, Any] = {
    "options of mixed keys": [{"method": "tv", "options": {1: 2, "a": 3}}],
    "10**9 steps": [{"method": "n2g", "options": {"steps": 10**9}}],
    "10**6 layers": [{"method": "n2g", "options": {"layers": 10**6}}],
    "10**6 permutations": [{"method": "n2g", "options": {"permutations": 10**6}}],
    "weights from a device": [{"method": "ch_mwcnn", "options": {"weights": "/dev/zero"}}],
    "no method": ["no such method", 7, None],
    "a number": 7,
}

COLUMNS: dict[str, list[Any]] = {
    "ragged": [np.arange(5.0), np.arange(7.0), np.arange(3.0)],
    "None": [None, 1.0, 2.0],
    "0-d": [np.array(1.0), np.array(2.0)],
    "empty": [np.zeros(0), np.zeros(0)],
    "uint64": [2**63 + 5, 3],
    "2**60": [2**60 + 1, 3],
    "infinite": [float("inf"), float("nan"), -0.0],
    "complex": [1 + 2j, 3j],
    "text": ["a", "日本語🙂", ""],
    "text with NUL": ["a\x00b", "c"],
    "true and false": [True, False],
    "numbers and text": [1.0, "two", 3],
    "lists": [[1, 2, 3], [4, 5, 6]],
    "bytes": [b"\x00\xff", b""],
    "whole and broken numbers": [1, 2.5, 3],
}

COLUMN_NAMES = ("COUNTER", "time", "seq_num", "ts_counter", "select", 'a"b', "a/b", "a.b", "größe", "", "x" * 300)
UIDS = ("../masks", "../raw", "?%2e%2e", "a/b", "", ".", 7)
STREAMS = ("../x", "a/b", "", "?", "internal")


def odd_run(kind: str, what: Any, uid: str) -> Documents:
    """A run that is irregular in one way.

    Parameters
    ----------
    kind : str
        "metadata", "recipes", "column", "column name", "uid", "stream" or "documents".
    what : object
        Key of METADATA, RECIPES, COLUMNS or DOCUMENTS, or the irregular name itself.
    uid : str
        Uid of the run, unless it is the irregular part.
    """
    documents = list(counted_documents(what if kind == "uid" else uid, pages=False))
    start, descriptor = documents[0][1], documents[1][1]
    if kind == "metadata":
        start["odd"] = METADATA[what]
    elif kind == "recipes":
        start["recipes"] = RECIPES[what]
    elif kind == "stream":
        descriptor["name"] = what
    elif kind == "documents":
        documents = DOCUMENTS[what](documents)
    elif kind != "uid":
        name = what if kind == "column name" else "odd"
        values = [1.0] if kind == "column name" else COLUMNS[what]
        _add_column(documents, name, values)
    return documents


def all_odd() -> list[tuple[str, Any]]:
    """All kinds with all their cases, in a fixed order that mixes the kinds."""
    kinds: dict[str, Iterable[Any]] = {
        "metadata": METADATA,
        "recipes": RECIPES,
        "column": COLUMNS,
        "column name": COLUMN_NAMES,
        "uid": UIDS,
        "stream": STREAMS,
        "documents": DOCUMENTS,
    }
    cases = [(kind, what) for kind, many in kinds.items() for what in many]
    random.Random(0).shuffle(cases)
    return cases


def _add_column(documents: Documents, name: str, values: list[Any]) -> None:
    first = values[0]
    shape = list(np.shape(first)) if isinstance(first, np.ndarray | list) else []
    dtype = "array" if shape else "string" if isinstance(first, str) else "number"
    documents[1][1]["data_keys"][name] = {"source": "odd", "dtype": dtype, "shape": shape}
    events = [doc for document, doc in documents if document == "event"]
    for number, event in enumerate(events):
        event["data"][name] = values[number % len(values)]
        event["timestamps"][name] = time.time()


def _without_descriptor(documents: Documents) -> Documents:
    return [documents[0], *documents[2:]]


def _after_the_stop(documents: Documents) -> Documents:
    return [*documents[:10], documents[-1], *documents[10:-1]]


def _twice(documents: Documents) -> Documents:
    return [*documents[:10], documents[0], *documents[5:]]


def _without_a_key(documents: Documents) -> Documents:
    del documents[5][1]["data"]["counter"]
    return documents


def _with_a_key_too_many(documents: Documents) -> Documents:
    documents[5][1]["data"]["more"] = 1.0
    return documents


def _without_seq_num(documents: Documents) -> Documents:
    del documents[5][1]["seq_num"]
    return documents


def _no_data_keys(documents: Documents) -> Documents:
    del documents[1][1]["data_keys"]
    return documents


def _not_mappings(documents: Documents) -> Documents:
    return [documents[0], ("descriptor", [1, 2]), ("event", None), *documents[1:]]  # type: ignore[list-item]


def _unknown_name(documents: Documents) -> Documents:
    return [*documents[:5], ("evnt", documents[5][1]), *documents[5:]]


def _files_nowhere(documents: Documents) -> Documents:
    resource = {
        "uid": str(uuid.uuid4()),
        "run_start": documents[0][1]["uid"],
        "spec": "NO_SPEC",
        "root": "/",
        "resource_path": "x",
    }
    datum = {"datum_id": f"{resource['uid']}/0", "resource": resource["uid"], "datum_kwargs": {}}
    resource |= {"resource_kwargs": {}, "path_semantics": "posix"}
    return [*documents[:2], ("resource", resource), ("datum", datum), *documents[2:]]


DOCUMENTS: dict[str, Callable[[Documents], Documents]] = {
    "no descriptor": _without_descriptor,
    "events after the stop": _after_the_stop,
    "the start twice, events again": _twice,
    "an event lacks a key": _without_a_key,
    "an event has a key too many": _with_a_key_too_many,
    "an event lacks its number": _without_seq_num,
    "a descriptor without data keys": _no_data_keys,
    "documents that are no mappings": _not_mappings,
    "a document of unknown name": _unknown_name,
    "files that nobody has": _files_nowhere,
}
