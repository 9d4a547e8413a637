"""The U-net of Noise2Ghost: 24 features, 3 levels, some 276 thousand parameters."""

from __future__ import annotations

import torch
from torch import nn


def _convolve(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Convolution, normalisation over the image at hand, leaky ReLU."""
    return nn.Sequential(
        # without torch's own first weights, which would advance its global generator
        nn.utils.skip_init(
            nn.Conv2d, inputs, outputs, size, padding=size // 2, padding_mode="replicate" if size > 1 else "zeros"
        ),
        # statistics of the image at hand in training and prediction alike: a step sees a single image
        nn.BatchNorm2d(outputs, track_running_stats=False),
        nn.LeakyReLU(0.2),
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolve(inputs, outputs, 3), _convolve(outputs, outputs, 1))


class UNet(nn.Module):
    """A U-net from one image to one image, for images of any size.

    Each level halves the image by averaging and doubles the features, but for the last; the way back up is bilinear.

    Parameters
    ----------
    features : int
        Features at full size.
    levels : int
        Number of halvings.
    generator : torch.Generator
        Draws the first weights.
    """

    def __init__(self, features: int, levels: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [features * 2 ** min(level, max(levels - 1, 0)) for level in range(levels + 1)]
        self.first = _double(1, widths[0])
        self.down = nn.ModuleList(_double(widths[level], widths[level + 1]) for level in range(levels))
        self.up = nn.ModuleList(_double(2 * widths[level], widths[max(level - 1, 0)]) for level in range(levels - 1, -1, -1))
        self.last = nn.utils.skip_init(nn.Conv2d, widths[0], 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
                bound = (layer.weight[0].numel()) ** -0.5
                assert layer.bias is not None
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
                # as the images come, or each step would rearrange the weights
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, 1, H, W) of the shape of the given ones."""
        kept = [self.first(images)]
        for block in self.down:
            # pooling of odd sizes drops a row: it is repeated first
            height, width = kept[-1].shape[-2:]
            even = kept[-1]
            if width % 2 or height % 2:
                even = nn.functional.pad(even, (0, width % 2, 0, height % 2), mode="replicate")
            kept.append(block(nn.functional.avg_pool2d(even, 2)))
        out = kept.pop()
        for block in self.up:
            fine = kept.pop()
            height, width = fine.shape[-2:]
            out = nn.functional.interpolate(out, scale_factor=2, mode="bilinear", align_corners=True)
            out = block(torch.cat([fine, out[..., :height, :width]], dim=1))
        return self.last(out)


def fitting_levels(shape: tuple[int, int], levels: int) -> int:
    """Return how many halvings leave 4 pixels or more to normalise over at the coarsest level."""
    levels = min(levels, max(shape).bit_length())
    while levels and -(-shape[0] // 2**levels) * -(-shape[1] // 2**levels) < 4:
        levels -= 1
    return levels
