"""Simulated ghost scans of programmed objects, and common mistakes introduced into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from analysis.ghost.orders import reorderings
from beamline.mask_designs import hadamard
from training.objects import make_object

KINDS = ("random", "grey", "hadamard in sequency order", "hadamard in random order", "signed hadamard", "smooth speckles")


@dataclass(frozen=True, eq=False)
class Measured:
    """Masks (M, H, W) and buckets (M,) as measured, and optionally a picture of the object."""

    masks: np.ndarray
    buckets: np.ndarray
    reference: np.ndarray | None = None


def object_of(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A disc, a box and a bar, without any symmetry under rotation or reflection."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    height, width = shape
    image = np.zeros(shape)
    image[(y - 0.35 * height) ** 2 + (x - 0.3 * width) ** 2 < (0.2 * min(shape)) ** 2] = 1.0
    image[int(0.6 * height) : int(0.85 * height), int(0.5 * width) : int(0.8 * width)] = 0.6
    image[int(0.1 * height) : int(0.5 * height), int(0.7 * width) : int(0.78 * width) + 1] = 0.9
    return image + 0.02 * rng.random(shape)


def clean_scan(number: int, size: int, seed: int) -> Measured:
    """The scan with a given number, which determines the masks, the object, the number of realizations and the noise."""
    rng = np.random.default_rng((seed, number))
    image = make_object(size, rng).astype(np.float64)
    masks = _masks(KINDS[number % len(KINDS)], size, int(rng.choice([0.25, 0.5, 1.0]) * size * size), rng)
    buckets = np.tensordot(masks.astype(np.float64), image, 2)
    noise = float(rng.choice([0.0, 0.02, 0.1, 0.3])) * float(buckets[1:].std())
    return Measured(masks, buckets + rng.normal(0, noise + 1e-9, len(buckets)))


def mistakes_of(size: int, seed: int) -> Iterator[tuple[str, str, Measured]]:
    """Scans with one mistake each: a description, its name, and the data."""
    for kind in ("random", "hadamard in random order", "hadamard in sequency order"):
        rng = np.random.default_rng((seed, len(kind)))
        image = object_of((size, size), rng)
        masks = _masks(kind, size, size * size, rng)
        buckets = np.tensordot(masks.astype(np.float64), image, 2)
        right = Measured(masks, buckets + rng.normal(0, 0.02 * buckets[1:].std(), len(buckets)), image)
        for name, done, spoil in _SPOILT:
            yield f"{done}, {kind}", name, spoil(right, rng)
    alike = Measured(*_equal_sums(size, seed))
    yield "open and closed swapped, all masks as open", "inverted", replace(alike, masks=~alike.masks)
    order = reorderings(size * size, size * size)["natural-to-sequency-by-axes"]
    rng = np.random.default_rng(seed)
    natural = hadamard(size, "natural")
    buckets = np.tensordot(natural.astype(np.float64), object_of((size, size), rng), 2)
    yield "masks in another order", "order", Measured(natural[order], buckets)


def _equal_sums(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hadamard masks without the fully open one: all others have equal numbers of open pixels."""
    masks = hadamard(size)[1:].astype(bool)
    return masks, np.tensordot(masks.astype(np.float64), object_of((size, size), np.random.default_rng(seed)), 2)


def _masks(kind: str, size: int, number: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "random":
        return rng.random((number, size, size)) < 0.5
    if kind == "grey":
        return np.abs(rng.standard_normal((number, size, size))).astype(np.float32)
    if kind == "smooth speckles":
        fields = ndimage.gaussian_filter(rng.standard_normal((number, size, size)), (0, 1.0, 1.0))
        return (fields**2 / np.mean(fields**2)).astype(np.float32)
    whole = hadamard(size)
    if kind == "signed hadamard":
        return (2 * whole[:number] - 1).astype(np.int8)
    chosen = np.arange(len(whole))[:number] if kind == "hadamard in sequency order" else rng.permutation(len(whole))[:number]
    return whole[chosen].astype(bool)


def _shifted(measured: Measured, by: int) -> Measured:
    """Bucket i + by belongs to mask i."""
    rest = len(measured.buckets) - abs(by)
    return replace(measured, masks=measured.masks[:rest], buckets=np.roll(measured.buckets, by)[:rest])


def _drifting(measured: Measured, rng: np.random.Generator) -> Measured:
    return replace(measured, buckets=measured.buckets * np.linspace(1.0, 0.8, len(measured.buckets)))


def _first_wrong(measured: Measured, rng: np.random.Generator) -> Measured:
    buckets = measured.buckets.copy()
    buckets[:12] = rng.random(12) * 3 * buckets.max()
    return replace(measured, buckets=buckets)


Spoil = Callable[[Measured, np.random.Generator], Measured]
_SPOILT: tuple[tuple[str, str, Spoil], ...] = (
    ("inverted", "open and closed swapped", lambda one, rng: replace(one, masks=~one.masks)),
    ("negative", "negative-going signal", lambda one, rng: replace(one, buckets=-one.buckets)),
    ("offset", "AC-coupled signal", lambda one, rng: replace(one, buckets=one.buckets - one.buckets.mean())),
    ("shift", "buckets one late", lambda one, rng: _shifted(one, 1)),
    ("shift", "masks three late", lambda one, rng: _shifted(one, -3)),
    ("order", "reverse order", lambda one, rng: replace(one, buckets=one.buckets[::-1])),
    ("drift", "lamp that loses 20 %", _drifting),
    ("first", "first 12 buckets junk", _first_wrong),
    ("turned", "transposed masks", lambda one, rng: replace(one, masks=one.masks.swapaxes(1, 2))),
    ("turned", "mirrored masks", lambda one, rng: replace(one, masks=one.masks[:, :, ::-1])),
    ("unrelated", "buckets shuffled", lambda one, rng: replace(one, buckets=rng.permutation(one.buckets))),
)
