"""The fluorescence spectrometer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from beamline.config.section import Section


class XrfSpectrometerSection(Section):
    """The X-ray fluorescence detector: a DXP system with an MCA record for each detector element."""

    pv: str = Field("XRF:", description="Text before EraseStart, mca1 and dxp1:; empty: there is none.")
    detector_elements: int = Field(4, ge=1, le=64, description="How many detector elements it has.")
    bins: int = Field(4096, ge=64, le=16_384, description="Bins of each spectrum; NUSE of the MCA records must say the same.")
    offset_kev: float = Field(0.0, ge=-10, le=10, description="Energy of bin 0, in keV; the reconstruction fits it again.")
    slope_kev: float = Field(
        0.005, gt=0, le=1, description="Energy of one bin, in keV, within 3 %; the reconstruction fits it again."
    )
    lowest_kev: float = Field(1.0, ge=0, description="Lowest energy that is looked at, in keV.")
    elements: list[str] = Field(
        ["Ca", "Fe", "Cu"],
        min_length=1,
        max_length=32,
        description="Chemical elements to image, each by its K lines, or the L lines where the beam does not reach the K edge; "
        "`Pb_L` names a series. Name all that fluoresce: what is left out counts for something else.",
    )
    buckets: Literal["fit", "regions"] = Field(
        "fit", description="`fit`: the counts of each element are fitted; `regions`: they are added up around its strongest line."
    )
    count_margin_s: float = Field(
        2.0, gt=0, le=600, description="How much longer than its exposure a count may take before it counts as lost, in s."
    )
