"""A trained network as a denoiser of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.imaging.held_out import held_out

from .network import Trained, train
from .prepared import Pair


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network trained on pairs.

    Attributes
    ----------
    trained : Trained
    """

    trained: Trained

    @property
    def learned_above_floor(self) -> float:
        """Loss of the last steps above that of the scene without noise."""
        return self.trained.above_floor

    def one(self, image: np.ndarray) -> np.ndarray:
        """What the network makes of one image (H, W), with the image's own scale and offset."""
        return _fitted(self.trained(image), image)

    def pair(self, pair: Pair) -> np.ndarray:
        """The mean of what the network makes of both images, with scale and offset of their mean (a linear fit)."""
        return _fitted((self.trained(pair.a) + self.trained(pair.b)) / np.float32(2), pair.mean, pair.measured)


def train_network(pairs: list[Pair], seed: int, *, loss: str, steps: int) -> tuple[NetworkDenoiser, np.ndarray]:
    """Train on pairs; return the denoiser, and which pixels it has not learned, bool (H, W)."""
    measured = np.logical_and.reduce([pair.measured for pair in pairs])
    tested = measured & held_out(measured.shape, seed)
    trained = train([(pair.a, pair.b) for pair in pairs], measured & ~tested, seed, loss=loss, steps=steps)
    return NetworkDenoiser(trained), tested


def _fitted(made: np.ndarray, to: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """`made` scaled and shifted to have the least squared difference to `to`, float32."""
    x, y = (image[where] if where is not None else image.ravel() for image in (made, to))
    x, y = x.astype(np.float64), y.astype(np.float64)
    variance = x.var()
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / variance) if variance > 0 else 0.0
    return np.asarray(np.float32(scale) * (made - np.float32(x.mean())) + np.float32(y.mean()), dtype=np.float32)
