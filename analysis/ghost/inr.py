"""An implicit neural representation of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .inputs import is_number
from .learned import Learned
from .masks import MaskRows
from .objective import BucketTargets, ImageTargets, Units, bucket_targets

if TYPE_CHECKING:
    import torch


class ImplicitRepresentation(Learned):
    """A network from coordinates to values, fitted to the buckets (Li et al., PNAS 120, 2023; Sitzmann et al. 2020).

    x_n = N(place of n) with N trained to minimise 1/2 ||W x - y||^2 + weight * TV(x); N has Fourier embeddings and
    sinusoidal layers of the size used for comparison in Noise2Ghost.
    """

    name: ClassVar[str] = "inr"
    summary: ClassVar[str] = "implicit neural representation: a sinusoidal network of the coordinates, fitted to all realizations"
    little_noise: ClassVar[float] = 0.05
    """Lower than for networks with several inputs, because nothing shows when to stop: at 0.03, further cycles gained 2 dB on
    two programmed objects and lost 0.6 dB on one; at 0.10 they lost 0.8 to 1.0 dB.
    """

    weight_share: ClassVar[float] = 1.0
    """With a single input, total variation suppresses noise. On programmed objects with 2 to 100 photons this value was
    better than 0.5 in four of four cases, by 0.1 to 1 dB, and better than 2 by 0.3 dB on average in three.
    """

    usual_steps: ClassVar[int] = 100
    live_warm_up: ClassVar[int] = 1
    defaults: ClassVar[dict[str, Any]] = {
        **Learned.defaults,
        "live_steps": 10,
        "learning_rate": 2.5e-4,
        "features": 512,
        "layers": 3,
        "embeddings": 256,
        "bandwidth": 4.0,
    }
    whole: ClassVar[dict[str, tuple[int, int | None]]] = {
        **Learned.whole,
        "features": (1, 4096),
        "layers": (1, 64),
        "embeddings": (1, 4096),
    }

    def _check_options(self) -> None:
        super()._check_options()
        bandwidth = self._given["bandwidth"]
        if not (is_number(bandwidth) and 0 < bandwidth < np.inf):
            raise ValueError(f"bandwidth must be a number above 0, not {bandwidth!r}")

    def _network(self, generator: torch.Generator) -> torch.nn.Module:
        from analysis.imaging.sinusoidal import SinusoidalNetwork

        given = self._given
        return SinusoidalNetwork(given["features"], given["layers"], given["embeddings"], given["bandwidth"], generator)

    def _views(
        self, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray, units: Units, *, live: bool
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        from analysis.imaging.sinusoidal import coordinates

        return coordinates(self.shape)[None], bucket_targets(masks, buckets, row[None], units)
