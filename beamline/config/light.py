"""The shutter, pinhole, zone plate and beam."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from beamline.config.section import Section


class ShutterSection(Section):
    """The shutter: a PV that opens it, one that closes it, and one that says where it is. They may be the same."""

    pv: str = Field("SHUTTER:", description="Text before the names below; empty: there is no shutter.")
    open: str = Field("Cmd:Opn-Cmd", description="PV that opens it.")
    open_value: int | str = Field(1, description="What is written to open it.")
    close: str = Field("Cmd:Cls-Cmd", description="PV that closes it.")
    close_value: int | str = Field(1, description="What is written to close it.")
    status: str = Field("Pos-Sts", description="PV that says where it is.")
    status_open: int | str = Field("Open", description="What that PV says when the shutter is open; everything else is not open.")
    open_failure: str = Field("Sts:FailOpn-Sts", description="PV that becomes 1 when it could not open; empty: there is none.")
    close_failure: str = Field("Sts:FailCls-Sts", description="PV that becomes 1 when it could not close; empty: there is none.")
    timeout_s: float = Field(10.0, gt=0, le=600, description="Longest time that opening or closing may take, in s.")

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if self.open == self.close and self.open_value == self.close_value:
            raise ValueError(f"open_value and close_value must differ: {self.open!r} opens and closes with {self.open_value!r}")
        if bool(self.open_failure) != bool(self.close_failure):
            raise ValueError("open_failure and close_failure must both be named, or both be empty")
        return self


class PinholeSection(Section):
    """The pinhole that makes a pencil beam for raster scans."""

    pv: str = Field("PINHOLE:In", description="PV that brings it into the beam with 1 and out with 0; empty: there is none.")
    size_um: float = Field(10.0, gt=0, description="Diameter of the beam behind it, in um.")
    timeout_s: float = Field(30.0, gt=0, le=600, description="Longest time that it may take to move, in s.")


class ZonePlateSection(Section):
    """The zone plate before the sample stage: scans for ptychography tell of it, and the size of the beam follows from it."""

    diameter_um: float = Field(400.0, ge=0, description="Diameter, in um; 0: there is no zone plate.")
    outermost_zone_nm: float = Field(200.0, gt=0, description="Width of the outermost zone, in nm.")
    central_stop_um: float = Field(160.0, ge=0, description="Diameter of the central stop, in um; 0: there is none.")
    defocus_mm: float = Field(8.0, description="How far behind the focus the sample stands, in mm; below 0: before it.")


class BeamSection(Section):
    """Whether there is beam, and when scans wait for it."""

    energy_kev: float = Field(11.1, gt=0, description="Photon energy, in keV.")

    ring_current: str = Field("RING:Current", description="Ring current, in mA; empty: there is none.")
    minimum_ma: float = Field(20.0, ge=0, description="Ring current below which scans wait, in mA; 0: never wait for it.")
    minimum_monitor_rate: float = Field(
        0.0, ge=0, description="Monitor counts per second below which an exposure is repeated later; 0: not checked."
    )
    settle_s: float = Field(5.0, ge=0, le=3600, description="How long to wait after the beam is back, in s.")
