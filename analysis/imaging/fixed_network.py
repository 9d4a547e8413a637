"""A trained network whose normalisation is fixed, so that what it makes of a pixel depends on the pixels around alone."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch


def fixed(network: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    """The network, each layer normalising by what it saw of whole images (B, 1, H, W), as a part of its convolution."""
    made = copy.deepcopy(network).eval().requires_grad_(False)
    layers = [block for block in made.modules() if isinstance(block, torch.nn.Sequential) and len(block) == 3]
    handles = [block[0].register_forward_hook(partial(_fold, block)) for block in layers]
    with torch.inference_mode():
        made(images.contiguous(memory_format=torch.channels_last))
    for handle in handles:
        handle.remove()
    return made


def _fold(block: torch.nn.Sequential, convolution: torch.nn.Conv2d, inputs: Any, made: torch.Tensor) -> torch.Tensor:
    """Put the normalisation by this output into the convolution; return its normalised output."""
    norm = block[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    variance, mean = torch.var_mean(made, dim=(0, 2, 3), correction=0)
    factor = norm.weight / (variance + norm.eps).sqrt()
    assert convolution.bias is not None
    convolution.weight.copy_(convolution.weight * factor[:, None, None, None])
    convolution.bias.copy_((convolution.bias - mean) * factor + norm.bias)
    block[1] = torch.nn.Identity()
    return made.sub_(mean[:, None, None]).mul_(factor[:, None, None]).add_(norm.bias[:, None, None])
