"""The requirements that a document must meet to be logged: readers rely on them, so that none has to check again.

Names of streams and data become parts of addresses in Tiled, and so does a run's uid: they may only contain harmless
characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.encoding import LogError
from analysis.documents.plain import shown

LONGEST_NAME = 200

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IN_ADDRESSES = frozenset("/\\?#%")


_RANGE = "a table with the whole numbers start and stop"
_KINDS: dict[str, tuple[type, ...]] = {  # types as `plain` returns them
    "text": (str,),
    "a table": (dict,),
    "a list": (list,),
    "a number": (int, float),
    "a whole number": (int,),
    _RANGE: (dict,),
}
_FIELDS: dict[str, dict[str, str]] = {
    "start": {"uid": "text", "time": "a number"},
    "descriptor": {"uid": "text", "run_start": "text", "time": "a number", "name": "text", "data_keys": "a table"},
    "event": {
        "uid": "text",
        "descriptor": "text",
        "time": "a number",
        "seq_num": "a whole number",
        "data": "a table",
        "timestamps": "a table",
    },
    "event_page": {
        "uid": "a list",
        "descriptor": "text",
        "time": "a list",
        "seq_num": "a list",
        "data": "a table",
        "timestamps": "a table",
    },
    "stream_resource": {"uid": "text", "run_start": "text", "data_key": "text", "uri": "text", "parameters": "a table"},
    "stream_datum": {
        "uid": "text",
        "descriptor": "text",
        "stream_resource": "text",
        "indices": _RANGE,
        "seq_nums": _RANGE,
    },
    "resource": {"uid": "text"},
    "datum": {"datum_id": "text", "resource": "text"},
    "datum_page": {"datum_id": "a list", "resource": "text"},
    "stop": {"uid": "text", "run_start": "text", "time": "a number", "exit_status": "text"},
}


def check_kind(name: Any) -> None:
    """Raise LogError unless this is Bluesky's name of a kind of document."""
    if not isinstance(name, str) or name not in _FIELDS:
        raise LogError(f"a document of the kind {shown(name)} cannot be logged; the kinds are {', '.join(_FIELDS)}")


def check_document(name: str, doc: Mapping[str, Any]) -> None:
    """Raise unless a document has the entries that its kind requires.

    Parameters
    ----------
    name : str
        A name that `check_kind` lets pass.
    doc : mapping
        The document, as `plain` returns it.

    Raises
    ------
    LogError
        The message names the entry and what it must be.
    """
    for key, kind in _FIELDS[name].items():
        value: Any = doc.get(key)
        wrong = type(value) not in _KINDS[kind] or (kind == "text" and not 0 < len(value) <= LONGEST_NAME)
        if wrong or (kind == _RANGE and not (type(value.get("start")) is type(value.get("stop")) is int)):
            found = f"not {shown(doc[key])}" if key in doc else "which is missing"
            raise LogError(f'a document cannot be logged: {name}["{key}"] must be {kind}, {found}')
    if name == "start":
        check_run_uid(doc["uid"])
    elif name == "descriptor":
        _check_descriptor(doc)
    elif name == "event_page":
        _check_page(doc)
    elif name == "stop" and not isinstance(doc.get("num_events", {}), Mapping):
        raise LogError('a document cannot be logged: stop["num_events"] must be a table')


def check_run_uid(uid: Any) -> None:
    """Raise LogError unless this is a UUID as uuid.uuid4() writes them: a run's uid becomes a part of its address in Tiled."""
    if not isinstance(uid, str) or not _UUID.fullmatch(uid):
        raise LogError(f"the uid of a run must be a UUID in small letters, such as str(uuid.uuid4()), not {uid!r:.80}")


def keys_of_events(descriptor: Mapping[str, Any]) -> frozenset[str]:
    """The data keys in each event of a descriptor: all except those whose data come as stream documents."""
    data_keys = descriptor["data_keys"]
    return frozenset(key for key in data_keys if not str(data_keys[key].get("external", "")).startswith("STREAM:"))


def check_keys(name: str, doc: Mapping[str, Any], keys: frozenset[str]) -> None:
    """Raise LogError unless an event, or a page of events, has a value and a timestamp for each of these data keys."""
    for part in ("data", "timestamps"):
        if doc[part].keys() != keys:
            missing, unknown = sorted(keys - doc[part].keys()), sorted(doc[part].keys() - keys)
            wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}, which its descriptor does not list"
            raise LogError(f'a document cannot be logged: {name}["{part}"] {wrong}. Its keys must be those of the descriptor')


def _check_descriptor(doc: Mapping[str, Any]) -> None:
    _check_name(doc["name"], 'descriptor["name"]')
    for key, data_key in doc["data_keys"].items():
        _check_name(key, "a data key")
        if not isinstance(data_key, Mapping) or not isinstance(data_key.get("dtype"), str):
            raise LogError(f'a document cannot be logged: descriptor["data_keys"]["{key}"] must be a table that names a dtype')
        if not isinstance(data_key.get("shape"), list | tuple):
            raise LogError(f'a document cannot be logged: descriptor["data_keys"]["{key}"]["shape"] must be a list')


def _check_name(name: str, what: str) -> None:
    plain_name = 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
    if not plain_name or name.startswith(".") or _IN_ADDRESSES & set(name):
        raise LogError(
            f"a document cannot be logged: {what} must be a plain name, without any of / \\ ? # % and no dot in front, "
            f"not {name!r:.80}"
        )


def _is_column(value: Any, length: int) -> bool:
    return len(value) == length if isinstance(value, list) else isinstance(value, np.ndarray) and value.shape[:1] == (length,)


def _check_page(doc: Mapping[str, Any]) -> None:
    columns = [doc["uid"], doc["time"], *doc["data"].values(), *doc["timestamps"].values()]
    length = len(doc["seq_num"])
    if not all(_is_column(column, length) for column in columns):
        raise LogError("a document cannot be logged: all columns of an event_page must be lists of the same length")
    if not {int}.issuperset(map(type, doc["seq_num"])) or not {int, float}.issuperset(map(type, doc["time"])):
        raise LogError("a document cannot be logged: seq_num and time of an event_page must be lists of numbers")
