"""A bucket from a camera: the sum of its pixels."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal
from ophyd import FormattedComponent as FCpt

from beamline.buckets.statistics import StatisticsBucket, StatisticsPlugin


class CameraSum(StatisticsBucket):
    """A camera, or another areaDetector, and a statistics plugin that sums the pixels of each frame.

    Parameters
    ----------
    statistics : str
        Text between the prefix and the plugin's records. A plugin behind a region of interest sums that region.
    saturation_total : float, optional
        Sum from which the bucket is saturated.
    open_beam_ratio, count_margin_s : float
        See `OneShotBucket`.
    """

    acquire = Cpt(EpicsSignal, "cam1:Acquire", kind="omitted")
    image_mode = Cpt(EpicsSignal, "cam1:ImageMode", kind="omitted")
    trigger_mode = Cpt(EpicsSignal, "cam1:TriggerMode", kind="omitted")
    callbacks = Cpt(EpicsSignal, "cam1:ArrayCallbacks", kind="omitted")
    exposure = Cpt(EpicsSignal, "cam1:AcquireTime", put_complete=True, kind="config")
    bucket_plugin = FCpt(StatisticsPlugin, "{prefix}{statistics}", quantity="Total", kind="hinted")

    def __init__(self, prefix: str, *, statistics: str = "Stats1:", saturation_total: float | None = None, **kwargs: Any):
        self.statistics = statistics
        self.saturation_total = saturation_total
        super().__init__(prefix, **kwargs)
        # Stopped, one frame for each Acquire (Single), not triggered from outside, and frames go to the plugins.
        self.stage_sigs.update({"acquire": 0, "image_mode": 0, "trigger_mode": 0, "callbacks": 1})

    def saturation_counts(self, exposure: float) -> float | None:
        """Return the sum from which the bucket is saturated, however long the exposure."""
        return self.saturation_total


class MonitoredCameraSum(CameraSum):
    """A camera of which another statistics plugin sums a region that sees the incident beam.

    Parameters
    ----------
    monitor_statistics : str
        Text between the prefix and that plugin's records.
    **kwargs
        See `CameraSum`.
    """

    monitor_plugin = FCpt(StatisticsPlugin, "{prefix}{monitor_statistics}", quantity="Total", kind="normal")

    def __init__(self, prefix: str, *, monitor_statistics: str = "Stats2:", **kwargs: Any):
        self.monitor_statistics = monitor_statistics
        super().__init__(prefix, **kwargs)
