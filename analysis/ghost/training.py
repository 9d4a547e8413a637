"""Training of Noise2Ghost's network (torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .splits import Splits
from .unet import UNet

_DAMPING = 0.98
"""Part taken off the residual along W 1. The masks' common level makes that direction stiffer than all others by
orders of magnitude, and the level itself is known beforehand."""

_WEIGHT_DECAY = 1e-2
_EDGE = 1e-4
"""Rounds off |gradient| at 0, in units of the object's contrast."""


@dataclass(frozen=True, eq=False)
class Objective:
    """What the network is trained on, in units that make residuals and images of order 1.

    Attributes
    ----------
    shape : (H, W)
    inputs : (P K, N)
        Sub-reconstructions of mean 0 and standard deviation 1.
    masks : (M, N)
        W over its scale.
    buckets : (M,)
        y over the scales of W and of the image.
    rows : (P K, M)
        Weight of each realization as a target of each input; 0 where the input knows it.
    level : float
        Mean of the object over its contrast.
    contrast : float
        Estimated standard deviation of the object; images are multiples of it.
    weight : float
        lambda of eq. 12 for one realization, in these units.
    nonnegative : bool
    """

    shape: tuple[int, int]
    inputs: np.ndarray
    masks: np.ndarray
    buckets: np.ndarray
    rows: np.ndarray
    level: float
    contrast: float
    weight: float
    nonnegative: bool

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        splits: Splits,
        masks: np.ndarray,
        buckets: np.ndarray,
        *,
        row: np.ndarray,
        weight: float,
        nonnegative: bool,
    ) -> Objective:
        """Return the objective for masks (M, N), buckets (M,), row weights (M,) of mean 1 and eq. 2's weight."""
        sums = masks.sum(axis=1, dtype=np.float64)
        lit = float((row * sums) @ sums)
        level = float((row * sums) @ buckets) / lit if lit > 0 else 0.0
        scale = np.sqrt(float(masks.var(axis=0, dtype=np.float64).mean()) * masks.shape[1])
        residual = buckets - level * sums
        # an object without any contrast still has a size
        contrast = max(float(np.sqrt(row @ residual**2 / row.sum())) / scale, 1e-3 * abs(level))
        inputs = splits.images - splits.images.mean()
        return cls(
            shape=shape,
            inputs=inputs / max(float(inputs.std()), 1e-300),
            masks=masks / scale,
            buckets=buckets / (scale * contrast),
            rows=splits.targets * row,
            level=level / contrast,
            contrast=contrast,
            weight=weight / (scale**2 * contrast * len(buckets)),
            nonnegative=nonnegative,
        )


class Training:
    """A network, its optimiser and the objective at hand, which may be exchanged while it trains.

    Parameters
    ----------
    features, levels : int
        As for `UNet`.
    learning_rate : float
    seed : int
    device : str
    """

    def __init__(self, features: int, levels: int, learning_rate: float, seed: int, device: str) -> None:
        # the CPU's generator for every device, so that all begin with the same weights
        network = UNet(features, levels, torch.Generator().manual_seed(seed))
        try:
            self._device = torch.device(device)
            self._network = network.to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {device!r} can't be used: {error}; use cpu") from error
        self._optimiser = torch.optim.AdamW(self._network.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY)
        self._learning_rate = learning_rate
        self._order = np.random.default_rng((seed, 1))
        self._queue: list[int] = []

    def pose(self, objective: Objective) -> None:
        """Train on `objective` from now on."""
        self._objective = objective
        inputs = self._tensor(objective.inputs).reshape(-1, 1, *objective.shape)
        self._inputs = inputs.contiguous(memory_format=torch.channels_last)
        self._masks, self._buckets = self._tensor(objective.masks), self._tensor(objective.buckets)
        self._rows = self._tensor(objective.rows)
        # the direction of the constant level among each input's weighted residuals
        constant = self._rows.sqrt() * self._masks.sum(dim=1)
        self._constant = constant / constant.norm(dim=1, keepdim=True).clamp_min(1e-30)
        # the inverse of softplus: an output of 0 means the mean level
        level = max(objective.level, 1e-3)
        self._offset = float(level + np.log(-np.expm1(-level)))
        self._queue.clear()

    def one_cycle(self, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """Return a schedule that raises the learning rate to its value and lowers it to nearly 0 in `steps`."""
        return torch.optim.lr_scheduler.OneCycleLR(self._optimiser, self._learning_rate, total_steps=steps)

    def hold(self, learning_rate: float) -> None:
        """Train at a constant learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate

    def step(self) -> None:
        """Train one step on one sub-reconstruction, each in turn in shuffled order."""
        if not self._queue:
            self._queue = list(self._order.permutation(len(self._inputs)))
        index = self._queue.pop()
        image = self._image(index)
        residual = self._rows[index].sqrt() * (self._masks @ image.flatten() - self._buckets)
        constant = self._constant[index]
        residual = residual - _DAMPING * (residual @ constant) * constant
        along_y = functional.pad(image[1:] - image[:-1], (0, 0, 0, 1))
        along_x = functional.pad(image[:, 1:] - image[:, :-1], (0, 1))
        variation = (along_y.square() + along_x.square() + _EDGE**2).sqrt().sum()
        loss = residual.square().sum() / self._rows[index].sum() + 2 * self._objective.weight * variation
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def predictions(self) -> np.ndarray:
        """Return the images N(x_pk) of all sub-reconstructions, float64 (P K, H, W), in the object's units."""
        with torch.no_grad():
            images = torch.stack([self._image(index) for index in range(len(self._inputs))])
        return images.cpu().numpy().astype(np.float64) * self._objective.contrast

    def _image(self, index: int) -> torch.Tensor:
        output = self._network(self._inputs[index : index + 1])[0, 0]
        if self._objective.nonnegative:
            return functional.softplus(output + self._offset)
        return output + self._objective.level

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self._device)
