"""A network that learns each pixel of radiographs from those around it, and so the scene: white noise cannot be guessed.

J. Batson and L. Royer, "Noise2Self: Blind Denoising by Self-Supervision", ICML (2019), with the logarithmic loss of A. Graas and
F. Lucka, "Scintillator Decorrelation for Self-supervised X-ray Radiograph Denoising" (2025).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.imaging.fixed_network import fixed
from analysis.imaging.held_out import held_out
from analysis.imaging.noisy_training import PARTS, STEPS, Training, random_part, silent_unet
from analysis.imaging.repair import filled

_HIDDEN = 1 / 16  # part of the pixels that is guessed at a time
_CHECKED = 100  # steps between looks at what was not learned
_LOOKED = 2**19  # pixels that are looked at then
_HIDINGS = 4  # ways in which those of few images are hidden
_CERTAIN = 2.0  # standard errors


class AroundAndMore(torch.nn.Module):
    """The mean of the eight pixels around each, and what a network adds to it, at first nothing.

    So the level of a part of an image need not be learned; the normalisation over a crop would take it away.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, 1, H, W)."""
        padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
        around = (9 * torch.nn.functional.avg_pool2d(padded, 3, stride=1) - images) / 8
        return around + self.network(images)


@dataclass(frozen=True, eq=False)
class Noise2Self:
    """A trained network.

    Attributes
    ----------
    network : torch.nn.Module
        Its normalisation is fixed, so that what it makes of an image depends on that image's neighbourhoods alone.
    centre, scale : float
        What logarithms are normalised with.
    offset : float
        Added to denoised images, since the mean of noisy logarithms is too low; in the images' units.
    steps : int
        Steps of the training up to the network that was kept; later ones guessed pixels worse that are not learned.
    heldout_loss : float
        Mean squared error of the guessed logarithms of pixels that are not learned, over the variance of all logarithms: 1 is no
        better than a flat image.
    learned_loss : float
        The same for the pixels that were learned.
    """

    network: torch.nn.Module
    centre: float
    scale: float
    offset: float
    steps: int
    heldout_loss: float
    learned_loss: float

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W) denoised, float32; NaN where it is NaN."""
        made = self.guessed(image) + np.float32(self.offset)
        return np.where(np.isfinite(image), made, np.float32("nan"))

    def guessed(self, image: np.ndarray) -> np.ndarray:
        """The exponential of the guessed logarithms, (H, W)."""
        logarithm, _ = logarithms(image)
        with torch.inference_mode():
            given = torch.from_numpy((logarithm - np.float32(self.centre)) / np.float32(self.scale))
            made = self.network(given[None, None].contiguous(memory_format=torch.channels_last))[0, 0].numpy()
        return np.asarray(np.exp(made * np.float32(self.scale) + np.float32(self.centre)), dtype=np.float32)


def logarithms(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of an image (H, W), float32, and where there is one, bool.

    Pixels that are NaN, zero or negative have none. They are filled from around where a network looks, and are never learned.
    """
    known = np.isfinite(image) & (image > 0)
    if not known.any():
        raise ValueError("a radiograph holds no positive value, so that it has no logarithm")
    values = np.log(np.where(known, image, 1.0)).astype(np.float32)
    return values if known.all() else filled(values, ~known), known


def train(images: np.ndarray, seed: int, *, steps: int = STEPS) -> Noise2Self:
    """Train on images (N, H, W) whose noise is white.

    One pixel in ten, in blocks of 16x16, is not learned. Every 100 steps these are guessed; the last network
    whose error does not exceed the smallest one beyond chance is returned, and none that went on to learn the noise.

    Raises
    ------
    ValueError
        If the images are the same everywhere, or hold too few positive pixels.
    """
    pairs = [logarithms(image) for image in images]
    logs, known = (np.stack(parts) for parts in zip(*pairs, strict=True))
    centre, scale = float(logs[known].mean(dtype=np.float64)), float(logs[known].std(dtype=np.float64))
    if not scale > 0:
        raise ValueError("the radiographs are the same everywhere: there is nothing to learn")
    given = torch.from_numpy((logs - np.float32(centre)) / np.float32(scale))
    tested = held_out(images.shape[1:], seed)
    learned = torch.from_numpy(known & ~tested)
    looked = _Look(given, torch.from_numpy(known & tested), seed)
    network = AroundAndMore(silent_unet(seed))
    training = Training(network, steps)
    rng = np.random.default_rng(seed)
    kept, ended = copy.deepcopy(network.state_dict()), 0
    best: np.ndarray | None = None
    heldout_loss = learned_loss = float("nan")
    losses: list[float] = []
    for step in range(1, steps + 1):
        wanted, weight = _crops(given, learned, rng)
        shown, hidden = with_hidden(wanted, rng)
        weight = weight * hidden
        loss = (weight * (network(shown) - wanted) ** 2).sum() / weight.sum().clamp_min(1.0)
        training.step(loss)
        losses.append(float(loss.detach()))
        if step % _CHECKED == 0 or step == steps:
            errors = looked(network)
            if best is None or not _worse(errors, best):
                kept, ended = copy.deepcopy(network.state_dict()), step
                heldout_loss, learned_loss = float(errors.mean()), float(np.mean(losses[-_CHECKED:]))
            if best is None or errors.mean() < best.mean():
                best = errors
    network.load_state_dict(kept)
    settled = fixed(network, looked.images[:, None])
    unbiased = Noise2Self(settled, centre, scale, 0.0, ended, heldout_loss, learned_loss)
    return replace(unbiased, offset=_offset(unbiased, images[looked.chosen]))


def _worse(errors: np.ndarray, best: np.ndarray) -> bool:
    """Whether squared errors are larger than the best ones of the same pixels, beyond chance."""
    more = errors - best
    return bool(more.mean() > _CERTAIN * more.std() / max(len(more), 1) ** 0.5)


def with_hidden(images: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 1, h, w) in which one pixel in 16 has the value of any of the eight around it, and where these are."""
    hidden = torch.from_numpy(rng.random(images.shape, dtype=np.float32) < _HIDDEN)
    which = torch.from_numpy(rng.integers(8, size=images.shape))
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    height, width = images.shape[-2:]
    shown = images.clone()
    around = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if (y, x) != (1, 1)]
    for index, (y, x) in enumerate(around):
        here = hidden & (which == index)
        shown[here] = padded[..., y : y + height, x : x + width][here]
    return shown, hidden.float()


class _Look:
    """How well a network guesses pixels that it does not learn, always the same ones.

    Parameters
    ----------
    images : torch.Tensor, (N, H, W)
    tested : torch.Tensor, bool, (N, H, W)
        The pixels.
    seed : int

    Attributes
    ----------
    chosen : ndarray of int
        Some of the images, evenly spread.
    images : torch.Tensor
        Those.
    """

    def __init__(self, images: torch.Tensor, tested: torch.Tensor, seed: int) -> None:
        number = min(len(images), max(1, _LOOKED // images[0].numel()))
        self.chosen = np.arange(number) * len(images) // number
        self.images = images[self.chosen]
        ways = max(1, min(_HIDINGS, _LOOKED // self.images.numel()))
        rng = np.random.default_rng((seed, 2))
        self._hidden = [with_hidden(image[None, None], rng) for _ in range(ways) for image in self.images]
        of_image = [*tested[self.chosen]] * ways
        self._where = [(hidden[0, 0] > 0) & some for (_, hidden), some in zip(self._hidden, of_image, strict=True)]
        if not any(where.any() for where in self._where):
            raise ValueError("too few pixels of the radiographs are positive numbers: nothing would test what is learned")

    def __call__(self, network: torch.nn.Module) -> np.ndarray:
        """Squared errors."""
        errors = []
        with torch.inference_mode():
            for index, ((shown, _), where) in enumerate(zip(self._hidden, self._where, strict=True)):
                made = network(shown.contiguous(memory_format=torch.channels_last))[0, 0]
                errors.append((made - self.images[index % len(self.images)])[where] ** 2)
        return np.asarray(torch.cat(errors).numpy(), dtype=np.float64)


def _offset(denoiser: Noise2Self, images: np.ndarray) -> float:
    """The mean by which images (N, H, W) exceed their denoised ones.

    The mean of the logarithm of a Poisson number of n is too low by 1 / (2 n): by half a count, whatever n.
    """
    differences = [image - denoiser.guessed(image) for image in images]
    return float(np.nanmean(differences))


def _crops(images: torch.Tensor, learned: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random parts of images and their weights (B, 1, h, w)."""
    parts = []
    for _ in range(PARTS):
        index = rng.integers(len(images))
        parts.append(random_part([images[index], learned[index]], rng))
    both = torch.stack(parts)
    wanted, weight = both[:, :1], both[:, 1:]
    return wanted.contiguous(memory_format=torch.channels_last), weight.contiguous(memory_format=torch.channels_last)
