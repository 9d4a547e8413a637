"""The shutter and the beam."""

from __future__ import annotations

from pydantic import Field

from beamline.config.section import Section


class ShutterSection(Section):
    """The shutter: two buttons and a status."""

    pv: str = Field(
        "SHUTTER:", description="Text before Cmd:Opn-Cmd, Cmd:Cls-Cmd, Pos-Sts and the failure flags; empty: there is no shutter."
    )
    timeout_s: float = Field(10.0, gt=0, le=600, description="Longest time that opening or closing may take, in s.")


class BeamSection(Section):
    """What tells whether there is beam, and when a scan is to wait for it."""

    energy_kev: float = Field(11.1, gt=0, description="Photon energy, in keV.")

    ring_current: str = Field("RING:Current", description="Ring current, in mA; empty: there is none.")
    minimum_ma: float = Field(20.0, ge=0, description="Ring current below which scans wait, in mA; 0: never wait for it.")
    minimum_monitor_rate: float = Field(
        0.0, ge=0, description="Monitor counts per second below which an exposure is repeated later; 0: not checked."
    )
    settle_s: float = Field(5.0, ge=0, le=3600, description="How long to wait after the beam is back, in s.")
