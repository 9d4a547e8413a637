"""Cameras that take series of frames by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ophyd import Component as Cpt
from ophyd import DeviceStatus, EpicsSignal, Signal
from ophyd.status import StatusBase

from beamline.frames.frame_camera import INTERNAL, MULTIPLE, POLL_S, DetectorError, FrameCamera
from beamline.frames.frame_file import FrameFile
from beamline.frames.values import FrameSeries
from beamline.statuses import CountedStatus, end


class SeriesCamera(FrameCamera):
    """A camera that keeps the time of its frames itself.

    Each series of frames goes into a file of its own; the numbers of its frames begin at 1. `taken` counts them.

    Parameters
    ----------
    sensor : pair of int
        Rows and columns.
    pixel_um : float
        Edge of a pixel.
    **kwargs
        See `FrameCamera`.
    """

    # Frames come so slowly that a chunk of several would be written again each time that it is flushed.
    hdf1 = Cpt(FrameFile, "HDF1:", kind="omitted", frames_per_chunk=1)
    interrupted = Cpt(Signal, value=0, kind="omitted", doc="1 since a pause has stopped the camera")

    def __init__(self, prefix: str, *, sensor: tuple[int, int], pixel_um: float, **kwargs: Any):
        self.sensor, self.pixel_um = sensor, pixel_um
        self._due = 0
        self._set_up_thread = threading.Thread()
        super().__init__(prefix, **kwargs)

    @property
    def taken(self) -> EpicsSignal:
        """How many frames of the series the camera has taken."""
        return self.cam.array_counter

    def prepare(self, series: FrameSeries) -> StatusBase:
        """Set up for a series, or for the rest of one that was interrupted.

        Returns
        -------
        StatusBase
            It fails with DetectorError if the camera stays busy, or the plugin writes frames of another size than the run says;
            with FrameFileError if the file for a new series cannot be opened.
        """

        def set_up() -> StatusBase:
            if series.taken == 0:
                self._begin_file()
            self._due = series.before + series.num
            self.expected.put(series.num)
            return self._set_up(
                series.exposure_s,
                series.period_s,
                series.shape,
                image_mode=MULTIPLE,
                num_images=series.num - series.taken,
                trigger_mode=INTERNAL,
                array_counter=series.before + series.taken,
            )

        return self._at_rest(set_up)

    def complete(self) -> StatusBase:
        """Wait until all frames of the series have been written, or until no more come; the frames are its progress."""
        return self._complete(CountedStatus(self, self.hdf1.num_captured, total=int(self.expected.get()), unit="frames"))

    def stop(self, *, success: bool = False) -> None:
        """Take no more frames; those that were taken stay."""
        self._flying = False
        if self.cam.acquire.connected:
            self.cam.acquire.put(0)
        super().stop(success=success)

    def pause(self) -> None:
        """Take no more frames, and say so."""
        self.interrupted.put(1)
        self.stop()

    def resume(self) -> None:
        """Do nothing: the plan takes the rest of the series."""

    def unstage(self) -> list[object]:
        """Stop taking frames and close the file, once it is not being opened any more."""
        if self._set_up_thread.is_alive():
            self._set_up_thread.join()
        return super().unstage()

    def _at_rest(self, set_up: Callable[[], StatusBase]) -> StatusBase:
        """Stop the camera, wait until it is ready for the next Acquire, and set it up.

        After its last frame a camera is busy for a moment. The status fails with DetectorError if it stays busy.
        """
        self._flying = False
        self.cam.acquire.put(0)
        status = DeviceStatus(self)
        self._set_up_thread = threading.Thread(target=self._await_rest, args=(set_up, status), daemon=True)
        self._set_up_thread.start()
        return status

    def _await_rest(self, set_up: Callable[[], StatusBase], status: StatusBase) -> None:
        try:
            deadline = time.monotonic() + self.frame_timeout_s
            while self.cam.acquire.get():
                if time.monotonic() > deadline:
                    raise DetectorError(
                        f"{self.name} does not come to rest: {self.cam.acquire.pvname} stays 1, look at the camera"
                    )
                time.sleep(POLL_S)
            set_up().wait(self.frame_timeout_s)
            end(status)
        except Exception as error:  # whatever Channel Access raises when the IOC has just died
            end(status, error)

    def _begin_file(self) -> None:
        """Open a file for the next series, unless the present one is empty."""
        self.hdf1.dropped_arrays.put(0)
        if self.hdf1.captured():
            self.hdf1.close()
            self._choose_file()
            self._open_file()

    def _accounted(self) -> int:
        return super()._accounted() + int(self.hdf1.dropped_arrays.get())

    def _has_stopped(self) -> bool:
        return super()._has_stopped() and int(self.cam.array_counter.get()) < self._due
