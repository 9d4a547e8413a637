"""A trained network as a denoiser of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .network import Trained, train
from .prepared import Pair

_HELD_OUT = 0.1  # part of an image's blocks that is not learned
_BLOCK = 16  # pixels


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


def held_out(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Blocks of 16x16 pixels that are kept for testing, bool (H, W): one in ten, two at least."""
    rows, columns = (-(-side // _BLOCK) for side in shape)
    number = max(2, round(_HELD_OUT * rows * columns))
    chosen = np.zeros(rows * columns, dtype=bool)
    chosen[np.random.default_rng((seed, 1)).permutation(rows * columns)[:number]] = True
    blocks = chosen.reshape(rows, columns).repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
    return np.asarray(blocks[: shape[0], : shape[1]])


def _fitted(made: np.ndarray, to: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """`made` scaled and shifted to have the least squared difference to `to`, float32."""
    x, y = (image[where] if where is not None else image.ravel() for image in (made, to))
    x, y = x.astype(np.float64), y.astype(np.float64)
    variance = x.var()
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / variance) if variance > 0 else 0.0
    return np.asarray(np.float32(scale) * (made - np.float32(x.mean())) + np.float32(y.mean()), dtype=np.float32)
