"""Reconstruction of several channels with the same masks: the chemical elements of a fluorescence scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.estimate import Estimate, Quantity
from analysis.ghost import Estimate as GhostEstimate
from analysis.ghost import Reconstructor
from analysis.techniques.ghost.incident import DOSE_FIGURES

MASK_DRIFT = {
    "mask_drift_px": Quantity("movement of the masks against the sample during the scan", "pixel"),
    "mask_drift_least_px": Quantity("movement of the masks during the scan in pixels, at least", "pixel", doubtful_from=0.1),
}
"""Figures of the methods that check for mask drift."""


def channel_quantities(channels: Sequence[str], shape: tuple[int, int], units: str) -> dict[str, Quantity]:
    """Image and spread of all channels, and the figures of reliability: of the best channel, then of each."""
    stack = (len(channels), *shape)
    dims = ("channel", "y", "x")
    return {
        "image": Quantity("image of each element", units, "<f4", stack, dims),
        "spread": Quantity("standard error of each image", units, "<f4", stack, dims),
        "heldout_loss": Quantity("held-out loss of the best element", lower_is_better=True, useless_from=1.0),
        "frc_resolution_px": Quantity("FRC of that element", "pixel", lower_is_better=True),
        **{f"heldout_loss_{channel}": Quantity(f"held-out loss of {channel}") for channel in channels},
        **MASK_DRIFT,
        "dose": Quantity("monitor counts so far", "counts"),
        **DOSE_FIGURES,
    }


def joint_estimate(channels: Sequence[str], made: Sequence[GhostEstimate], dose: Mapping[str, float]) -> Estimate:
    """The estimates of all channels combined into one."""
    arrays = {name: np.stack([np.asarray(getattr(one, name), dtype="<f4") for one in made]) for name in ("image", "spread")}
    losses = np.array([one.heldout_loss for one in made])
    best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0
    figures = {f"heldout_loss_{channel}": float(loss) for channel, loss in zip(channels, losses, strict=True)}
    return Estimate(arrays, {"heldout_loss": float(losses[best]), **made[best].figures, **figures, **dose})


def joint_options(reconstructors: Sequence[Reconstructor]) -> Mapping[str, Any]:
    """The options of all channels; an option that was chosen separately for each is a list in their order."""
    every = [one.options for one in reconstructors]
    return {
        name: value if all(one[name] == value for one in every) else [one[name] for one in every]
        for name, value in every[0].items()
    }
