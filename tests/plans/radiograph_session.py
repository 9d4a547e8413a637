"""A session with the X-ray camera and the rotation on simulated records, and what its documents and files say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - the filter that frames are compressed with
import numpy as np
from fly_session import IMAGES, FlySession, path_of

from plans import radiograph_series, tomo_scan
from plans.preprocessors import use_devices

IMAGE, NUMBER = "xray_camera_image", "xray_camera_number"


class RadiographSession(FlySession):
    """Takes radiographs, and keeps the documents."""

    def series(self, plan: Any = radiograph_series, **changes: Any) -> Any:
        here = self.devices
        bound = use_devices(plan, shutter=here.shutter, sample_stage=here.sample_stage)
        return bound(here.xray_camera, **changes)

    def tomo(self, **changes: Any) -> Any:
        here = self.devices
        bound = use_devices(tomo_scan, shutter=here.shutter, sample_stage=here.sample_stage, angle_box=here.angle_box)
        return bound(here.xray_camera, here.rotation_stage, **changes)

    def at_angle(self, number: int, act: Callable[[], Any]) -> None:
        """Act once when so many angles have come."""
        self.once("event_page", lambda doc: doc["data"]["angle_box_number"][-1] >= number, act)

    def angles(self) -> np.ndarray:
        """All angles by the number of their trigger, which are 1, 2, 3, ..."""
        pages = [doc["data"] for doc in self.of("event_page")]
        numbers = [number for page in pages for number in page["angle_box_number"]]
        assert numbers == list(range(1, len(numbers) + 1))
        return np.array([angle for page in pages for angle in page["angle_box_angle"]])

    def files(self) -> set[Path]:
        """All files that the documents name."""
        return set(map(path_of, self.of("stream_resource")))

    def read(self, stream: str, dataset: str) -> np.ndarray:
        """What the documents of a stream announce, from all its files."""
        (uid,) = [doc["uid"] for doc in self.of("descriptor") if doc["name"] == stream]
        key = IMAGE if dataset == IMAGES else NUMBER
        parts, following = [], 1
        for resource in self.of("stream_resource"):
            if resource["data_key"] != key:
                continue
            datums = [doc for doc in self.of("stream_datum") if doc["stream_resource"] == resource["uid"]]
            datums = [doc for doc in datums if doc["descriptor"] == uid]
            for doc in datums:
                assert doc["seq_nums"]["start"] == following
                following = doc["seq_nums"]["stop"]
            if datums:
                with h5py.File(path_of(resource), swmr=True) as file:
                    parts.append(file[dataset][: datums[-1]["indices"]["stop"]])
        return np.concatenate(parts)

    def check_at_rest(self) -> None:
        here = self.devices
        assert self.comes_true(lambda: not here.shutter.is_open)
        assert self.comes_true(lambda: not here.angle_box.armed.get())
        assert self.comes_true(lambda: not here.xray_camera.hdf1.capture.get())
        assert self.comes_true(lambda: not here.xray_camera.cam.acquire.get())
        assert here.rotation_stage.angle.velocity.get() == 30.0
