"""Which images of a file are pairs, as the command line says it."""

import pytest

from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_pairs import Pairing
from ghostbeam.ingest_command import _pairing


def test_halves_are_named_by_their_windows():
    assert _pairing("halves", ["0,8,0,8", "0, 8, 8, 16"]) == Pairing("halves", [[0, 8, 0, 8], [0, 8, 8, 16]])
    assert _pairing("consecutive", []) == Pairing("consecutive", [])
    assert _pairing(None, []) is None


@pytest.mark.parametrize(
    ("kind", "halves", "says"),
    [
        ("thirds", [], "say halves or consecutive"),
        (None, ["0,8,0,8"], "--half needs --pairs halves"),
        ("halves", ["0,8,0,half", "0,8,8,16"], "four whole numbers such as 0,512,0,512"),
        ("halves", ["0,8,0,8"], "two windows of four whole numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, halves, says):
    with pytest.raises(IngestError, match=says):
        _pairing(kind, halves)
