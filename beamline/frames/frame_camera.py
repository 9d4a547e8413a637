"""What areaDetectors share whose IOC writes frames into a file: stream documents say where the frames are."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import DetectorBase, DeviceStatus, EpicsSignalRO, Signal
from ophyd.areadetector.base import ADComponent, EpicsSignalWithRBV
from ophyd.areadetector.cam import CamBase
from ophyd.status import StatusBase

from beamline.frames.frame_file import FrameFile, FrameFileError
from beamline.numpy_types import NumpyTyped
from beamline.statuses import check_connected, end

SINGLE, MULTIPLE, CONTINUOUS = 0, 1, 2
"""Values of ImageMode."""
INTERNAL = "Internal"
"""Text of TriggerMode with which the camera keeps the time itself."""

POLL_S = 0.02
"""How often it is looked whether something has come."""
_PRIMING_EXPOSURE_S = 0.1
_USED = [
    "acquire",
    "acquire_time",
    "acquire_period",
    "array_callbacks",
    "array_counter",
    "array_size",
    "data_type",
    "data_type_disabled",
    "detector_state",
    "image_mode",
    "num_images",
    "trigger_mode",
    "status_message",
    "port_name",
    "model",
    "manufacturer",
]


class DetectorError(RuntimeError):
    """The detector does not follow a command."""


class Cam(CamBase):
    """The camera, `cam1:`."""

    lazy_wait_for_connection = False

    trigger_mode = ADComponent(EpicsSignalWithRBV, "TriggerMode", string=True)
    data_type = ADComponent(EpicsSignalWithRBV, "DataType", string=True)
    detector_state = ADComponent(EpicsSignalRO, "DetectorState_RBV", string=True)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name in _USED:
            getattr(self, name)


class FrameCamera(NumpyTyped, DetectorBase):
    """An areaDetector, of which frames stay in files and stream documents say where.

    Data keys are `..._image`, the frames, and `..._number`, the number of each. Staging opens a file; the last one stays open
    until the detector is unstaged. `trigger` takes one frame; `kickoff` and `complete` take what a subclass prepares.

    Parameters
    ----------
    frames_dir : str
        Folder for files, as the detector's IOC sees it.
    max_rate_hz : float
        Most frames a second.
    dead_time_s : float
        Time that it needs between exposures.
    frame_timeout_s : float
        How long to wait for a frame that does not come.
    saturation_counts : int, optional
        Counts from which a pixel is saturated.
    """

    cam = Cpt(
        Cam,
        "cam1:",
        kind="config",
        read_attrs=[],
        configuration_attrs=["acquire_time", "acquire_period", "trigger_mode", "model", "manufacturer"],
    )
    hdf1 = Cpt(FrameFile, "HDF1:", kind="omitted")
    expected = Cpt(Signal, value=0, kind="omitted", doc="How many frames `complete` waits for")

    def __init__(
        self,
        prefix: str,
        *,
        frames_dir: str,
        max_rate_hz: float,
        dead_time_s: float = 0.0,
        frame_timeout_s: float = 5.0,
        saturation_counts: int | None = None,
        **kwargs: Any,
    ):
        self.frames_dir = PurePosixPath(frames_dir)
        self.max_rate_hz, self.dead_time_s = max_rate_hz, dead_time_s
        self.frame_timeout_s = frame_timeout_s
        self.saturation_counts = saturation_counts
        self._flying = self._failed = False
        super().__init__(prefix, **kwargs)
        self.stage_sigs.update([("cam.acquire", 0), ("cam.image_mode", SINGLE), ("cam.trigger_mode", INTERNAL)])

    @property
    def image_key(self) -> str:
        """Data key of the frames."""
        return f"{self.name}_image"

    @property
    def number_key(self) -> str:
        """Data key of the frames' numbers."""
        return f"{self.name}_number"

    def frame_shape(self) -> tuple[int, int]:
        """Read how many rows and columns a frame has."""
        size = self.cam.array_size
        return int(size.array_size_y.get()), int(size.array_size_x.get())

    def describe(self) -> dict[str, Any]:
        """Describe the frames and their numbers."""
        common = {"source": f"PV:{self.prefix}", "dtype": "array", "external": "STREAM:"}
        dtype = np.dtype(str(self.cam.data_type.get()).lower()).str
        return {
            self.image_key: {**common, "shape": [1, *self.frame_shape()], "dtype_numpy": dtype, "units": "counts"},
            self.number_key: {**common, "shape": [1], "dtype_numpy": "<i8"},
        }

    describe_collect = describe

    def read(self) -> dict[str, Any]:
        """Read nothing: frames are announced in stream documents."""
        return {}

    @property
    def hints(self) -> dict[str, Any]:
        """Nothing to plot against events."""
        return {"fields": []}

    def stage(self) -> list[object]:
        """Open a file for frames.

        Raises
        ------
        FrameFileError, DetectorError
            If frames could not be written: it says which PV tells so, and what to do.
        """
        self._flying = self._failed = False
        if 0 in self.hdf1.shape:
            self._prime()
        self._choose_file()
        staged: list[object] = super().stage()
        try:
            self._open_file()
        except Exception:
            self.unstage()
            raise
        return staged

    def unstage(self) -> list[object]:
        """Stop taking frames and close the file.

        Raises
        ------
        DisconnectedError
            If the detector's IOC is gone. Call this once more when it is back.
        """
        self._flying = False
        check_connected(self)
        self.cam.acquire.put(0)
        self.hdf1.close()
        unstaged: list[object] = super().unstage()
        return unstaged

    def kickoff(self) -> StatusBase:
        """Take frames from now on."""
        self._flying = True
        self.cam.acquire.put(1)
        status = DeviceStatus(self)
        threading.Thread(target=self._await_start, args=(status,), daemon=True).start()
        return status

    def complete(self) -> StatusBase:
        """Wait until as many frames as `expected` says have been written, or until no more come.

        Returns
        -------
        StatusBase
            Also done without an error when some are missing: their numbers are left out.
        """
        return self._complete(DeviceStatus(self))

    def trigger(self) -> StatusBase:
        """Take one frame.

        Returns
        -------
        StatusBase
            Done when it has been written. It fails with DetectorError if that does not happen in time.
        """
        status = DeviceStatus(self)
        count = self.hdf1.captured() + 1
        self.cam.acquire.put(1)
        exposure_s = float(self.cam.acquire_time.get())
        threading.Thread(target=self._await_frame, args=(count, exposure_s, status), daemon=True).start()
        return status

    def get_index(self) -> int:
        """How many frames can be announced: those that are flushed."""
        check_connected(self)
        return self.hdf1.flushed()

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the stream documents of the frames that are new since the last call.

        Parameters
        ----------
        index : int, optional
            Number of frames to tell of at most. Default: all that are flushed.

        Raises
        ------
        FrameFileError, DetectorError
            Once, when nothing is left to tell of and the detector cannot go on.
        """
        documents = list(self.hdf1.documents(self.get_index() if index is None else index))
        if not documents and self._flying and not self._failed:
            error = self._error()
            if error is not None:
                self._failed = True
                raise error
        yield from documents

    def _choose_file(self) -> None:
        self.hdf1.choose(self.frames_dir / date.today().isoformat(), uuid.uuid4().hex)

    def _open_file(self) -> None:
        self.hdf1.open((self.image_key, self.number_key))

    def _set_up(self, exposure_s: float, period_s: float, shape: tuple[int, int], **more: Any) -> StatusBase:
        """Set the camera, and further records of it by name, for frames of a size that the plugin must write.

        Raises
        ------
        DetectorError
            If the plugin writes frames of another size than the run says.
        """
        if self.hdf1.shape != shape:
            raise DetectorError(
                f"{self.hdf1.height.pvname} and {self.hdf1.width.pvname} say that frames of {self.hdf1.shape} pixels are "
                f"written, the camera's are {shape}: take one frame, so that the plugin sees the new size, and scan again"
            )
        done: StatusBase = self.cam.acquire_time.set(exposure_s) & self.cam.acquire_period.set(period_s)
        for name, value in more.items():
            done &= getattr(self.cam, name).set(value)
        return done

    def _complete(self, status: DeviceStatus) -> DeviceStatus:
        """Return the status, which ends when the expected frames are in the file or no more come."""
        threading.Thread(target=self._await_frames, args=(int(self.expected.get()), status), daemon=True).start()
        return status

    def _accounted(self) -> int:
        """How many frames are in the file, or are known to be lost."""
        return self.hdf1.captured()

    def _has_stopped(self) -> bool:
        """Whether the camera takes no more frames although it should."""
        return not self.cam.acquire.get()

    def _error(self) -> Exception | None:
        """What keeps the detector from taking the frames of the run."""
        # Asked first: an IOC that cannot write says why before it closes the file.
        capturing = self.hdf1.capture.get()
        if (problem := self.hdf1.problem()) is not None:
            return FrameFileError(problem)
        if not capturing:
            return FrameFileError(
                f"the detector's IOC has closed the file in mid-scan ({self.hdf1.capture.pvname} is 0): has somebody stopped it?"
            )
        if self._has_stopped():
            state, message = self.cam.detector_state.get(), self.cam.status_message.get()
            return DetectorError(
                f"the detector has stopped taking frames in mid-scan ({self.cam.acquire.pvname} is 0; its state is {state!r}, "
                f"{message!r}): look at it before going on"
            )
        return None

    def _await_start(self, status: StatusBase) -> None:
        try:
            deadline = time.monotonic() + self.frame_timeout_s
            while self._has_stopped() and self._flying:
                if time.monotonic() > deadline:
                    raise DetectorError(f"{self.name} did not start: {self.cam.acquire.pvname} stayed 0, look at the detector")
                time.sleep(POLL_S)
            end(status)
        except Exception as error:  # whatever Channel Access raises when the IOC has just died
            end(status, error)

    def _await_frames(self, expected: int, status: StatusBase) -> None:
        try:
            count, since = self._accounted(), time.monotonic()
            while count < expected and self._error() is None and time.monotonic() < since + self.frame_timeout_s:
                time.sleep(POLL_S)
                if (now := self._accounted()) != count:
                    count, since = now, time.monotonic()
            missing = expected - self.hdf1.captured()
            if missing > 0 and self._flying:
                self.log.warning("%s: %d of %d frames are missing", self.name, missing, expected)
            end(status)
        except Exception as error:  # whatever Channel Access raises when the IOC has just died
            end(status, error)

    def _await_frame(self, count: int, exposure_s: float, status: StatusBase) -> None:
        try:
            deadline = time.monotonic() + exposure_s + self.frame_timeout_s
            # A camera that has not come to rest would not hear the next Acquire.
            while self.hdf1.captured() < count or self.cam.acquire.get():
                if time.monotonic() > deadline:
                    why = self.hdf1.problem() or f"{self.hdf1.num_captured.pvname} stayed {count - 1}: look at the detector"
                    raise DetectorError(f"{self.name} made no frame within {exposure_s + self.frame_timeout_s:g} s: {why}")
                time.sleep(POLL_S)
            end(status)
        except Exception as error:
            end(status, error)

    def _prime(self) -> None:
        """Take one frame, so that the plugin learns the size of frames: it refuses to open a file before that.

        Raises
        ------
        DetectorError
            If the plugin has seen none.
        """
        cam, plugin = self.cam, self.hdf1
        wanted = [
            (plugin.enable, "Enable"),
            (cam.array_callbacks, 1),
            (cam.acquire, 0),
            (cam.image_mode, SINGLE),
            (cam.trigger_mode, INTERNAL),
            (cam.acquire_time, _PRIMING_EXPOSURE_S),
        ]
        before = [(signal, signal.get()) for signal, _ in wanted]
        try:
            for signal, value in wanted:
                signal.set(value).wait(self.frame_timeout_s)
            cam.acquire.put(1)
            deadline = time.monotonic() + _PRIMING_EXPOSURE_S + self.frame_timeout_s
            while 0 in plugin.shape:
                if time.monotonic() > deadline:
                    raise DetectorError(
                        f"{plugin.height.pvname} and {plugin.width.pvname} are 0: the plugin has seen no frame since the IOC "
                        "started, and one that was taken now did not reach it. Take one by hand, with EnableCallbacks of the "
                        "plugin and ArrayCallbacks of the camera on"
                    )
                time.sleep(POLL_S)
        finally:
            for signal, value in reversed(before):
                signal.set(value).wait(self.frame_timeout_s)
