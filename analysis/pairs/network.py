"""A network that learns one noisy image of a pair from the other, and so the scene: the noise of the other cannot be guessed.

Yang and others, Opt. Express 31, 14159 (2023), eq. 3 and 4; with the mean squared error instead of eq. 4 it is Noise2Noise
(Lehtinen and others, ICML 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from analysis.imaging.fixed_network import fixed
from analysis.imaging.noisy_training import PARTS, STEPS, Training, random_part, silent_unet

_CHECKED = 100  # steps whose losses are held against the floor
_CERTAIN = 3.0  # standard errors
_HIDDEN = 0.03  # part of the pixels that a blind-spot network guesses at a time


class Correction(torch.nn.Module):
    """An image and what a network adds to it, at first nothing: with little noise the image itself is nearly right."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, 1, H, W)."""
        return images + self.network(images)


@dataclass
class Trained:
    """A network and how its training went.

    Attributes
    ----------
    network : torch.nn.Module
        Its normalisation is fixed, so that what it makes of an image depends on that image's neighbourhoods alone.
    centre, scale : float
        What images are normalised with.
    steps : int
        Steps of the training.
    memorised : bool
        The training was ended because the network began to memorise the noise.
    above_floor : float
        Loss of the last hundred steps above that of the scene without noise.
    """

    network: torch.nn.Module
    centre: float
    scale: float
    steps: int
    memorised: bool
    above_floor: float

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """What the network makes of one image (H, W), float32, in the image's units but for scale and offset."""
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray((image - self.centre) / self.scale, dtype=np.float32))
            made = self.network(given[None, None].contiguous(memory_format=torch.channels_last))[0, 0]
        return np.asarray(made.numpy() * np.float32(self.scale) + np.float32(self.centre), dtype=np.float32)


def train(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    learned: np.ndarray,
    seed: int,
    *,
    loss: str = "pearson",
    steps: int = STEPS,
) -> Trained:
    """Train on pairs of images (H, W) that lie on each other and have the same scale.

    Parameters
    ----------
    pairs : sequence of (ndarray, ndarray)
    learned : ndarray, bool, (H, W)
        The pixels that count in the loss; the others are for testing, or were not measured.
    seed : int
        Of the first weights and the order of crops.
    loss : "pearson", "mse" or "blind_spot"
        Equation 4, or the mean squared error; or each image learns its own pixels from those around (Krull, Buchholz and Jug,
        CVPR 2019).
    steps : int
        At most; fewer if the loss falls below that of the scene without noise.
    """
    rng = np.random.default_rng(seed)
    centre = float(np.mean([image.mean() for pair in pairs for image in pair]))
    scale = float(np.mean([image.std() for pair in pairs for image in pair]))
    images = torch.from_numpy(np.array(pairs, dtype=np.float32)).sub_(centre).div_(scale)  # (P, 2, H, W)
    mask = torch.from_numpy(learned.astype(np.float32))
    network = Correction(silent_unet(seed))
    training = Training(network, steps)
    above: list[float] = []  # the floor
    for _ in range(steps):
        given, wanted, weight = _crops(images, mask, rng)
        likeness = 1 - _pearson(given, wanted, weight)
        if loss == "blind_spot":
            wanted, (given, hidden) = given, _with_hidden(given, rng)
            weight = weight * hidden
        made = network(given)
        value = _pearson(made, wanted, weight) if loss == "pearson" else _squared(made, wanted, weight)
        training.step(value)
        if loss != "blind_spot":
            reached = _pearson(made.detach(), wanted, weight)
            above.append(float(reached - (1 - likeness.clamp_min(0.0).sqrt())))
            if len(above) % _CHECKED == 0 and _below(above[-_CHECKED:]):
                break
    recent = above[-_CHECKED:]
    settled = fixed(network, images.flatten(0, 1)[:, None])
    return Trained(settled, centre, scale, len(above) or steps, _below(recent), float(np.mean(recent or [np.nan])))


def _below(above: list[float]) -> bool:
    """Whether losses are below their floor, beyond chance."""
    return len(above) == _CHECKED and float(np.mean(above)) < -_CERTAIN * float(np.std(above)) / len(above) ** 0.5


def _with_hidden(images: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 1, h, w) in which some pixels have the value of a neighbour, and where these are."""
    hidden = torch.from_numpy(rng.random(images.shape) < _HIDDEN)
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    neighbours = torch.roll(images, steps[int(rng.integers(len(steps)))], dims=(2, 3))
    return torch.where(hidden, neighbours, images), hidden.float()


def _crops(images: torch.Tensor, mask: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, targets and weights (B, 1, h, w) of random parts of pairs, in both directions."""
    parts = []
    for index in range(PARTS):
        pair, direction = rng.integers(len(images)), index % 2
        parts.append(random_part([images[pair, direction], images[pair, 1 - direction], mask], rng))
    batches = (torch.stack(channel)[:, None] for channel in zip(*parts, strict=True))
    return tuple(batch.contiguous(memory_format=torch.channels_last) for batch in batches)  # type: ignore[return-value]


def _pearson(made: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Equation 4, over the pixels of all crops together."""
    total = weight.sum().clamp_min(1.0)
    x = made - (weight * made).sum() / total
    y = wanted - (weight * wanted).sum() / total
    covariance = (weight * x * y).sum()
    return 1 - covariance / ((weight * x * x).sum() * (weight * y * y).sum()).sqrt().clamp_min(1e-12)


def _squared(made: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (weight * (made - wanted) ** 2).sum() / weight.sum().clamp_min(1.0)
