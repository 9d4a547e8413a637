"""Randomly malformed documents: valid runs in which values, keys, names and the order are changed."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import math
import os
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import numpy as np
from event_model import pack_event_page

from analysis.techniques.ghost.mask_sets import MaskSet
from benchmarks._documents import counted_scan_documents

MASKS = MaskSet(
    "made", np.random.default_rng(0).integers(0, 2, (8, 4, 4)).astype(np.float32), np.arange(16.0).reshape(8, 2), 10.0
)
_MOST_CHANGES = 4

Document = tuple[Any, Any]


class _Level(enum.IntEnum):
    LOW = 1


class _Colour(enum.Enum):
    RED = 1


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _contains_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


ODD: list[Callable[[], Any]] = [
    *(
        lambda value=value: value  # type: ignore[misc]
        for value in (
            *(None, True, 0, -1, 7, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, -0.0, 5e-324, 1e308),
            *(float("nan"), float("inf"), 1j, decimal.Decimal("1.5"), _Level.LOW, _Colour.RED, len, object()),
            *(
                "",
                "../masks",
                "?%2e%2e",
                "a/b",
                ".",
                "\x00",
                "bad \udcff",
                "größe",
                "x" * 300,
                "seq_num",
                "time",
                "1",
                "2026-01-01",
            ),
            *(b"", b"\x00\xff", bytearray(b"ab"), Path("a/b"), datetime.datetime(2026, 1, 2), uuid.UUID(int=4), (), (1, (2,))),
            *(np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("text"), np.complex64(1), np.datetime64("2026-01-01")),
            *(np.longdouble(1), np.void(b"12"), np.array(1.0), np.zeros(0), np.zeros((0, 3)), np.arange(6).reshape(2, 3)[:, ::2]),
            *(np.array([1j]), np.array(["a", "bad \udcff"]), np.array(["ä", ""]), np.array([b"a"]), np.array(["2026"], "M8[Y]")),
            *(np.array([(1, 2.5)], "i4,f8"), np.ma.array([1, 2], mask=[0, 1]), np.zeros(2, ">f4"), np.zeros(2, np.longdouble)),
            *(np.array([1, "a", None], object), np.array([object()]), msgpack.ExtType(5, b"x"), msgpack.ExtType(1, b"x")),
            *(msgpack.Timestamp(1), frozenset(), frozenset((3, 1)), frozenset((1, "a"))),
        )
    ),
    lambda: {},
    lambda: [],
    lambda: {1: "Cu"},
    lambda: {1: "a", "1": "b", 2.5: "c"},
    lambda: [{(1, 2): 3}],
    lambda: {None: 1},
    lambda: {np.int64(1): 1},
    lambda: {np.str_("k"): 1, "\udcff": 2},
    lambda: OrderedDict(a=1),
    lambda: [1, "a", None, [2.5]],
    lambda: _nested(60),
    lambda: _nested(150),
    lambda: _nested(5000),
    _contains_itself,
]
_KEYS = (1, None, (1, 2), 2.5, "", "a/b", "../x", "?", "\udcff", "x" * 300, "größe", "uid", "descriptor", "external", "seq_num")
_NAMES = (
    "start",
    "descriptor",
    "event",
    "event_page",
    "resource",
    "datum",
    "datum_page",
    "stream_resource",
    "stream_datum",
    "stop",
)
_ODD_NAMES = (*_NAMES, "evnt", "", None, 7, [], "bulk_events")


def malformed_run(random: Random) -> list[Document]:
    """A short run that is malformed in up to four ways (rarely in none), at random places."""
    documents = _sound_run(random)
    for _ in range(random.randint(0, _MOST_CHANGES)):
        change = random.choice((_replace, _replace, _replace, _add, _remove, _swap, _repeat, _drop, _rename, _odd_document))
        change(documents, random)
    return documents


def comes_back(given: Any, back: Any) -> bool:
    """Whether a log returned what it was given, apart from the documented conversions."""
    if isinstance(given, np.generic) or (isinstance(given, np.ndarray) and given.dtype.hasobject):
        return comes_back(given.tolist(), back)
    if isinstance(given, np.ndarray):
        same_kind = isinstance(back, np.ndarray) and (given.dtype, given.shape) == (back.dtype, back.shape)
        return same_kind and type(given) is np.ndarray and given.tobytes() == back.tobytes()
    if isinstance(given, Mapping):
        return isinstance(back, dict) and given.keys() == back.keys() and all(comes_back(given[key], back[key]) for key in given)
    if isinstance(given, set | frozenset):
        given = sorted(given)
    if isinstance(given, list | tuple):
        same_length = isinstance(back, list) and len(given) == len(back)
        return same_length and all(map(comes_back, given, back))
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    for kind in (bool, int, str):
        if isinstance(given, kind):
            return type(back) is kind and back == given
    if isinstance(given, float):
        return type(back) is float and (struct.pack("d", given) == struct.pack("d", back) or math.isnan(given))
    if isinstance(given, bytes | bytearray):
        return type(back) is bytes and back == given
    return given is None and back is None


def _sound_run(random: Random) -> list[Document]:
    counts = np.arange(1.0, 1.0 + random.randint(1, 12))
    uid = str(uuid.UUID(int=random.getrandbits(128), version=4))
    made = counted_scan_documents(MASKS, counts, counts + 5, uid=uid, sample="made", seed=0)
    documents: list[Document] = [(name, copy.deepcopy(doc)) for name, doc in made]
    if random.random() < 0.3:
        documents[2:-1] = [("event_page", dict(pack_event_page(*(doc for _, doc in documents[2:-1]))))]
    if random.random() < 0.3:
        documents[2:2] = _frames(uid)
    return documents


def _frames(run: str) -> list[Document]:
    key = {"source": "made", "dtype": "array", "shape": [4, 4], "dtype_numpy": "<u2", "external": "STREAM:"}
    descriptor = {"uid": f"frames-{run}", "run_start": run, "time": 1.0, "name": "frames", "data_keys": {"image": key}}
    resource = {"uid": f"file-{run}", "run_start": run, "data_key": "image", "mimetype": "application/x-hdf5"}
    resource |= {"uri": "file://localhost/no/such.h5", "parameters": {"dataset": "/entry/data/data", "chunk_shape": [64]}}
    datum = {"uid": f"file-{run}/1", "descriptor": descriptor["uid"], "stream_resource": resource["uid"]}
    datum |= {"indices": {"start": 0, "stop": 5}, "seq_nums": {"start": 1, "stop": 6}}
    more = {"object_keys": {}, "configuration": {}, "hints": {}}
    return [("descriptor", {**descriptor, **more}), ("stream_resource", resource), ("stream_datum", datum)]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every table or list in a document, with each of its keys."""
    places: list[tuple[Any, Any]] = []
    waiting, depth = [value], 0
    while waiting and depth < 200:
        container = waiting.pop()
        depth += 1
        items = container.items() if isinstance(container, dict) else enumerate(container) if isinstance(container, list) else ()
        for key, item in list(items):
            places.append((container, key))
            waiting.append(item)
    return places


def _place(documents: list[Document], random: Random) -> tuple[Any, Any] | None:
    places = _places(random.choice(documents)[1]) if documents else []
    return random.choice(places) if places else None


def _replace(documents: list[Document], random: Random) -> None:
    if place := _place(documents, random):
        place[0][place[1]] = random.choice(ODD)()


def _add(documents: list[Document], random: Random) -> None:
    place = _place(documents, random)
    if place and isinstance(place[0], dict):
        place[0][random.choice(_KEYS)] = random.choice(ODD)()


def _remove(documents: list[Document], random: Random) -> None:
    if place := _place(documents, random):
        del place[0][place[1]]


def _swap(documents: list[Document], random: Random) -> None:
    if documents:
        one, other = random.randrange(len(documents)), random.randrange(len(documents))
        documents[one], documents[other] = documents[other], documents[one]


def _repeat(documents: list[Document], random: Random) -> None:
    if documents:
        documents.insert(random.randrange(len(documents)), copy.copy(random.choice(documents)))


def _drop(documents: list[Document], random: Random) -> None:
    if documents:
        del documents[random.randrange(len(documents))]


def _rename(documents: list[Document], random: Random) -> None:
    if documents:
        place = random.randrange(len(documents))
        documents[place] = (random.choice(_ODD_NAMES), documents[place][1])


def _odd_document(documents: list[Document], random: Random) -> None:
    documents.insert(random.randint(0, len(documents)), (random.choice(_NAMES), random.choice(ODD)()))
