"""What the log takes comes back as it was, or as the documentation says; what would not is refused by its place."""

from __future__ import annotations

import contextlib
import datetime
import enum
from collections import OrderedDict, namedtuple
from pathlib import Path
from types import MappingProxyType

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from analysis.documents.encoding import ArrayLeftOut, LogError, decode, encode

texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
dtypes = st.one_of(
    st_numpy.boolean_dtypes(), st_numpy.integer_dtypes(endianness="?"), st_numpy.unsigned_integer_dtypes(endianness="?")
) | st_numpy.floating_dtypes(sizes=(16, 32, 64), endianness="?")


@given(st.dictionaries(texts, values))
def test_a_document_comes_back_exactly(doc):
    assert repr(decode(encode(doc))) == repr(doc)


@given(st_numpy.arrays(dtypes, st_numpy.array_shapes(min_dims=0, min_side=0)))
def test_arrays_keep_shape_type_and_every_bit(array):
    body = encode({"a": array})
    back = decode(body)["a"]
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert decode(body, arrays=False) == {"a": ArrayLeftOut(array.dtype, array.shape)}


class Level(enum.IntEnum):
    LOW = 1


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value, stored",
    [
        ((1, (2,)), [1, [2]]),
        (namedtuple("Point", "y x")(1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({np.str_("a"): 1, Colour.RED: 2}, {"a": 1, "red": 2}),
        (np.float32(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (Level.LOW, 1),
        (Colour.RED, "red"),
        (Path("a/b"), "a/b"),
        (np.array(["a", 1, None], dtype=object), ["a", 1, None]),
        (bytearray(b"ab"), b"ab"),
    ],
)
def test_what_is_converted_becomes_what_the_documentation_says(value, stored):
    back = decode(encode({"v": [value]}))["v"][0]
    assert back == stored and type(back) is type(stored)


@pytest.mark.parametrize(
    "value, told",
    [
        ({(1, 2): 3}, r"has the key \(1, 2\) of type tuple: keys must be text"),
        ({1: "Cu"}, "has the key 1 of type int"),
        ({"a": 1, 1: 2}, "has the key 1 of type int"),
        ({None: 1}, "has the key None"),
        ({np.int64(1): 1}, "of type int64"),
        ({"\udcff": 1}, "not valid Unicode"),
        ("bad \udcff name", "not valid Unicode"),
        (np.array(["bad \udcff"]), "not valid Unicode"),
        (2**64, "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits"),
        (msgpack.ExtType(5, b"x"), "ExtType"),
        (msgpack.Timestamp(1), "of type Timestamp"),
        (np.array([1j]), "its real and its imaginary part"),
        (1j, "of type complex"),
        (np.complex64(1), "its real and its imaginary part"),
        (np.array([(1, 2)], "i4,i4"), "store its columns apart"),
        (np.ma.array([1, 2], mask=[0, 1]), "masked array"),
        (np.array(["2026"], "M8[Y]"), "seconds since 1970"),
        (np.zeros(2, np.longdouble), "float64"),
        (np.array([object()]), "of type object"),
        (datetime.datetime(2026, 1, 2), "of type datetime"),
        ({"b", 1}, "no common order"),
        (object(), "of type object"),
        (len, "not data"),
    ],
)
def test_what_would_not_come_back_is_refused_by_its_place(value, told):
    with pytest.raises(LogError, match=rf'cannot be logged: md\["grid"\]\[0\]\S* .*{told}'):
        encode({"grid": [value]}, "md")


def test_what_contains_itself_is_refused():
    doc: dict = {}
    doc["self"] = [doc]
    with pytest.raises(LogError, match="contains itself"):
        encode(doc)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document_are_a_log_error(data):
    for arrays in (True, False):
        with contextlib.suppress(LogError):
            assert isinstance(decode(data, arrays=arrays), dict)
