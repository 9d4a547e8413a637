"""Finds the mask plate that the configuration names."""

from __future__ import annotations

from typing import Literal

from beamline.config import GhostbeamConfig
from beamline.mask_designs import copper_plate, gold_plate
from beamline.mask_plate import MaskPlate, MaskPlateError


def make_plate(config: GhostbeamConfig) -> MaskPlate:
    """Load or design the plate that the configuration names.

    Raises
    ------
    MaskPlateError
        If its file cannot be read, or the preset has not so many masks.
    """
    wanted = config.mask_plate
    if wanted.file is not None:
        return MaskPlate.load(wanted.file)
    if wanted.preset == "copper":
        if wanted.num is not None:
            raise MaskPlateError("[mask_plate] num: the copper plate always has 1024 masks; leave num out")
        return copper_plate()
    design: Literal["random", "hadamard"] = "random" if wanted.preset == "gold-random" else "hadamard"
    return gold_plate(design, wanted.num, wanted.seed)
