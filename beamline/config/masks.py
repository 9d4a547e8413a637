"""The mask plate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from beamline.config.checks import expanded
from beamline.config.section import Section


class MaskPlateSection(Section):
    """Which plate is on the mask stage: a preset, or a file written by `MaskPlate.save`."""

    preset: Literal["copper", "gold", "gold-random"] = Field(
        "gold", description="Plate of the paper: copper (32x32, 150 um) or gold (64x64, 10 um; Hadamard or random masks)."
    )
    num: int | None = Field(None, ge=1, le=65_536, description="How many masks a gold plate has; default: 4096, random 1024.")
    seed: int = Field(0, ge=0, description="Seed of the random masks.")
    file: Path | None = Field(None, description="NPZ file of another plate; it takes the place of the preset.")

    @field_validator("file")
    @classmethod
    def _expanded(cls, file: Path | None) -> Path | None:
        return None if file is None else expanded(file)
