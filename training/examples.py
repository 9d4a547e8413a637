"""Examples to train on: programmed objects seen through imperfect plates and noise, as quick linear images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from analysis.ghost.linear_images import linear_images
from analysis.ghost.wavelet_network import network_inputs
from beamline.mask_designs import hadamard, half_gaussian, random_binary
from sims.etched_plate import etch
from sims.sandpaper import sandpaper
from sims.shift import shifted
from training.objects import make_object

SHUFFLED = 0.1
"""Part of the examples whose buckets don't belong to their masks: the network must make nothing of them."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What the network is given, and what it should make of it.

    Attributes
    ----------
    inputs : float32 tensor, (B, 3, size, size)
        See `network_inputs`.
    targets : float32 tensor, (B, size, size)
        Deviation of the object from its mean, in the inputs' unit; 0 where the buckets were shuffled.
    shuffled : bool tensor, (B,)
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    shuffled: torch.Tensor

    def part(self, chosen: np.ndarray) -> Examples:
        """Return the examples `chosen`, int (B',)."""
        return Examples(self.inputs[chosen], self.targets[chosen], self.shuffled[chosen])

    @classmethod
    def join(cls, parts: Sequence[Examples]) -> Examples:
        """Return examples of one size as one."""
        return cls(*(torch.cat([getattr(one, field.name) for one in parts]) for field in fields(cls)))


def make_examples(size: int, number: int, rng: np.random.Generator) -> Examples:
    """Return `number` examples behind one plate whose design, sampling and flaws are drawn at random."""
    nominal, actual = _plate(size, rng)
    objects = np.stack([make_object(size, rng) for _ in range(number)])
    clean = objects.reshape(number, -1) @ actual.T
    buckets = clean.astype(np.float64)
    # photons on an open pixel; what is left of the beam's flicker after normalisation
    photons = 10 ** rng.uniform(0.0, 5.0, number)[:, None]
    flicker = (10 ** rng.uniform(-4.5, -2.3, number) * (rng.random(number) < 0.7))[:, None]
    noise = np.sqrt(clean / photons + (flicker * clean) ** 2)
    buckets += noise * rng.standard_normal(buckets.shape)
    shuffled = rng.random(number) < SHUFFLED
    for row in buckets[shuffled]:
        rng.shuffle(row)
    seen = linear_images(nominal, buckets, np.ones_like(buckets))
    targets = objects - objects.mean(axis=(1, 2), keepdims=True)
    targets[shuffled] = 0.0
    seen = replace(seen, unit=np.maximum(seen.unit, 1e-6))  # a flat object without noise
    targets = torch.from_numpy((targets / seen.unit[:, None, None]).astype(np.float32))
    return Examples(network_inputs(seen, (size, size)), targets, torch.from_numpy(shuffled))


def _plate(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return masks as designed and as they really are in the beam, both float32 (M, N)."""
    pixels = size * size
    part = np.exp(rng.uniform(np.log(0.05), 0.0))
    kind = rng.random()
    seed = int(rng.integers(2**31))
    number = max(24, round(part * pixels))
    if kind < 0.65:
        patterns = hadamard(size)[:number]
        if rng.random() < 0.5:
            patterns = patterns[rng.random(len(patterns)) > rng.uniform(0.0, 0.3)]
    elif kind < 0.8:
        patterns = random_binary(number, size, seed)
    elif kind < 0.92:
        patterns = half_gaussian(number, size, seed)
    else:
        patterns = sandpaper(number, size, seed, grain_px=rng.uniform(0.8, 2.0), contrast=rng.uniform(0.1, 0.6))
        return (patterns.reshape(-1, pixels),) * 2
    depth = rng.uniform(0.6, 1.0)
    nominal = (1 - depth + depth * patterns).astype(np.float32)
    if rng.random() < 0.15:
        return (nominal.reshape(-1, pixels),) * 2
    foil, slope = 1 - depth, rng.uniform(0.0, 0.6)
    unevenness = np.exp(rng.uniform(np.log(0.005), np.log(0.5)))
    wobble = rng.uniform(0.0, 0.15) * (rng.random() < 0.5)
    actual = np.empty_like(nominal)
    for index, pattern in enumerate(nominal):
        flawed = etch(pattern, foil, unevenness, rng) if foil > 0.01 else pattern
        offset = tuple(rng.normal(0.0, wobble, 2)) if wobble else (0.0, 0.0)
        actual[index] = shifted(flawed - foil, offset, slope, outside=0.0) + foil
    return nominal.reshape(-1, pixels), np.clip(actual, 0, 1).reshape(-1, pixels)
