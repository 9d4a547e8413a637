import datetime
import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import close_run, open_run

from plans.refusal import PlanRequestError
from plans.request import check_md
from plans.session_metadata import SessionMetadata


def plan():
    yield from open_run()
    yield from close_run()


def scan_id(path):
    md = SessionMetadata(path)
    starts = []
    RunEngine(md, scan_id_source=md.next_scan_id)(plan(), lambda name, doc: starts.append(doc) if name == "start" else None)
    return starts[0]


def test_scan_numbers_go_on_in_the_next_session(tmp_path):
    path = tmp_path / "state" / "session.json"
    assert [scan_id(path)["scan_id"] for _ in range(3)] == [1, 2, 3]
    SessionMetadata(path)["proposal"] = {"id": 7}
    start = scan_id(path)
    assert (start["scan_id"], start["proposal"]) == (4, {"id": 7})


def test_two_sessions_never_share_a_number(tmp_path):
    path = tmp_path / "session.json"
    code = (
        "import sys; from pathlib import Path; from plans.session_metadata import SessionMetadata\n"
        "md = SessionMetadata(Path(sys.argv[1]))\n"
        "for _ in range(50): md['scan_id'] = md.next_scan_id(); print(md['scan_id'])\n"
    )
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    numbers = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 101))


def test_values_can_be_changed_and_removed(tmp_path):
    path = tmp_path / "session.json"
    md = SessionMetadata(path)
    md.update(a=1, b=[2])
    del md["a"]
    assert dict(SessionMetadata(path)) == dict(md) == {"b": [2]}
    with pytest.raises(TypeError):
        md["c"] = object()
    assert dict(SessionMetadata(path)) == dict(md) == {"b": [2]}


@pytest.mark.parametrize("text", ["{broken", "[1]"])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path, text):
    path = tmp_path / "session.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"session\.json.*move it away"):
        SessionMetadata(path)


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    path = tmp_path / "session.json"
    md = SessionMetadata(path)
    assert md.next_scan_id() == 1

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"session\.json could not be stored \(No space left.*Free space") as caught:
        md.next_scan_id()
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    monkeypatch.undo()
    assert md.next_scan_id() == 2


def test_nested_changes_are_kept_with_the_next_scan_and_at_the_end(tmp_path):
    path = tmp_path / "session.json"
    md = SessionMetadata(path)
    md["proposal"] = {"id": 1, "people": ["A"]}
    md["proposal"]["id"] = 2
    md.next_scan_id()
    assert SessionMetadata(path)["proposal"] == {"id": 2, "people": ["A"]}
    md["proposal"]["people"].append("B")
    del md
    gc.collect()
    assert SessionMetadata(path)["proposal"] == {"id": 2, "people": ["A", "B"]}


def test_nested_changes_are_kept_when_the_session_ends(tmp_path):
    path = tmp_path / "session.json"
    code = "import sys; from pathlib import Path; from plans.session_metadata import SessionMetadata\n"
    code += "md = SessionMetadata(Path(sys.argv[1])); md['a'] = {}; md['a']['b'] = 1"
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2], check=True)
    assert SessionMetadata(path)["a"] == {"b": 1}


def test_a_change_of_one_session_does_not_undo_that_of_another(tmp_path):
    path = tmp_path / "session.json"
    one = SessionMetadata(path)
    one.update(a={"x": 1}, b=1)
    other = SessionMetadata(path)
    other["b"] = 2
    one["a"]["x"] = 5
    one.flush()
    assert dict(SessionMetadata(path)) == {"a": {"x": 5}, "b": 2}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.int64(5), 5),
        (np.float32(1.5), 1.5),
        (np.arange(3), [0, 1, 2]),
        ({"a": [np.arange(2)]}, {"a": [[0, 1]]}),
        (Path("/data/x"), "/data/x"),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        (float("inf"), float("inf")),
        (2**60, 2**60),
    ],
)
def test_values_are_taken_as_a_plan_takes_them(tmp_path, value, kept):
    path = tmp_path / "session.json"
    md = SessionMetadata(path)
    md["v"] = value
    assert check_md({"v": value}).keys() == {"v"}
    assert SessionMetadata(path)["v"] == kept


@pytest.mark.parametrize("value", [datetime.datetime(2026, 1, 1), {1: 2}, [{(1, 2): 3}], 2**70, 1j, "bad \udcff", len])
def test_what_a_plan_refuses_is_refused_before_anything_is_changed(tmp_path, value):
    path = tmp_path / "session.json"
    md = SessionMetadata(path)
    md["v"] = {"before": [1]}
    with pytest.raises(TypeError, match=r'RE\.md\["v"\]'):
        md["v"] = value
    with pytest.raises(PlanRequestError, match=r'md\["v"\]'):
        check_md({"v": value})
    with pytest.raises(TypeError, match="keys must be text"):
        md[5] = "x"
    with pytest.raises(TypeError, match=r"RE\.md has the key 'sample\.name'"):
        md["sample.name"] = "x"
    md["v"]["before"].append(value)
    with pytest.raises(TypeError, match=r'RE\.md\["v"\]\["before"\]\[1\]'):
        md.next_scan_id()
    assert SessionMetadata(path)["v"] == {"before": [1]}
    md["v"] = 1


def test_the_scan_number_can_be_set_back_and_forward(tmp_path):
    path = tmp_path / "session.json"
    assert scan_id(path)["scan_id"] == 1
    md = SessionMetadata(path)
    for value, following in ((5000, 5001), (0, 1), (0, 1)):
        md["scan_id"] = value
        assert scan_id(path)["scan_id"] == following
    del md["scan_id"]
    assert scan_id(path)["scan_id"] == 1


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "state" / "session.json"
    SessionMetadata(path)["a"] = 1
    assert [file.stat().st_mode & 0o777 for file in (path.parent, path)] == [0o700, 0o600]
