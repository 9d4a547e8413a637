"""What bucket detectors have in common: one exposure for each trigger, which may be lost."""

from __future__ import annotations

import math
import threading
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, DeviceStatus, EpicsSignal, Signal
from ophyd.signal import EpicsSignalBase
from ophyd.status import Status, StatusBase

from beamline.numpy_types import NumpyTyped
from beamline.statuses import end


class OneShotBucket(NumpyTyped, Device):
    """A detector that gives a bucket value, and maybe that of an incident-beam monitor, for each exposure.

    The data keys are the device's name (bucket) and `..._monitor`.

    An exposure that does not finish in time is stopped, and its trigger ends nevertheless: the readings are then NaN and `lost`
    is 1. So a plan may repeat the exposure, and a plan that does not know `lost` records a gap, neither failing nor storing the
    values of the exposure before.

    A class built on this one has the signals `bucket`, `exposure` and, if there is a monitor, `monitor`.

    Parameters
    ----------
    open_beam_ratio : float
        Bucket for each unit of the monitor with neither mask plate nor sample in the beam.
    count_margin_s : float
        How much longer than its exposure a count may take, in s.
    """

    bucket: EpicsSignalBase
    exposure: EpicsSignalBase
    monitor: EpicsSignalBase | None = None

    lost = Cpt(Signal, value=0, kind="omitted", doc="1 if the last count did not finish")
    monitor_rate = Cpt(Signal, value=math.nan, kind="omitted", doc="What the monitor gave in the last count, per second")

    units = "counts"
    may_be_negative = False

    def __init__(self, prefix: str, *, open_beam_ratio: float = 1.0, count_margin_s: float = 2.0, **kwargs: Any):
        self.open_beam_ratio: float | None = open_beam_ratio
        self.count_margin_s = count_margin_s
        self._counting: StatusBase | None = None
        self._lock = threading.RLock()
        super().__init__(prefix, **kwargs)
        self.bucket.name = self.name
        if self.monitor is not None:
            self.monitor.name = f"{self.name}_monitor"

    @property
    def bucket_keys(self) -> list[str]:
        """Data keys of the buckets."""
        return [self.bucket.name]

    @property
    def monitor_key(self) -> str | None:
        """Data key of the incident-beam monitor; None without one."""
        return None if self.monitor is None else self.monitor.name

    @property
    def time_key(self) -> str | None:
        """Data key of the time counted, in s; None if it is not measured."""
        return None

    def saturation_counts(self, exposure: float) -> float | None:
        """Return the bucket value from which an exposure of so many seconds is saturated; None if that is not checked."""
        return None

    def why_impossible(self, exposure: float) -> str | None:
        """Say why it cannot expose for so many seconds; None if it can."""
        return None

    def describe(self) -> dict[str, Any]:
        """Describe the readings: floats, also where the record holds integers, because of the NaN."""
        description = super().describe()
        for key in self._count_keys:
            description[key] |= {"dtype": "number", "dtype_numpy": "<f8"}
        for signal in (self.bucket, self.monitor):
            if signal is not None:
                description[signal.name]["units"] = self.units
        return description

    def read(self) -> dict[str, Any]:
        """Read the last count; NaN if it did not finish."""
        reading = super().read()
        for key in self._count_keys:
            reading[key]["value"] = math.nan if self.lost.get() else float(reading[key]["value"])
        return reading

    def trigger(self) -> StatusBase:
        """Count for one exposure.

        Returns
        -------
        StatusBase
            Done when the count has ended, or has been given up; see `lost`. Never fails.
        """
        self.stop()
        outcome = DeviceStatus(self)
        # A second status, because this one fails when the time is over and the outcome must not.
        counted = Status(self, timeout=self.exposure.get() + self.count_margin_s)
        with self._lock:
            self._counting = counted
        self.lost.put(0)

        def ended(_: StatusBase) -> None:
            with self._lock:
                current = self._counting is counted
                if current:
                    self._counting = None
            try:
                if current and not counted.success:
                    self._give_up(counted.exception())
                    self._end()
                elif current:
                    self.monitor_rate.put(self._monitor_rate())
            except Exception as error:  # whatever Channel Access raises when the IOC has just died
                self._give_up(error)
            finally:
                outcome.set_finished()

        counted.add_callback(ended)
        self._begin(counted)
        return outcome

    def stop(self, *, success: bool = False) -> None:
        """Stop counting, if a count is under way."""
        with self._lock:
            counting, self._counting = self._counting, None
        if counting is not None:
            self._end()
            end(counting)
        super().stop(success=success)

    def pause(self) -> None:
        """Stop counting when the RunEngine pauses; it repeats the exposure on resume."""
        self.stop(success=True)

    def resume(self) -> None:
        """Do nothing: the plan triggers again."""

    def unstage(self) -> list[object]:
        """Stop counting and restore the settings from before."""
        self.stop(success=True)
        return super().unstage()

    @property
    def _start_signal(self) -> EpicsSignal:
        """Starts a count with 1 and ends it with 0."""
        raise NotImplementedError

    @property
    def _count_keys(self) -> list[str]:
        return [key for key in (*self.bucket_keys, self.monitor_key, self.time_key) if key is not None]

    def _begin(self, counted: StatusBase) -> None:
        """Start a count; end its status when the values can be read."""
        self._start_signal.put(1, wait=False, callback=lambda **_: end(counted))

    def _end(self) -> None:
        """End a count that is under way."""
        self._start_signal.put(0, wait=False)

    def _monitor_rate(self) -> float:
        seconds = self.exposure.get()
        return math.nan if self.monitor is None else float(self.monitor.get()) / seconds

    def _give_up(self, cause: BaseException | None) -> None:
        self.log.warning("%s: a count did not finish (%s); its readings are NaN", self.name, cause)
        self.lost.put(1)
