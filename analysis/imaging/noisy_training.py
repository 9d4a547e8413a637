"""What networks that learn from noisy images alone have in common: their size, the parts of images, and the steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.optim.lr_scheduler import OneCycleLR

from analysis.imaging.unet import UNet

STEPS = 1600
PARTS = 4  # of images, in a step
_SIDE = 64  # pixels of a part
_FEATURES, _LEVELS = 12, 2
_RATE = 1e-2


def silent_unet(seed: int) -> UNet:
    """A U-net whose output is 0 before its training, to be added to an image that is nearly right."""
    network = UNet(_FEATURES, _LEVELS, torch.Generator().manual_seed(seed))
    torch.nn.init.zeros_(network.last.weight)
    assert network.last.bias is not None
    torch.nn.init.zeros_(network.last.bias)
    return network


class Training:
    """The steps of a training, whose rate first rises and then falls.

    Parameters
    ----------
    network : torch.nn.Module
    steps : int
        Number of steps for which the rate is planned.
    """

    def __init__(self, network: torch.nn.Module, steps: int) -> None:
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=1e-2, fused=True)
        self._schedule = OneCycleLR(self._optimiser, _RATE, total_steps=steps)

    def step(self, loss: torch.Tensor) -> None:
        """Take one step against the gradient of a loss."""
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()


def random_part(channels: Sequence[torch.Tensor], rng: np.random.Generator) -> torch.Tensor:
    """The same part of several images (H, W), float32 (channels, h, w): at a random place, turned and perhaps mirrored."""
    height, width = channels[0].shape
    side = min(_SIDE, height, width)
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    part = torch.stack([channel[y : y + side, x : x + side].float() for channel in channels])
    part = torch.rot90(part, int(rng.integers(4)), (1, 2))
    return part.flip(2) if rng.integers(2) else part
