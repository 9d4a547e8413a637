"""Names of runs, streams and data keys as parts of Tiled's addresses and as columns of its tables."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

# Characters that Tiled accepts both in an address and as a column; in its tables a name begins with a letter.
_PLAIN = re.compile(r"[A-Za-z][\w .:-]*")
_NOT_PLAIN = re.compile(r"[^\w .:-]")
_LONGEST_BYTES = 50
"""PostgreSQL allows 63 bytes, and the column of timestamps has the prefix `ts_`."""

# `time` and `seq_num` are columns of every stream's table, `ts_KEY` holds the timestamps of KEY, `internal` is the table
# itself.
_COLUMNS = ("time", "seq_num")
_RESERVED = ("ts_", "internal")


class BadName(ValueError):
    """A run cannot be stored under its uid."""


def checked_uid(uid: str) -> str:
    """Return the uid of a run if it is a UUID, as every Bluesky run's is.

    Raises
    ------
    BadName
        If not: as a part of an address it might point anywhere in the catalogue.
    """
    try:
        if str(uuid.UUID(uid)) == uid:
            return uid
    except ValueError:
        pass
    raise BadName(
        f"the run's uid {uid!r:.80} is not a UUID, so it cannot name a place in the catalogue. Let Bluesky make the uids"
    )


def stored_names(keys: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """The name under which each stream, or each data key of one stream, is stored: its own name if possible.

    In names that Tiled does not accept, each invalid character is replaced by `_`, and `_` is appended if the name is taken
    already: in a table, `i0` and `I0` are the same.

    Parameters
    ----------
    keys : iterable of str
        Names in the documents.
    taken : iterable of str
        Names that are in use.

    Returns
    -------
    dict of str to str
        The stored name of each key, in the same order.
    """
    used = {name.lower() for name in taken} | set(_COLUMNS)
    names = {}
    for key in keys:
        name = key if _is_plain(key) else _made_plain(key)
        while name.lower() in used:
            name += "_"
        used.add(name.lower())
        names[key] = name
    return names


def _is_plain(key: str) -> bool:
    fits = _PLAIN.fullmatch(key) and not key.lower().startswith(_RESERVED)
    return bool(fits) and len(key.encode()) <= _LONGEST_BYTES


def _made_plain(key: str) -> str:
    name = _NOT_PLAIN.sub("_", key)
    if not _PLAIN.fullmatch(name) or name.lower().startswith(_RESERVED):
        name = f"x_{name}"
    return name.encode()[:_LONGEST_BYTES].decode(errors="ignore")
