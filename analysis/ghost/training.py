"""Training of a network on one scan (torch)."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from .device import usable_device
from .mask_product import mask_product
from .objective import BucketTargets, ImageTargets, Objective

_DAMPING = 0.98
"""Fraction of the residual along W 1 that is removed. The masks' common level makes that direction stiffer than all others by
orders of magnitude, and the level itself is known in advance.
"""

_SHARPNESS = 5.0
"""Sharpness of the softplus, over the object's contrast: smoother ones keep an empty background from reaching 0."""

_WEIGHT_DECAY = 1e-2
_EDGE = 1e-4
"""Smoothing of |gradient| at 0, in units of the object's contrast."""

_MOMENTUM = 0.8
"""Momentum of live training: gradients of earlier images are outdated. Up to 0.3 dB better than 0.9 at a steady rate."""


class _DataTerm(Protocol):
    def loss(self, indices: list[int], images: torch.Tensor) -> torch.Tensor:
        """Return the mean squared residual of each image (B, H, W) made from the inputs `indices`, (B,)."""
        ...


class _BucketTerm:
    """||o_s^1/2 (W x - y)||^2 / sum o_s, with the constant direction damped."""

    def __init__(self, targets: BucketTargets, damping: float, device: torch.device) -> None:
        self._masks, self._buckets = mask_product(targets.masks, device), _tensor(targets.buckets, device)
        rows = _tensor(targets.rows, device)
        self._roots, self._sums = rows.sqrt(), rows.sum(dim=1)
        # the direction of the constant level among each input's weighted residuals
        constant = self._roots * self._masks.sums
        self._constant = constant / constant.norm(dim=1, keepdim=True).clamp_min(1e-30)
        self._damping = damping

    def loss(self, indices: list[int], images: torch.Tensor) -> torch.Tensor:
        residuals = self._roots[indices] * (self._masks(images.flatten(1)) - self._buckets)
        constant = self._constant[indices]
        residuals = residuals - self._damping * (residuals * constant).sum(dim=1, keepdim=True) * constant
        return residuals.square().sum(dim=1) / self._sums[indices]


class _ImageTerm:
    """||x - t_s||^2 / N."""

    def __init__(self, targets: ImageTargets, device: torch.device) -> None:
        self._images = _tensor(targets.images, device)

    def loss(self, indices: list[int], images: torch.Tensor) -> torch.Tensor:
        return (images - self._images[indices]).square().mean(dim=(1, 2))


class Training:
    """A network, its optimiser and the present objective, which may be replaced while it trains.

    Parameters
    ----------
    network : torch.nn.Module
        Makes images (B, 1, H, W) from inputs (B, channels, H, W).
    learning_rate : float
    seed : int
        Seed of the order of the inputs.
    device : str
    damped : bool
        Whether the constant direction of the data term is damped.
    """

    def __init__(self, network: torch.nn.Module, learning_rate: float, seed: int, device: str, *, damped: bool = True) -> None:
        self._device = usable_device(device)
        self._network = network.to(self._device)
        self._learning_rate = learning_rate
        self.restart()
        self._damping = _DAMPING if damped else 0.0
        self._order = np.random.default_rng((seed, 1))
        self._queue: list[int] = []
        self._averaged: torch.nn.Module | None = None

    def restart(self) -> None:
        """Restart the optimiser, not the network."""
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=self._learning_rate, weight_decay=_WEIGHT_DECAY, fused=True
        )

    def pose(self, objective: Objective) -> None:
        """Train on `objective` from now on."""
        self._objective = objective
        self._inputs = _tensor(objective.inputs, self._device).contiguous(memory_format=torch.channels_last)
        targets = objective.targets
        self._term: _DataTerm
        if isinstance(targets, BucketTargets):
            self._term = _BucketTerm(targets, self._damping, self._device)
        else:
            self._term = _ImageTerm(targets, self._device)
        # the inverse of softplus: an output of 0 means the mean level
        level = max(objective.units.level, 1e-3)
        self._offset = float(level + np.log(-np.expm1(-_SHARPNESS * level)) / _SHARPNESS)
        self._queue.clear()

    def one_cycle(self, steps: int, share: float) -> LRScheduler:
        """Return a schedule that raises the learning rate to a fraction of its value and lowers it to nearly 0 in `steps`."""
        return OneCycleLR(self._optimiser, share * self._learning_rate, total_steps=steps)

    def set_rate(self, share: float) -> None:
        """Continue with this fraction of the learning rate, and little momentum."""
        for group in self._optimiser.param_groups:
            group["lr"], group["betas"] = share * self._learning_rate, (_MOMENTUM, group["betas"][1])

    def average(self, decay: float) -> None:
        """Update the moving average of the weights, which keeps this fraction of its previous value."""
        if self._averaged is None:
            self._averaged = copy.deepcopy(self._network)
        with torch.no_grad():
            torch._foreach_lerp_(list(self._averaged.parameters()), list(self._network.parameters()), 1 - decay)

    def step(self) -> None:
        """Train one step on one input; the inputs take turns in shuffled order."""
        if not self._queue:
            self._queue = list(self._order.permutation(len(self._inputs)))
        self._step([self._queue.pop()])

    def epoch(self, parts: int) -> np.ndarray:
        """Train one step on each of `parts` parts of the inputs; return the images made on the way, as `predictions` does."""
        images = torch.empty_like(self._inputs[:, 0])
        for part in range(parts):
            indices = list(range(part, len(self._inputs), parts))
            images[indices] = self._step(indices)
        return self._in_units(images)

    def _step(self, indices: list[int]) -> torch.Tensor:
        images = self._images(self._inputs[indices], self._network)
        loss = (self._term.loss(indices, images) + 2 * self._objective.weight * _variation(images)).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return images.detach()

    def predictions(self) -> np.ndarray:
        """Return the images of the network, or of its average if there is one, for each input separately, float64 (S, H, W).

        They are in the object's units.
        """
        network = self._network if self._averaged is None else self._averaged
        with torch.no_grad():
            return self._in_units(torch.cat([self._images(one[None], network) for one in self._inputs]))

    def _in_units(self, images: torch.Tensor) -> np.ndarray:
        return images.cpu().numpy().astype(np.float64) * self._objective.units.contrast

    def _images(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        outputs = network(inputs)[:, 0]
        if self._objective.nonnegative:
            return functional.softplus(outputs + self._offset, beta=_SHARPNESS)
        return outputs + self._objective.units.level


def _variation(images: torch.Tensor) -> torch.Tensor:
    """Return the isotropic total variation (B,) of images (B, H, W)."""
    along_y = functional.pad(images[:, 1:] - images[:, :-1], (0, 0, 0, 1))
    along_x = functional.pad(images[:, :, 1:] - images[:, :, :-1], (0, 1))
    return (along_y.square() + along_x.square() + _EDGE**2).sqrt().sum(dim=(1, 2))


def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
