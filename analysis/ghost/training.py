"""Training of a network on one scan (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from .averaged_weights import AveragedWeights
from .objective import BucketTargets, ImageTargets, Objective

_DAMPING = 0.98
"""Part taken off the residual along W 1. The masks' common level makes that direction stiffer than all others by
orders of magnitude, and the level itself is known beforehand."""

_SHARPNESS = 5.0
"""Of the softplus, over the object's contrast: blunter ones keep an empty background from coming down to 0."""

_WEIGHT_DECAY = 1e-2
_EDGE = 1e-4
"""Rounds off |gradient| at 0, in units of the object's contrast."""


class _DataTerm(Protocol):
    def loss(self, index: int, image: torch.Tensor) -> torch.Tensor:
        """Return the mean squared residual of an image (H, W) made from the input `index`."""
        ...


class _BucketTerm:
    """||o_s^1/2 (W x - y)||^2 / sum o_s, with the constant direction damped."""

    def __init__(self, targets: BucketTargets, damping: float, device: torch.device) -> None:
        self._masks, self._buckets = _tensor(targets.masks, device), _tensor(targets.buckets, device)
        rows = _tensor(targets.rows, device)
        self._roots, self._sums = rows.sqrt(), rows.sum(dim=1)
        # the direction of the constant level among each input's weighted residuals
        constant = self._roots * self._masks.sum(dim=1)
        self._constant = constant / constant.norm(dim=1, keepdim=True).clamp_min(1e-30)
        self._damping = damping

    def loss(self, index: int, image: torch.Tensor) -> torch.Tensor:
        residual = self._roots[index] * (self._masks @ image.flatten() - self._buckets)
        constant = self._constant[index]
        residual = residual - self._damping * (residual @ constant) * constant
        return residual.square().sum() / self._sums[index]


class _ImageTerm:
    """||x - t_s||^2 / N."""

    def __init__(self, targets: ImageTargets, device: torch.device) -> None:
        self._images = _tensor(targets.images, device)

    def loss(self, index: int, image: torch.Tensor) -> torch.Tensor:
        return (image - self._images[index]).square().mean()


class Training:
    """A network, its optimiser and the objective at hand, which may be exchanged while it trains.

    Parameters
    ----------
    network : torch.nn.Module
        Makes images (B, 1, H, W) from inputs (B, channels, H, W).
    learning_rate : float
    seed : int
        Of the order in which inputs are trained on.
    device : str
    damped : bool
        Whether the constant direction of the data term is damped.
    """

    def __init__(self, network: torch.nn.Module, learning_rate: float, seed: int, device: str, *, damped: bool = True) -> None:
        try:
            self._device = torch.device(device)
            self._network = network.to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {device!r} can't be used: {error}; use cpu") from error
        self._optimiser = torch.optim.AdamW(self._network.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY)
        self._learning_rate = learning_rate
        self._damping = _DAMPING if damped else 0.0
        self._order = np.random.default_rng((seed, 1))
        self._queue: list[int] = []
        self._averaged: AveragedWeights | None = None

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

    def one_cycle(self, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """Return a schedule that raises the learning rate to its value and lowers it to nearly 0 in `steps`."""
        return torch.optim.lr_scheduler.OneCycleLR(self._optimiser, self._learning_rate, total_steps=steps)

    def average(self) -> None:
        """Predict with the average of the last steps' weights from now on: for a learning rate that doesn't fall."""
        self._averaged = AveragedWeights(self._network)

    def step(self) -> None:
        """Train one step on one input, each in turn in shuffled order."""
        if not self._queue:
            self._queue = list(self._order.permutation(len(self._inputs)))
        self._step([self._queue.pop()])
        if self._averaged is not None:
            self._averaged.take(self._network)

    def step_on_all(self) -> np.ndarray:
        """Train one step on all inputs at once; return their images before it, as `predictions` does."""
        return self._in_units(self._step(range(len(self._inputs))))

    def _step(self, indices: Sequence[int]) -> torch.Tensor:
        images = self._images(self._inputs[list(indices)], self._network)
        loss = torch.stack([self._loss(index, image) for index, image in zip(indices, images, strict=True)]).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return images.detach()

    def _loss(self, index: int, image: torch.Tensor) -> torch.Tensor:
        along_y = functional.pad(image[1:] - image[:-1], (0, 0, 0, 1))
        along_x = functional.pad(image[:, 1:] - image[:, :-1], (0, 1))
        variation = (along_y.square() + along_x.square() + _EDGE**2).sqrt().sum()
        return self._term.loss(index, image) + 2 * self._objective.weight * variation

    def predictions(self) -> np.ndarray:
        """Return the images that the network makes of each input by itself, float64 (S, H, W), in the object's units."""
        network = self._network if self._averaged is None else self._averaged.network
        with torch.no_grad():
            return self._in_units(torch.cat([self._images(one[None], network) for one in self._inputs]))

    def _in_units(self, images: torch.Tensor) -> np.ndarray:
        return images.cpu().numpy().astype(np.float64) * self._objective.units.contrast

    def _images(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        outputs = network(inputs)[:, 0]
        if self._objective.nonnegative:
            return functional.softplus(outputs + self._offset, beta=_SHARPNESS)
        return outputs + self._objective.units.level


def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
