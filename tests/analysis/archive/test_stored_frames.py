"""Which files a run's detectors may name."""

from __future__ import annotations

import pytest
from fly_runs import IMAGE, FlyRun

from analysis.archive.stored_frames import FileOwners
from analysis.documents.frames import FramesRefused


def test_two_detectors_may_not_name_the_same_file(tmp_path):
    documents = FlyRun(tmp_path / "scan.h5").start()
    data_keys = next(doc["data_keys"] for name, doc in documents if name == "descriptor")
    owners = FileOwners()
    for name, doc in documents:
        if name == "stream_resource":  # frames and numbers of one detector share its file
            owners.check(doc, data_keys)
            resource = doc
    other = {"camera_image": {**data_keys[IMAGE], "object_name": "camera"}}
    with pytest.raises(FramesRefused, match=r"camera and pixel_detector both name the file .*scan\.h5: give each"):
        owners.check({**resource, "data_key": "camera_image"}, other)
