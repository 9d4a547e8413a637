"""The network of implicit neural representations: a sinusoidal MLP of Fourier embeddings of the coordinates."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

_FREQUENCY = 30.0
"""omega_0 of Sitzmann et al.: each layer's argument is multiplied by it, its first weights are divided by it."""


def coordinates(shape: tuple[int, int]) -> np.ndarray:
    """Return the (y, x) of each pixel, float64 (2, H, W), from -1/2 to 1/2 along the longer side."""
    longest = max(shape)
    axes = [(np.arange(length) - (length - 1) / 2) / longest for length in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


class SinusoidalNetwork(nn.Module):
    """Coordinates to values: sines and cosines of random frequencies, then layers with sine as activation.

    Fourier embeddings after Tancik et al. (NeurIPS 2020), layers and first weights after Sitzmann et al. (NeurIPS 2020).

    Parameters
    ----------
    features : int
        Neurons of each hidden layer.
    layers : int
        Linear layers, the last of which makes the one value.
    embeddings : int
        Frequencies; each gives a sine and a cosine.
    bandwidth : float
        Standard deviation of the frequencies, cycles over the longer side of the image.
    generator : torch.Generator
        Draws frequencies and first weights.
    """

    def __init__(self, features: int, layers: int, embeddings: int, bandwidth: float, generator: torch.Generator) -> None:
        super().__init__()
        self.frequencies: torch.Tensor
        self.register_buffer("frequencies", bandwidth * torch.randn(2, embeddings, generator=generator))
        widths = [2 * embeddings, *[features] * (layers - 1), 1]
        self.layers = nn.ModuleList()
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            # without torch's own first weights, which would advance its global generator
            layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
            bound = 1 / inputs if number == 0 else (6 / inputs) ** 0.5 / _FREQUENCY
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.uniform_(layer.bias, -(inputs**-0.5), inputs**-0.5, generator=generator)
            self.layers.append(layer)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Return values (B, 1, H, W) at places (B, 2, H, W), pairs of coordinates."""
        phases = 2 * torch.pi * places.permute(0, 2, 3, 1) @ self.frequencies
        values = torch.cat([phases.sin(), phases.cos()], dim=-1)
        for layer in self.layers[:-1]:
            values = (_FREQUENCY * layer(values)).sin()
        return self.layers[-1](values).permute(0, 3, 1, 2)
