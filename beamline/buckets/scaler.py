"""The bucket diode and the incident-beam monitor, counted by a scaler record."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsScaler, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt

from beamline.buckets.one_shot import OneShotBucket

_LARGEST_COUNT = 2**32 - 1
"""Of a channel of the scaler record."""


class BucketDiode(OneShotBucket, EpicsScaler):
    """A diode that sees all the light that has passed the mask and the sample, and the monitor before them.

    The data keys are the device's name (bucket counts), `..._monitor` (monitor counts) and `..._time` (s counted).

    Parameters
    ----------
    bucket_channel, monitor_channel : int
        Scaler channels.
    saturation_rate : float, optional
        Highest bucket counts per second that the counting chain can follow.
    photons_per_monitor_count : float, optional
        Photons on the whole area of a mask for each monitor count, without a mask.
    open_beam_ratio, count_margin_s : float
        See `OneShotBucket`.
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

    def __init__(
        self,
        prefix: str,
        *,
        bucket_channel: int = 3,
        monitor_channel: int = 2,
        saturation_rate: float | None = None,
        photons_per_monitor_count: float | None = None,
        **kwargs: Any,
    ):
        self.bucket_channel, self.monitor_channel = bucket_channel, monitor_channel
        self.saturation_rate = saturation_rate
        self.photons_per_monitor_count = photons_per_monitor_count
        super().__init__(prefix, **kwargs)
        self.elapsed.name = f"{self.name}_time"

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

    @property
    def _start_signal(self) -> EpicsSignal:
        return self.count

    def _monitor_rate(self) -> float:
        seconds = self.elapsed.get()
        return float(self.monitor.get()) / seconds if seconds > 0 else 0.0
