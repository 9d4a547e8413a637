"""The bucket diode and the incident-beam monitor, counted by a scaler record."""

from __future__ import annotations

import math
import threading
from typing import Any

from ophyd import Component as Cpt
from ophyd import DeviceStatus, EpicsScaler, EpicsSignal, EpicsSignalRO, Signal
from ophyd import FormattedComponent as FCpt
from ophyd.status import Status, StatusBase

from beamline.numpy_types import NumpyTyped
from beamline.statuses import end

_LARGEST_COUNT = 2**32 - 1
"""Of a channel of the scaler record."""


class BucketDiode(NumpyTyped, EpicsScaler):
    """A diode that sees all the light that has passed the mask and the sample, and the monitor before them.

    The data keys are the device's name (bucket counts), `..._monitor` (monitor counts) and `..._time` (s counted).

    A count that does not finish in time is stopped and its trigger ends all the same: the readings are then NaN and
    `lost` is 1, so that a plan may repeat the exposure, and a plan that knows nothing of it records a gap instead of
    dying or of storing the counts of the exposure before.

    Parameters
    ----------
    bucket_channel, monitor_channel : int
        Scaler channels.
    open_beam_ratio : float
        Bucket counts for each monitor count with neither mask plate nor sample in the beam.
    saturation_rate : float, optional
        Highest bucket counts per second that the counting chain can follow.
    count_margin_s : float
        How much longer than its exposure a count may take, in s.
    """

    # Of the stock class: four times 32 channels, where two are wired, and what only automatic counting needs.
    channels = names = presets = gates = None
    auto_count_delay = auto_count_time = update_rate = auto_count_update_rate = egu = None
    preset_time = time = None

    count = Cpt(EpicsSignal, ".CNT", kind="omitted")
    bucket = FCpt(EpicsSignalRO, "{prefix}.S{bucket_channel}", auto_monitor=False, kind="hinted")
    monitor = FCpt(EpicsSignalRO, "{prefix}.S{monitor_channel}", auto_monitor=False, kind="normal")
    elapsed = Cpt(EpicsSignalRO, ".T", auto_monitor=False, kind="normal")
    exposure = Cpt(EpicsSignal, ".TP", put_complete=True, kind="config")
    lost = Cpt(Signal, value=0, kind="omitted", doc="1 if the last count did not finish")
    monitor_rate = Cpt(Signal, value=math.nan, kind="omitted", doc="Monitor counts per second of the last count")

    def __init__(
        self,
        prefix: str,
        *,
        bucket_channel: int = 3,
        monitor_channel: int = 2,
        open_beam_ratio: float = 1.0,
        saturation_rate: float | None = None,
        count_margin_s: float = 2.0,
        **kwargs: Any,
    ):
        self.bucket_channel, self.monitor_channel = bucket_channel, monitor_channel
        self.open_beam_ratio = open_beam_ratio
        self.saturation_rate = saturation_rate
        self.count_margin_s = count_margin_s
        self._counting: StatusBase | None = None
        self._lock = threading.RLock()
        super().__init__(prefix, **kwargs)
        self.bucket.name = self.name
        self.elapsed.name = f"{self.name}_time"

    def describe(self) -> dict[str, Any]:
        """Describe the readings: floats, also where the record holds integers, because of the NaN."""
        description = super().describe()
        for key in self._count_keys:
            description[key] |= {"dtype": "number", "dtype_numpy": "<f8"}
        for signal in (self.bucket, self.monitor):
            description[signal.name]["units"] = "counts"
        return description

    def read(self) -> dict[str, Any]:
        """Read the last count; NaN if it did not finish."""
        reading = super().read()
        for key in self._count_keys:
            reading[key]["value"] = math.nan if self.lost.get() else float(reading[key]["value"])
        return reading

    @property
    def _count_keys(self) -> list[str]:
        return [self.bucket.name, self.monitor.name, self.elapsed.name]

    @property
    def bucket_keys(self) -> list[str]:
        """Data keys of the buckets."""
        return [self.bucket.name]

    @property
    def monitor_key(self) -> str:
        """Data key of the incident-beam monitor."""
        return self.monitor.name

    @property
    def time_key(self) -> str:
        """Data key of the time counted, in s."""
        return self.elapsed.name

    def saturation_counts(self, exposure: float) -> float | None:
        """Return the bucket counts from which an exposure of so many seconds is saturated.

        One percent below the top, because a converter at its limit does not count to the last pulse.
        """
        return None if self.saturation_rate is None else 0.99 * self.saturation_rate * exposure

    def why_impossible(self, exposure: float) -> str | None:
        """Say why it cannot count for so many seconds: a counter would begin at 0 again; None if it can."""
        fastest = {f"its clock runs at {self.freq.get():g} Hz ({self.freq.pvname})": self.freq.get()}
        if self.saturation_rate is not None:
            fastest[f"[diode] saturation_rate is {self.saturation_rate:g} counts/s"] = self.saturation_rate
        for text, rate in fastest.items():
            if rate * exposure > _LARGEST_COUNT:
                return (
                    f"exposure is {exposure:g} s, but a counter of {self.name} begins at 0 again after "
                    f"{_LARGEST_COUNT / rate:.4g} s, since {text}: shorten the exposure"
                )
        return None

    def trigger(self) -> StatusBase:
        """Count for one exposure.

        Returns
        -------
        StatusBase
            Done when the count has ended, or has been given up; see `lost`. Never fails.
        """
        self.stop()
        outcome = DeviceStatus(self)
        # Of its own, because this one fails when the time is over and that one must not.
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
                    self.count.put(0, wait=False)
                elif current:
                    self._report_monitor()
            except Exception as error:  # whatever Channel Access raises when the IOC has just died
                self._give_up(error)
            finally:
                outcome.set_finished()

        counted.add_callback(ended)
        self.count.put(1, wait=False, callback=lambda **_: end(counted))
        return outcome

    def stop(self, *, success: bool = False) -> None:
        """Stop counting, if a count is under way."""
        with self._lock:
            counting, self._counting = self._counting, None
        if counting is not None:
            self.count.put(0, wait=False)
            end(counting)
        super().stop(success=success)

    def pause(self) -> None:
        """Stop counting when the RunEngine pauses; it repeats the exposure on resume."""
        self.stop(success=True)

    def resume(self) -> None:
        """Do nothing: the plan triggers again."""

    def unstage(self) -> list[object]:
        """Stop counting and restore the count mode."""
        self.stop(success=True)
        return super().unstage()

    def _give_up(self, cause: BaseException | None) -> None:
        self.log.warning("%s: a count did not finish (%s); its readings are NaN", self.name, cause)
        self.lost.put(1)

    def _report_monitor(self) -> None:
        seconds = self.elapsed.get()
        self.monitor_rate.put(self.monitor.get() / seconds if seconds > 0 else 0.0)
