import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import close_run, open_run

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
