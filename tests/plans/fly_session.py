"""A session with a fly scan's devices on the simulated records, and what its documents and file say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import h5py
import hdf5plugin  # noqa: F401 - the filter that frames are compressed with
import numpy as np
from bluesky import RunEngine
from soft_ioc import SoftIOC, soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import Devices, connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import fly_scan
from plans.preprocessors import use_devices

IMAGES, NUMBERS = "/entry/data/data", "/entry/instrument/NDAttributes/NDArrayUniqueId"
SCAN = {"y_um": (-1, 1, 3), "x_um": (-1, 1, 10), "rate_hz": 100.0}
POINTS = 30


def path_of(resource: dict[str, Any]) -> Path:
    """The file of a stream_resource document."""
    return Path(unquote(urlparse(resource["uri"]).path))


@contextmanager
def fly_beamline(folder: Path) -> Iterator[tuple[SoftIOC, Devices, GhostbeamConfig]]:
    """A simulated beamline whose pixel detector draws a pattern, its connected devices, and their configuration."""
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc("--frames", "pattern", plate=folder / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=folder / "frames",
            pixel_detector={"frame_timeout_s": 0.5, "saturation_counts": 4095},
            beam={"settle_s": 0.05},
        )
        devices = make_devices(config)
        connect(devices, 20)
        yield ioc, devices, config


@contextmanager
def rested_session(running: tuple[SoftIOC, Devices, GhostbeamConfig]) -> Iterator[FlySession]:
    """A session that begins without faults and must end with everything at rest."""
    ioc, devices, _ = running
    ioc.clear_faults()
    session = FlySession(devices)
    yield session
    ioc.clear_faults()
    session.check_at_rest()


class FlySession:
    """Scans, and keeps the documents."""

    def __init__(self, devices: Devices):
        self.devices = devices
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.engine = RunEngine({})
        self.engine.subscribe(lambda name, doc: self.documents.append((name, dict(doc))))

    def plan(self, **changes: Any) -> Any:
        here = self.devices
        bound = use_devices(fly_scan, trigger_box=here.trigger_box, shutter=here.shutter)
        return bound(here.pixel_detector, here.sample_stage, **(SCAN | changes))

    def scan(self, **changes: Any) -> Any:
        return self.engine(self.plan(**changes))

    def at_line(self, number: int, act: Callable[[], Any]) -> None:
        """Act once when the first positions of a line have come."""
        self.once("event_page", lambda doc: doc["data"]["trigger_box_number"][-1] > number * SCAN["x_um"][2], act)

    def once(self, kind: str, has_come: Callable[[dict[str, Any]], bool], act: Callable[[], Any]) -> None:
        """Act at the first document of a kind that fulfils a condition."""
        done = []

        def watch(name: str, doc: dict[str, Any]) -> None:
            if name == kind and not done and has_come(doc):
                done.append(True)
                act()

        self.engine.subscribe(watch)

    def pause(self, *, defer: bool) -> None:
        """Ask for a pause from any thread."""
        loop = self.engine.loop
        loop.call_soon_threadsafe(lambda: loop.create_task(self.engine._request_pause_coro(defer)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [doc for name, doc in self.documents if name == kind]

    @property
    def stop(self) -> dict[str, Any]:
        (stop,) = self.of("stop")
        return stop

    def position(self, quantity: str) -> np.ndarray:
        parts = [page["data"][f"trigger_box_{quantity}"] for page in self.of("event_page")]
        return np.concatenate([np.zeros(0), *parts])

    def announced(self) -> int:
        """How many frames the documents tell of; those of both keys, without gap or repetition."""
        keys = {doc["uid"]: doc["data_key"] for doc in self.of("stream_resource")}
        ends = {}
        for key in ("pixel_detector_image", "pixel_detector_number"):
            datums = [doc for doc in self.of("stream_datum") if keys[doc["stream_resource"]] == key]
            for before, after in zip([None, *datums], datums, strict=False):
                assert after["indices"]["start"] == (before["indices"]["stop"] if before else 0)
                assert after["seq_nums"]["start"] == (before["seq_nums"]["stop"] if before else 1)
            ends[key] = datums[-1]["indices"]["stop"] if datums else 0
        assert len(set(ends.values())) == 1
        return ends["pixel_detector_image"]

    @property
    def path(self) -> Path:
        """The file that the documents name."""
        (path,) = set(map(path_of, self.of("stream_resource")))
        return path

    def numbers_in_file(self) -> np.ndarray:
        with h5py.File(self.path, swmr=True) as file:
            assert len(file[IMAGES]) == len(file[NUMBERS])
            return file[NUMBERS][: self.announced()]

    def check_valid(self) -> None:
        """Every run that was opened is closed, positions are numbered without gap, the shutter and the file are closed."""
        assert len(self.of("start")) == len(self.of("stop")) == 1
        numbers = self.position("number")
        np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
        sequence = [number for page in self.of("event_page") for number in page["seq_num"]]
        assert sequence == list(range(1, len(numbers) + 1))
        self.check_at_rest()

    def comes_true(self, condition: Callable[[], bool]) -> bool:
        """Wait for it: devices that are unstaged or paused are not waited for."""
        deadline = time.monotonic() + 5
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        return condition()

    def check_at_rest(self) -> None:
        here = self.devices
        assert self.comes_true(lambda: not here.shutter.is_open)
        assert self.comes_true(lambda: not here.trigger_box.armed.get())
        assert self.comes_true(lambda: not here.pixel_detector.hdf1.capture.get())
        assert self.comes_true(lambda: not here.pixel_detector.cam.acquire.get())
        assert here.sample_stage.x.velocity.get() == 2.0
