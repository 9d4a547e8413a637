"""The average of a network's weights over its last steps (torch)."""

from __future__ import annotations

import copy

import torch

_DECAY = 0.97
"""An average over some 30 steps: a step on each of the usual 24 inputs, and a few more."""


class AveragedWeights:
    """A network whose weights are the exponential moving average of those of another that is being trained.

    At a constant learning rate it makes an image, at any step, as good as one at the end of a falling learning rate.

    Parameters
    ----------
    network : torch.nn.Module
        Is copied.

    Attributes
    ----------
    network : torch.nn.Module
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = copy.deepcopy(network)
        self._steps = 0

    @torch.no_grad()
    def take(self, network: torch.nn.Module) -> None:
        """Take in the weights after a further step."""
        self._steps += 1
        # the plain mean as long as there are few: the first weights of all don't count
        share = max(1 / self._steps, 1 - _DECAY)
        for average, weights in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(weights, share)
