"""A bucket from an electrometer."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal
from ophyd import FormattedComponent as FCpt

from beamline.buckets.statistics import StatisticsBucket, StatisticsPlugin

_SINGLE = 2  # of AcquireMode
_DIGITS = 13  # after the point, of a current in A


class Electrometer(StatisticsBucket):
    """A diode whose current an electrometer reads: one channel of a device that EPICS's quadEM module drives.

    The bucket is the mean current over the exposure, in A. It may be negative, where there is little light and the electrometer
    has an offset. The time of the exposure is that of AveragingTime and is not measured.

    Parameters
    ----------
    bucket_channel : int
        1 to 4.
    saturation_current : float, optional
        Current from which the bucket is saturated, in A.
    open_beam_ratio, count_margin_s : float
        See `OneShotBucket`.
    """

    acquire = Cpt(EpicsSignal, "Acquire", kind="omitted")
    acquire_mode = Cpt(EpicsSignal, "AcquireMode", kind="omitted")
    exposure = Cpt(EpicsSignal, "AveragingTime", put_complete=True, kind="config")
    bucket_plugin = FCpt(StatisticsPlugin, "{prefix}Current{bucket_channel}:", quantity="MeanValue", kind="hinted")

    units = "A"
    may_be_negative = True

    def __init__(self, prefix: str, *, bucket_channel: int = 1, saturation_current: float | None = None, **kwargs: Any):
        self.bucket_channel = bucket_channel
        self.saturation_current = saturation_current
        super().__init__(prefix, **kwargs)
        # Most run continuously for a display. unstage brings that back.
        self.stage_sigs.update({"acquire": 0, "acquire_mode": _SINGLE})

    def describe(self) -> dict[str, Any]:
        """Describe the readings, with enough digits for a table: records of currents often announce a few, as of amperes."""
        description = super().describe()
        for key in self._count_keys:
            description[key]["precision"] = _DIGITS
        return description

    def saturation_counts(self, exposure: float) -> float | None:
        """Return the current from which the bucket is saturated, however long the exposure."""
        return self.saturation_current

    def _monitor_rate(self) -> float:
        return float("nan") if self.monitor is None else float(self.monitor.get())


class MonitoredElectrometer(Electrometer):
    """An electrometer one of whose channels reads the incident-beam monitor.

    Parameters
    ----------
    monitor_channel : int
        1 to 4.
    **kwargs
        See `Electrometer`.
    """

    monitor_plugin = FCpt(StatisticsPlugin, "{prefix}Current{monitor_channel}:", quantity="MeanValue", kind="normal")

    def __init__(self, prefix: str, *, monitor_channel: int = 2, **kwargs: Any):
        self.monitor_channel = monitor_channel
        super().__init__(prefix, **kwargs)
