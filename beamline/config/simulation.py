"""The simulated beamline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from beamline.config.section import Section


class SimulationSection(Section):
    """The simulated beamline; used when `simulated` is true."""

    sample: str = Field("CAS", min_length=1, description="Name of a simulated sample, or an image file.")
    speed: float = Field(1.0, gt=0, le=100_000, description="How many times faster than in life the devices move and count.")
    seed: int = Field(0, ge=0, description="Seed of the simulated physics.")
    photons: float = Field(1e4, gt=0, description="Photons per second on one open mask pixel.")
    coherent_sample: Literal["star", "fibres"] = Field("star", description="What the pixel detector sees the diffraction of.")
    flux: float = Field(4e7, gt=0, lt=1e12, description="Photons per second in the zone plate's cone, all on the pixel detector.")
    frames: Literal["diffraction", "pattern"] = Field(
        "diffraction", description="`pattern` recycles 64 frames, whatever the sample does: for tests of speed."
    )
    pair_scene: Literal["flow", "nuclei", "bars", "texture"] = Field(
        "flow", description="What the dual camera sees; `flow` moves from frame to frame."
    )
    pair_photons: float = Field(
        2500.0, gt=0, lt=1e9, description="Mean photons per second and pixel in each half of the dual camera's frames."
    )
    radiograph_scene: Literal["foam", "particles", "bed", "masks"] = Field(
        "foam",
        description="What the X-ray camera sees: foam or particles that turn with the rotation, a bed that moves, or the masks.",
    )
    radiograph_photons: float = Field(
        20_000.0, gt=0, lt=1e9, description="X-ray photons per second on a pixel of the X-ray camera, without a sample."
    )
    scintillator: bool = Field(
        False, description="Whether a scintillator stands before the beam splitters: X-ray noise is then common to both halves."
    )
    ca_port: int = Field(
        5964, ge=1, le=65_534, description="Port at which the simulated PVs are served, on 127.0.0.1; a repeater takes the next."
    )
