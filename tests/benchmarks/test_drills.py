"""What drills rest on: a clock that jumps and a disk that fills for their own processes alone, and odd runs that are odd."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from event_model import DocumentNames, schema_validators

from analysis.documents.log import LogError, LogReader, LogWriter
from benchmarks.drills.background import counted_documents
from benchmarks.drills.fly import exchanged, misplaced
from benchmarks.drills.judging import not_logged
from benchmarks.drills.odd_runs import all_odd, odd_run

_ROOT = Path(__file__).parents[2]
_INSIDE = """
import os, subprocess, sys, time
import psutil
from benchmarks.drills.namespace import Namespace, enter

if not Namespace.inside():
    sys.exit(enter("inside"))
with Namespace() as namespace:
    clock, boot = time.time(), psutil.boot_time()
    namespace.shift_clock(-500)
    other = [sys.executable, "-c", "import time, psutil; print(time.time(), psutil.boot_time())"]
    seen = [float(word) for word in subprocess.run(other, capture_output=True, text=True, check=True).stdout.split()]
    assert -500 < seen[0] - clock < -400 and seen[1] == boot - 500, (clock, boot, seen)
    namespace.fill_disk()
    try:
        (namespace.disk / "file").write_bytes(bytes(100_000))
        raise AssertionError("the disk isn't full")
    except OSError:
        namespace.free_disk()
    (namespace.disk / "file").write_bytes(bytes(100_000))
print("as it should be")
"""


def test_the_clock_jumps_and_the_disk_fills_inside_alone(tmp_path):
    (tmp_path / "inside.py").write_text(_INSIDE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(_ROOT)])}
    before = time.time()
    done = subprocess.run([sys.executable, "-m", "inside"], capture_output=True, text=True, env=environment, timeout=60)
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "as it should be\n", done.stderr
    assert before <= time.time() < before + 60


def test_documents_that_the_log_does_not_have_are_counted(tmp_path):
    uid = str(uuid.uuid4())
    documents = list(counted_documents(uid, pages=False))
    with pytest.raises(LogError):
        LogWriter(tmp_path / "other.db")(*documents[1])
    writer = LogWriter(tmp_path / "log.db")
    for name, doc in documents[:-1]:
        writer(name, doc)
    writer.close()
    reader = LogReader(tmp_path / "log.db")
    assert not_logged(reader, uid, documents[:-1]) == 0
    assert not_logged(reader, uid, documents) == 1
    changed = [*documents[:5], ("event", {**documents[5][1], "seq_num": 7}), *documents[6:-1]]
    assert not_logged(reader, uid, changed) == 1
    reader.close()


def test_runs_of_the_background_are_as_bluesky_has_them():
    for pages in (True, False):
        for name, doc in counted_documents("a", pages=pages):
            plain = {**doc, "data": {}, "timestamps": {}} if name.startswith("event") else doc
            schema_validators[DocumentNames[name]].validate(plain)


def test_positions_that_belong_to_another_number_are_counted():
    names = {"number": "number", "y": "y", "x": "x"}
    entry = {"positions": names, "grid": {"y_um": [-1.0, 1.0, 3], "x_um": [0.0, 3.0, 4], "snake": True}}
    x = [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3]
    positions = pd.DataFrame({"number": np.arange(1, 13), "y": np.repeat([-1.0, 0.0, 1.0], 4), "x": np.array(x) + 0.1})
    assert misplaced(positions, entry) == 0
    assert misplaced(positions.drop(index=5), entry) == 0  # that one is lost, not in another's place
    positions["number"] = [1, 2, 4, 3, *range(5, 13)]
    assert misplaced(positions, entry) == 2


def test_frames_that_are_another_than_their_number_says_are_counted():
    patterns = np.arange(64 * 6, dtype=np.uint16).reshape(64, 2, 3)
    numbers = np.array([1, 2, 64, 65, 130])
    images = patterns[numbers % 64][:, None]  # as Tiled has them
    assert exchanged(images, numbers, patterns) == exchanged(images[:, 0], numbers, patterns) == 0
    assert exchanged(images, numbers + 1, patterns) == 5
    assert exchanged(images, np.array([1, 2, 64, 66, 130]), patterns) == 1


def test_odd_runs_differ_from_a_sound_one_in_one_way():
    sound = {name for name, _ in counted_documents("a", pages=False)}
    assert sound == {"start", "descriptor", "event", "stop"}
    for kind, what in all_odd():
        documents = odd_run(kind, what, "a")
        assert documents[0][0] == "start" and len(documents) > 50
