"""What a document may contain: numbers, text, bytes, lists, tables with text keys, and arrays of numbers or text.

There is one rule for everything that becomes part of a document: the log's writer, a plan's `md` and a session's metadata all
use `plain`, so that none of them accepts what another cannot store. Some values are converted to equivalent types:

========================================  =============================
value                                     becomes
========================================  =============================
tuple, named tuple                        list
set                                       sorted list
mapping                                   dict
NumPy number, text, boolean               Python's
enumeration of numbers or of text         its number or text
path                                      text
array of objects                          list
memory-mapped array, bytearray            array, bytes
========================================  =============================
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

DEEPEST = 100
"""Levels of nested lists and tables; JSON writers further on stop at about 250."""

_TEXT = frozenset((str,))
_SIMPLE = frozenset((float, bool, type(None)))  # nothing can be wrong with these
_ARRAY_KINDS = "biufSU"  # booleans, integers, numbers, bytes, text
_CURES = {
    "c": "store its real and its imaginary part",
    "M": "store seconds since 1970, or text",
    "m": "store seconds",
    "V": "store its columns apart",
}


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: Any) -> str:
    """A value as shown in an error message: short, however deeply nested it is."""
    return _SHORT.repr(value)


class NotPlain(TypeError):
    """A value cannot be part of a document; the message says where it is, what is wrong with it and what to write instead."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def __str__(self) -> str:
        return f"{self.path:.200} {self.problem}"


def plain(value: Any, name: str) -> Any:
    """Return a value in a form that a document can hold.

    Parameters
    ----------
    value : object
        Anything; not changed.
    name : str
        Its name in error messages, such as "md": the message then says `md["grid"][0] ...`.

    Raises
    ------
    NotPlain
        If it contains something that is not data, or that the log would not return unchanged.
    """
    try:
        return _plain(value, DEEPEST)
    except NotPlain as error:
        error.path = name + error.path
        raise


def plain_metadata(value: Any, name: str) -> Any:
    """Return `plain(value, name)` of metadata for a start document, where bluesky allows only some keys.

    Raises
    ------
    NotPlain
        Also if a key is empty or has a dot or a slash in it.
    """
    checked = plain(value, name)
    _check_keys(checked, name)
    return checked


def _check_keys(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not key or not {".", "/"}.isdisjoint(key):
                error = NotPlain(f"has the key {shown(key)}: metadata keys are not empty and have no dot or slash in them")
                error.path = path
                raise error
            _check_keys(item, f'{path}["{key}"]')


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float or kind is bool or value is None:
        return value
    if kind is str:
        return _text(value)
    if kind is int:
        return _whole(value)
    if kind is np.ndarray:
        return _array(value, depth)
    if depth == 0:
        raise NotPlain(f"is more than {DEEPEST} lists and tables deep, or contains itself: make it flatter")
    if kind is dict:
        return _table(value, depth)
    if kind is list or kind is tuple:
        return _list(value, depth)
    return _converted(value, depth)


def _table(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    plain_keys = _TEXT.issuperset(map(type, value)) and "".join(value).isascii()
    if plain_keys and _SIMPLE.issuperset(map(type, value.values())):
        return dict(value)  # readings, or their timestamps
    if not plain_keys:
        value = {_key(key): item for key, item in value.items()}
    table: dict[str, Any] = {}
    for key, item in value.items():
        kind = type(item)
        if kind in _SIMPLE or (kind is str and item.isascii()):  # most are, and a call takes longer than this test
            table[key] = item
            continue
        try:
            table[key] = _table(item, depth - 1) if kind is dict and depth > 1 else _plain(item, depth - 1)
        except NotPlain as error:
            error.path = f'["{key}"]{error.path}'
            raise
    return table


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise NotPlain(f"has the key {shown(key)} of type {type(key).__name__}: keys must be text")
    return _text(str.__str__(key))


def _list(value: Any, depth: int) -> list[Any]:
    if _SIMPLE.issuperset(map(type, value)):  # a waveform, perhaps
        return list(value)
    items = []
    for number, item in enumerate(value):
        try:
            items.append(_plain(item, depth - 1))
        except NotPlain as error:
            error.path = f"[{number}]{error.path}"
            raise
    return items


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotPlain(
                f"is the text {value!a:.80}, which is not valid Unicode: write it without its odd characters"
            ) from None
    return value


def _whole(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise NotPlain(f"is a whole number of more than 64 bits ({value.bit_length()}): write it as text")
    return value


def _array(value: np.ndarray, depth: int) -> Any:
    kind = value.dtype.kind
    if kind == "O":
        return _plain(value.tolist(), depth)
    if kind not in _ARRAY_KINDS or (value.dtype.itemsize > 8 and kind == "f") or value.dtype.itemsize == 0:
        cure = _CURES.get(kind, "convert it to float64, say")
        raise NotPlain(f"is an array of {value.dtype}, which cannot be stored: {cure}")
    if kind == "U":
        try:
            "".join(value.ravel().tolist()).encode()
        except (UnicodeEncodeError, ValueError):
            raise NotPlain("is an array with text that is not valid Unicode: write it without its odd characters") from None
    return value


def _converted(value: Any, depth: int) -> Any:
    if isinstance(value, msgpack.ExtType):
        raise NotPlain("is a msgpack ExtType: store the data themselves")
    if isinstance(value, np.ma.MaskedArray):
        raise NotPlain("is a masked array, whose mask would be lost: store value.filled(np.nan), or values and mask apart")
    if isinstance(value, np.ndarray):
        return _array(np.asarray(value), depth)
    if isinstance(value, np.generic):
        if value.dtype.kind not in _ARRAY_KINDS or (value.dtype.kind == "f" and value.dtype.itemsize > 8):
            raise NotPlain(f"is of type {type(value).__name__}: {_CURES.get(value.dtype.kind, 'convert it to float, say')}")
        return _plain(value.item(), depth)
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _whole(int.__int__(value))
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        return _list(value, depth)
    if isinstance(value, set | frozenset):
        return _sorted(value, depth)
    if isinstance(value, Mapping):
        return _table(value, depth)
    if isinstance(value, os.PathLike):
        return _plain(os.fspath(value), depth)
    raise NotPlain(f"is of type {type(value).__name__}, which is not data: write numbers, text, lists or arrays instead")


def _sorted(value: set[Any] | frozenset[Any], depth: int) -> list[Any]:
    try:
        ordered = sorted(value)
    except TypeError:
        raise NotPlain("is a set whose members have no common order: write it as a list") from None
    return _list(ordered, depth)
