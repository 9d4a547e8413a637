"""Deep image prior: an image as the output of a network that has seen nothing else.

Ulyanov, Vedaldi and Lempitsky, Int. J. Comput. Vis. 128, 1867 (2020), with the two networks of Erin et al., J. Phys.: Conf.
Ser. 3010, 012172 (2025), U-nets as MONAI builds them: residual units of two convolutions, halved by strides on the way down,
doubled by transposed convolutions on the way up. A network may draw what isn't there: see `analysis.imaging.hallucination`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from analysis.imaging.denoise import noise_of

ARCHITECTURES = {"arch1": (8, 16, 32, 64, 128), "arch2": (128,) * 6}
"""Features of the levels, by the paper's names."""


@dataclass(frozen=True, eq=False)
class Denoised:
    """An image (H, W), float32, the steps that made it, and its mean squared error against the noisy one."""

    image: np.ndarray
    steps: int
    loss: float


def deep_image_prior(
    image: np.ndarray,
    *,
    architecture: str = "arch1",
    learning_rate: float = 3e-5,
    max_steps: int = 3000,
    seed: int = 0,
    device: str = "cpu",
) -> Denoised:
    """Denoise an image.

    Training stops when the mean squared error is as small as the noise that the image's finest details show: from there on
    the network learns the noise. The paper stops by the loss and does not say where.

    Parameters
    ----------
    image : ndarray, (H, W)
        Finite.
    architecture : str
        A name in `ARCHITECTURES`.
    learning_rate : float
        Of Adam.
    max_steps : int
    seed : int
        Of the fixed input and the first weights.
    device : str

    Raises
    ------
    ValueError
        If there is no such architecture, or the image isn't finite.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {architecture!r}: choose one of {', '.join(ARCHITECTURES)}")
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError("an image must have two axes and hold finite numbers")
    features = ARCHITECTURES[architecture]
    height, width = image.shape
    unit = 2 ** (len(features) - 1)
    padded = np.pad(image, [(0, -height % unit), (0, -width % unit)], mode="symmetric")
    mean, scale = float(padded.mean()), float(padded.std()) or 1.0
    generator = torch.Generator().manual_seed(seed)
    network = ResidualUNet(features, generator).to(device)
    fixed = torch.rand((1, 1, *padded.shape), generator=generator).to(device)
    target = torch.from_numpy(((padded - mean) / scale).astype(np.float32))[None, None].to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    noise = (noise_of(image) / scale) ** 2
    step = 0
    while True:
        optimizer.zero_grad(set_to_none=True)
        output = network(fixed)
        loss = ((output - target) ** 2).mean()
        if float(loss.detach()) <= noise or step == max_steps:
            break
        loss.backward()
        optimizer.step()
        step += 1
    found = output.detach()[0, 0, :height, :width].cpu().numpy() * scale + mean
    return Denoised(found.astype(np.float32), step, float(loss.detach()) * scale**2)


class ResidualUNet(nn.Module):
    """A U-net of residual units, from one image to one image; sides must be multiples of 2^(levels - 1).

    Parameters
    ----------
    features : sequence of int
        Of each level.
    generator : torch.Generator
        Draws the first weights.
    """

    def __init__(self, features: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        inputs = (1, *features[:-2])
        self.down = nn.ModuleList(_Residual(before, after, 2) for before, after in zip(inputs, features[:-1], strict=True))
        self.bottom = _Residual(features[-2], features[-1], 1)
        below = [features[-1] + features[-2], *(2 * width for width in reversed(features[:-2]))]
        above = [*reversed(features[:-2]), 1]
        self.up = nn.ModuleList(_Up(before, after) for before, after in zip(below, above, strict=True))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (1, 1, H, W)."""
        kept = []
        for block in self.down:
            image = block(image)
            kept.append(image)
        image = self.bottom(image)
        for block in self.up:
            image = block(torch.cat([kept.pop(), image], dim=1))
        return image


def _norm(features: int) -> nn.Sequential:
    return nn.Sequential(nn.InstanceNorm2d(features), nn.PReLU())


class _Residual(nn.Module):
    """Two convolutions beside a shorter way."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        first = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride=stride, padding=1)
        second = nn.utils.skip_init(nn.Conv2d, outputs, outputs, 3, padding=1)
        self.long = nn.Sequential(first, _norm(outputs), second, _norm(outputs))
        self.short = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride=stride, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.long(image) + self.short(image)


class _Up(nn.Module):
    """Twice as large, then one convolution beside nothing; the last one without normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        double = nn.utils.skip_init(nn.ConvTranspose2d, inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        convolve = nn.utils.skip_init(nn.Conv2d, outputs, outputs, 3, padding=1)
        self.twice = nn.Sequential(double, _norm(outputs)) if outputs > 1 else double
        self.convolve = nn.Sequential(convolve, _norm(outputs)) if outputs > 1 else convolve

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = self.twice(image)
        return image + self.convolve(image)
