"""A session with the camera for frame pairs on simulated records, and what its documents and files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - the filter that frames are compressed with
import numpy as np
from fly_session import IMAGES, NUMBERS, FlySession, path_of

from plans import frame_pair_series
from plans.preprocessors import use_devices

IMAGE, NUMBER = "dual_camera_image", "dual_camera_number"


class PairSession(FlySession):
    """Takes series, and keeps the documents."""

    def plan(self, plan: Any = frame_pair_series, **changes: Any) -> Any:
        return self.plan_with(self.devices.dual_camera, plan, **changes)

    def plan_with(self, camera: Any, plan: Any = frame_pair_series, **changes: Any) -> Any:
        bound = use_devices(plan, shutter=self.devices.shutter, sample_stage=self.devices.sample_stage)
        return bound(camera, **changes)

    def at_frame(self, number: int, act: Any) -> None:
        """Act once when the documents of so many frames have come."""
        self.once("stream_datum", lambda doc: doc["indices"]["stop"] >= number, act)

    def stream(self, name: str) -> str:
        """Uid of a stream's descriptor."""
        (uid,) = [doc["uid"] for doc in self.of("descriptor") if doc["name"] == name]
        return uid

    def announced(self, stream: str = "frames") -> int:
        """How many frames the documents of a stream tell of; those of both keys, without gap or repetition."""
        keys = {doc["uid"]: doc["data_key"] for doc in self.of("stream_resource")}
        ends = {}
        for key in (IMAGE, NUMBER):
            datums = [doc for doc in self._datums(stream) if keys[doc["stream_resource"]] == key]
            for before, after in zip([None, *datums], datums, strict=False):
                assert after["indices"]["start"] == (before["indices"]["stop"] if before else 0)
                assert after["seq_nums"]["start"] == (before["seq_nums"]["stop"] if before else 1)
            ends[key] = datums[-1]["indices"]["stop"] if datums else 0
        assert len(set(ends.values())) == 1
        return ends[IMAGE]

    def file(self, stream: str = "frames") -> Path:
        """The file that a stream's documents name."""
        resources = {doc["stream_resource"] for doc in self._datums(stream)}
        (path,) = {path_of(doc) for doc in self.of("stream_resource") if doc["uid"] in resources}
        return path

    def numbers(self, stream: str = "frames") -> np.ndarray:
        with h5py.File(self.file(stream), swmr=True) as file:
            return file[NUMBERS][: self.announced(stream)]

    def frames(self, stream: str = "frames") -> np.ndarray:
        with h5py.File(self.file(stream), swmr=True) as file:
            return file[IMAGES][: self.announced(stream)]

    def check_valid(self) -> None:
        """Every run that was opened is closed; shutter, file and camera are at rest."""
        assert len(self.of("start")) == len(self.of("stop")) == 1
        self.check_at_rest()

    def check_at_rest(self) -> None:
        here = self.devices
        assert self.comes_true(lambda: not here.shutter.is_open)
        assert self.comes_true(lambda: not here.dual_camera.hdf1.capture.get())
        assert self.comes_true(lambda: not here.dual_camera.cam.acquire.get())

    def _datums(self, stream: str) -> list[dict[str, Any]]:
        return [doc for doc in self.of("stream_datum") if doc["descriptor"] == self.stream(stream)]
