"""What gives the buckets: a scaler, an electrometer, or a camera."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from beamline.config.section import Section


class DiodeSection(Section):
    """The bucket diode and the incident-beam monitor, two channels of one scaler record."""

    scaler: str = Field("SCALER", description="The scaler record; empty: there is none.")
    bucket_channel: int = Field(3, ge=1, le=64, description="Scaler channel that counts the bucket diode.")
    monitor_channel: int = Field(2, ge=1, le=64, description="Scaler channel that counts the incident-beam monitor.")
    open_beam_ratio: float = Field(
        1.0, gt=0, description="Bucket counts for each monitor count with neither mask plate nor sample in the beam."
    )
    photons_per_monitor_count: float | None = Field(
        None,
        gt=0,
        description="Photons on the whole area of a mask for each monitor count, with neither mask plate nor sample; with it "
        "reconstructions tell the dose in photons.",
    )
    saturation_rate: float | None = Field(
        1e8,
        gt=0,
        description="Highest bucket counts per second that the counting chain can follow, such as the top frequency of a "
        "voltage-to-frequency converter. Buckets within 1 % of it are saturated.",
    )
    count_margin_s: float = Field(
        2.0, gt=0, le=600, description="How much longer than its exposure a count may take before it counts as lost, in s."
    )

    @model_validator(mode="after")
    def _channels_differ(self) -> Self:
        if self.bucket_channel == self.monitor_channel:
            raise ValueError("bucket_channel and monitor_channel must differ: one channel cannot count both")
        return self


class ElectrometerSection(Section):
    """An electrometer that reads the bucket diode's current, and maybe that of an incident-beam monitor (EPICS quadEM)."""

    pv: str = Field("", description="Text before Acquire, AveragingTime and Current1:; empty: there is none.")
    bucket_channel: int = Field(1, ge=1, le=4, description="Channel that reads the bucket diode.")
    monitor_channel: int | None = Field(
        None, ge=1, le=4, description="Channel that reads the incident-beam monitor. Default: there is no monitor."
    )
    open_beam_ratio: float = Field(
        1.0, gt=0, description="Bucket current for each ampere of the monitor with neither mask plate nor sample in the beam."
    )
    saturation_current: float | None = Field(
        None, gt=0, description="Bucket current, in A, from which it is saturated. Default: not checked."
    )
    count_margin_s: float = Field(
        2.0, gt=0, le=600, description="How much longer than its exposure a reading may take before it counts as lost, in s."
    )

    @model_validator(mode="after")
    def _channels_differ(self) -> Self:
        if self.bucket_channel == self.monitor_channel:
            raise ValueError("bucket_channel and monitor_channel must differ: one channel cannot read both")
        return self


class CameraSumSection(Section):
    """A camera whose pixels are summed to a bucket: an areaDetector with a statistics plugin."""

    pv: str = Field("", description="Text before cam1: and the plugins; empty: there is none.")
    statistics: str = Field("Stats1:", min_length=1, description="Statistics plugin whose Total_RBV is the bucket.")
    monitor_statistics: str = Field(
        "", description="Statistics plugin whose Total_RBV is the incident-beam monitor; empty: there is no monitor."
    )
    open_beam_ratio: float = Field(
        1.0, gt=0, description="Bucket for each count of the monitor with neither mask plate nor sample in the beam."
    )
    saturation_total: float | None = Field(
        None, gt=0, description="Sum from which the bucket is saturated. Default: not checked."
    )
    count_margin_s: float = Field(
        2.0, gt=0, le=600, description="How much longer than its exposure a frame may take before it counts as lost, in s."
    )

    @model_validator(mode="after")
    def _plugins_differ(self) -> Self:
        if self.statistics == self.monitor_statistics:
            raise ValueError("statistics and monitor_statistics must differ: one plugin cannot sum both")
        return self
