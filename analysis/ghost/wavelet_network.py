"""The multi-level wavelet network: a U-shaped network whose down- and upsampling is the Haar transform, which is lossless."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .linear_images import LinearImages

_WIDTHS = (32, 48, 64)
"""Features at a half, a quarter and an eighth of the image's resolution: 0.6 million weights."""

_CHANNELS = 3
_SLOPE = 0.1
_HIGHEST_LEVEL = 10.0
_SMALLEST_SPREAD = 0.01


def haar(images: torch.Tensor) -> torch.Tensor:
    """Return the orthonormal Haar transform (B, 4 C, H / 2, W / 2) of images (B, C, H, W).

    The averages of all channels come first, then the details along x, along y and along both.
    """
    upper, lower = images[..., 0::2, :], images[..., 1::2, :]
    across = (upper + lower, upper - lower)
    sums, differences = ([one[..., 0::2] + sign * one[..., 1::2] for sign in (1, -1)] for one in across)
    return torch.cat([*sums, *differences], dim=1) / 2


def inverse_haar(parts: torch.Tensor) -> torch.Tensor:
    """Return the images (B, C, H, W) whose transform is (B, 4 C, H / 2, W / 2)."""
    average, along_x, along_y, along_both = (parts / 2).chunk(4, dim=1)
    sums = torch.stack([average + along_x, average - along_x], dim=-1).flatten(-2)
    differences = torch.stack([along_y + along_both, along_y - along_both], dim=-1).flatten(-2)
    return torch.stack([sums + differences, sums - differences], dim=-2).flatten(-3, -2)


class WaveletNetwork(nn.Module):
    """A multi-level wavelet CNN (Liu et al., CVPR Workshops 2018), for images of any size.

    The Haar transform replaces pooling and its inverse replaces upsampling, so that the receptive field doubles at each
    level. The output of a level on the way down is added on the way up. There is no normalisation over a batch: the result
    for an image does not depend on other images in the batch.
    """

    def __init__(self) -> None:
        super().__init__()
        given = [4 * _CHANNELS, *(4 * width for width in _WIDTHS[:-1])]
        made = [2 * 4, *given[1:]]
        self.down = nn.ModuleList(_block(inputs, width, width) for inputs, width in zip(given, _WIDTHS, strict=True))
        self.up = nn.ModuleList(_block(width, width, outputs) for width, outputs in zip(_WIDTHS, made, strict=True))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return deviations from the level, of mean 0, and their standard errors, both (B, H, W).

        `inputs`, (B, 3, H, W), are those of `network_inputs`.
        """
        height, width = inputs.shape[-2:]
        multiple = 2 ** len(_WIDTHS)
        images = functional.pad(inputs, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        passed: list[torch.Tensor] = []
        for block in self.down:
            images = functional.leaky_relu(block(haar(images)), _SLOPE)
            passed.append(images)
        images = torch.zeros_like(images)
        for block in reversed(self.up):
            images = inverse_haar(block(images + passed.pop()))
        images = images[..., :height, :width].float()
        deviations = inputs[:, 1] + images[:, 0]
        spreads = _SMALLEST_SPREAD + functional.softplus(images[:, 1])
        return deviations - deviations.mean(dim=(1, 2), keepdim=True), spreads


def network_inputs(seen: LinearImages, shape: tuple[int, int]) -> torch.Tensor:
    """Return matched image, least-squares image and level, (S, 3, H, W), in units of `seen.unit` (1 where that is 0)."""
    unit = np.where(seen.unit > 0, seen.unit, 1.0)[:, None, None]
    level = np.clip(seen.level[:, None, None] / unit, -_HIGHEST_LEVEL, _HIGHEST_LEVEL)
    images = [image.reshape(-1, *shape) / unit for image in (seen.matched, seen.solved)]
    return torch.from_numpy(np.stack([*images, np.broadcast_to(level, images[0].shape)], axis=1).astype(np.float32))


def _block(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(inputs, width),
        nn.LeakyReLU(_SLOPE),
        _convolution(width, width),
        nn.LeakyReLU(_SLOPE),
        _convolution(width, outputs),
    )


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    # without torch's own initial weights, which would advance its global generator
    return nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, padding=1)
