"""`reconstruct last` takes the newest run that can be reconstructed."""

import uuid

import pytest

from analysis.documents.log import LogWriter, log_paths
from analysis.offline.acquisition import LAST, RunUnknown, whole_uid


def write(path, *starts):
    writer = LogWriter(path)
    uids = []
    for entries in starts:
        uids.append(str(uuid.uuid4()))
        writer("start", {"uid": uids[-1], "time": 1.0, **entries})
        writer("stop", {"uid": str(uuid.uuid4()), "run_start": uids[-1], "time": 2.0, "exit_status": "success", "num_events": {}})
    writer.close()
    return uids


def test_runs_of_no_technique_are_passed_over(tmp_path):
    scan, dark = write(log_paths(tmp_path).raw, {"ghost": {}}, {"plan_name": "dark_scan"})
    assert whole_uid(tmp_path, LAST) == scan
    assert whole_uid(tmp_path, dark[:8]) == dark


def test_a_log_without_such_a_run_says_so(tmp_path):
    write(log_paths(tmp_path).raw, {"plan_name": "count"})
    with pytest.raises(RunUnknown, match="no run that can be reconstructed"):
        whole_uid(tmp_path, LAST)
