"""What counts the buckets."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from beamline.config.section import Section


class DiodeSection(Section):
    """The bucket diode and the incident-beam monitor, two channels of one scaler record."""

    scaler: str = Field("SCALER", description="The scaler record.")
    bucket_channel: int = Field(3, ge=1, le=64, description="Scaler channel that counts the bucket diode.")
    monitor_channel: int = Field(2, ge=1, le=64, description="Scaler channel that counts the incident-beam monitor.")
    open_beam_ratio: float = Field(
        1.0, gt=0, description="Bucket counts for each monitor count with neither mask plate nor sample in the beam."
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
