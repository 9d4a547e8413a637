"""The methods of frame pairs: their names, their options and how they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.pairs.filters import best_gaussian, non_local_means_filter, total_variation_filter
from analysis.pairs.prepared import Pair
from analysis.pairs.trust import Denoiser

Fitted = tuple[Denoiser, np.ndarray | None]
"""A denoiser, and the pixels of the first pairs that it has not learned; None if it learns nothing."""

_LIMITS = {"pairs": (1, 64), "steps": (1, 100_000)}


@dataclass(frozen=True)
class MethodInfo:
    """A method of frame pairs.

    Attributes
    ----------
    name, fast, summary, defaults
        See `analysis.techniques.protocol.Method`.
    fit : callable
        Called with the first pairs, the options, the seed, and whether there is only one pair, for which more time is
        allowed; returns the denoiser.
    learns_from : "pair", "neighbours" or None
        The source from which it learns a pixel: the other image, or the surrounding pixels. Their noise must be independent
        of the pixel's.
    """

    name: str
    fast: bool
    summary: str
    fit: Callable[[list[Pair], Mapping[str, Any], int, bool], Fitted]
    learns_from: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=lambda: {"pairs": 1})

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their defaults.

        Raises
        ------
        ValueError
            If one is unknown, or its value is invalid; the message says what is valid.
        """
        unknown = [str(name) for name in options if name not in self.defaults]
        if unknown:
            raise ValueError(f"{self.name} has no option {', '.join(unknown)}; it has {', '.join(self.defaults)}")
        chosen = {**self.defaults, **options}
        for name, value in chosen.items():
            low, high = _LIMITS[name]
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"the option {name} of {self.name} must be a whole number from {low} to {high}, not {value!r}")
        return chosen


def _network(loss: str) -> Callable[[list[Pair], Mapping[str, Any], int, bool], Fitted]:
    def fit(pairs: list[Pair], options: Mapping[str, Any], seed: int, still: bool) -> Fitted:
        from analysis.pairs.network_method import train_network  # loads torch

        return train_network(pairs, seed, loss=loss, steps=options["steps"], still=still)

    return fit


_TRAINING = {"pairs": 1, "steps": 1600}

METHODS = {
    info.name: info
    for info in (
        MethodInfo(
            "gaussian",
            True,
            "The mean of the pair behind the Gaussian of the best width, chosen from the pair's own noise.",
            lambda pairs, *_: (best_gaussian(pairs), None),
        ),
        MethodInfo(
            "total_variation",
            False,
            "Total variation of the mean of the pair, after an Anscombe transform.",
            lambda pairs, *_: (total_variation_filter(pairs), None),
        ),
        MethodInfo(
            "non_local_means",
            False,
            "Non-local means of the mean of the pair, after an Anscombe transform.",
            lambda pairs, *_: (non_local_means_filter(pairs), None),
        ),
        MethodInfo(
            "pair_network",
            False,
            "A network that learns one image of the pair from the other by their correlation (Pearson loss).",
            _network("pearson"),
            "pair",
            _TRAINING,
        ),
        MethodInfo(
            "pair_network_mse",
            False,
            "The same with the mean squared error (Noise2Noise).",
            _network("mse"),
            "pair",
            _TRAINING,
        ),
        MethodInfo(
            "blind_spot",
            False,
            "A network that learns each pixel from those around it, for halves whose noise is not independent (Noise2Void).",
            _network("blind_spot"),
            "neighbours",
            _TRAINING,
        ),
    )
}
"""The methods by name, the fastest first."""
