"""Buckets that areaDetector statistics plugins compute."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt
from ophyd.status import StatusBase

from beamline.buckets.one_shot import OneShotBucket
from beamline.statuses import end


class StatisticsPlugin(Device):
    """The records of a statistics plugin that a bucket needs.

    Parameters
    ----------
    quantity : {"MeanValue", "Total"}
        Which of its results is the bucket.
    """

    enable = Cpt(EpicsSignal, "EnableCallbacks", kind="omitted")
    blocking = Cpt(EpicsSignal, "BlockingCallbacks", kind="omitted")
    compute = Cpt(EpicsSignal, "ComputeStatistics", kind="omitted")
    arrays = Cpt(EpicsSignalRO, "ArrayCounter_RBV", auto_monitor=True, kind="omitted")
    value = FCpt(EpicsSignalRO, "{prefix}{quantity}_RBV", auto_monitor=False, kind="hinted")

    def __init__(self, prefix: str, *, quantity: str, **kwargs: Any):
        self.quantity = quantity
        super().__init__(prefix, **kwargs)
        self.stage_sigs.update({"enable": 1, "blocking": 1, "compute": 1})


class StatisticsBucket(OneShotBucket):
    """A bucket from a statistics plugin; a class built on this one has the signal `acquire` and the plugin `bucket_plugin`.

    An exposure ends when the detector says so and each plugin has computed its result of a new array. Which of the two comes
    first depends on the detector's driver.
    """

    acquire: EpicsSignal
    bucket_plugin: StatisticsPlugin
    monitor_plugin: StatisticsPlugin | None = None

    @property
    def bucket(self) -> EpicsSignalRO:  # type: ignore[override]
        """The plugin's result."""
        return self.bucket_plugin.value

    @property
    def monitor(self) -> EpicsSignalRO | None:  # type: ignore[override]
        """The result of the monitor's plugin; None without one."""
        return None if self.monitor_plugin is None else self.monitor_plugin.value

    @property
    def _start_signal(self) -> EpicsSignal:
        return self.acquire

    def _begin(self, counted: StatusBase) -> None:
        counters = [plugin.arrays for plugin in (self.bucket_plugin, self.monitor_plugin) if plugin is not None]
        before = {counter: counter.get() for counter in counters}
        expected: set[Any] = {self.acquire, *counters}

        def came(what: Any) -> None:
            with self._lock:
                expected.discard(what)
                if not expected:
                    end(counted)

        def computed(value: Any, obj: Any, **_: Any) -> None:
            if value != before[obj]:
                came(obj)

        def forget(_: StatusBase) -> None:
            for counter in counters:
                counter.clear_sub(computed)

        counted.add_callback(forget)
        for counter in counters:
            counter.subscribe(computed, run=False)
        self.acquire.put(1, wait=False, callback=lambda **_: came(self.acquire))
