"""Documents as bytes: `decode` returns exactly what `encode` was given.

msgpack is used because floats stay exact (also NaN and infinity, which JSON turns into null), with an extension type for
arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from analysis.documents.plain import NotPlain, plain

_ARRAY = 1  # msgpack extension type: an ndarray as (dtype, shape, bytes)
LARGEST_BYTES = 500_000_000  # half of SQLite's limit
_HEADER_BYTES = 1024  # more than dtype and shape ever need


class LogError(RuntimeError):
    """A document could not be written to, or read from, the document log."""


@dataclass(frozen=True)
class ArrayLeftOut:
    """Placeholder for an array that was not requested."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def encode(doc: Mapping[str, Any], name: str = "document") -> bytes:
    """A document as bytes.

    Parameters
    ----------
    doc : mapping
        The document; not changed. `analysis.documents.plain` says what may be in it and what is converted.
    name : str
        Its name in error messages.

    Raises
    ------
    LogError
        If `decode` would not return its content unchanged; the message says where.
    """
    return pack(plain_document(doc, name), name)


def plain_document(doc: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The document as `decode` will return it. Raises LogError as `encode` does."""
    if not isinstance(doc, Mapping):
        raise LogError(f"a document cannot be logged: a {name} must be a table, not of type {type(doc).__name__}")
    try:
        converted: dict[str, Any] = plain(doc, name)
    except NotPlain as error:
        raise LogError(f"a document cannot be logged: {error}") from error
    return converted


def pack(doc: dict[str, Any], name: str) -> bytes:
    """A document from `plain_document` as bytes. Raises LogError if it is too large."""
    try:
        packed: bytes = msgpack.packb(doc, default=_encode_array)
        if len(packed) > LARGEST_BYTES:
            raise ValueError(f"{len(packed)} bytes")
    except (ValueError, MemoryError) as error:
        raise LogError(f"a document cannot be logged: the {name} is too large ({error}). Keep arrays in files") from error
    return packed


def decode(body: bytes, *, arrays: bool = True) -> dict[str, Any]:
    """Decode the document from bytes made by `encode`.

    Parameters
    ----------
    body : bytes
        From `encode`.
    arrays : bool
        Whether to decode arrays; otherwise each is replaced by an `ArrayLeftOut`.

    Raises
    ------
    LogError
        If the bytes are no document.
    """
    hook: Callable[[int, bytes], Any] = _decode_array if arrays else _leave_out_array
    try:
        # Logs of former versions contain keys that are integers.
        doc: dict[str, Any] = msgpack.unpackb(body, ext_hook=hook, strict_map_key=False)
    except Exception as error:  # msgpack, NumPy and Python each have their own errors for invalid bytes
        raise LogError(f"it cannot be decoded ({type(error).__name__}: {error})") from error
    if not isinstance(doc, dict):
        raise LogError(f"it is of type {type(doc).__name__}, not a table")
    return doc


def _encode_array(value: Any) -> Any:
    return msgpack.ExtType(_ARRAY, msgpack.packb((value.dtype.str, value.shape, value.tobytes())))


def _decode_array(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise LogError(f"unknown msgpack extension {code}")
    dtype, shape, buffer = msgpack.unpackb(data)
    return np.ndarray(tuple(shape), np.dtype(dtype), buffer)


def _leave_out_array(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise LogError(f"unknown msgpack extension {code}")
    unpacker = msgpack.Unpacker()
    unpacker.feed(data[:_HEADER_BYTES])
    unpacker.read_array_header()
    return ArrayLeftOut(np.dtype(unpacker.unpack()), tuple(unpacker.unpack()))
