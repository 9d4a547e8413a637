"""One test for every linear operator that an algorithm uses with its adjoint: <A x, y> = <x, A' y>."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost import MaskOperator
from analysis.ghost.masks import Masks
from analysis.ghost.wavelet_network import haar, inverse_haar
from analysis.imaging.gradient import ScreenedPoisson, gradient, gradient_adjoint
from analysis.imaging.projector import ParallelBeam
from analysis.ptychography.backend import Backend
from analysis.ptychography.geometry import Geometry

Map = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Operator:
    """A map between arrays of these shapes, and what should be its adjoint."""

    domain: tuple[int, ...]
    codomain: tuple[int, ...]
    forward: Map
    adjoint: Map
    tolerance: float = 1e-12


def masks(height: int, width: int, rng: np.random.Generator) -> Operator:
    operator = MaskOperator(rng.normal(size=(7, height, width)).astype(np.float32))
    return Operator((height, width), (7,), operator.forward, operator.adjoint)


def compact_masks(height: int, width: int, rng: np.random.Generator) -> Operator:
    store = Masks(height * width)
    store.append((rng.random((7, height * width)) < 0.5).astype(np.float32))
    return Operator((1, height * width), (1, 7), store.forward, store.adjoint, tolerance=1e-5)


def differences(height: int, width: int, rng: np.random.Generator) -> Operator:
    return Operator(
        (height, width), (2, height, width), lambda image: np.stack(gradient(image)), lambda edges: gradient_adjoint(*edges)
    )


def screened_poisson(height: int, width: int, rng: np.random.Generator) -> Operator:
    solve = ScreenedPoisson((height, width), 0.7).solve  # symmetric
    return Operator((height, width), (height, width), solve, solve)


def haar_transform(height: int, width: int, rng: np.random.Generator) -> Operator:
    shape = (1, 1, 2 * height, 2 * width)
    return Operator(
        shape,
        (1, 4, height, width),
        lambda image: haar(torch.from_numpy(image)).numpy(),
        lambda parts: inverse_haar(torch.from_numpy(parts)).numpy(),
    )


def far_field(height: int, width: int, rng: np.random.Generator) -> Operator:
    return _propagation(Geometry((height, width), 0.05))


def near_field(height: int, width: int, rng: np.random.Generator) -> Operator:
    return _propagation(Geometry((height, width), 0.05, fresnel=3.0))


def _propagation(geometry: Geometry) -> Operator:
    shape = (2, *geometry.shape)  # real and imaginary part
    propagator = geometry.propagator(Backend())

    def of_parts(prepare: Callable[[np.ndarray, np.ndarray], Callable[[], None]]) -> Map:
        def applied(parts: np.ndarray) -> np.ndarray:
            wave = (parts[0] + 1j * parts[1]).astype(np.complex64)
            result = np.empty_like(wave)
            prepare(wave, result)()
            return np.stack([result.real, result.imag])

        return applied

    return Operator(shape, shape, of_parts(propagator.forward), of_parts(propagator.backward), tolerance=1e-5)


def parallel_beam(height: int, width: int, rng: np.random.Generator) -> Operator:
    """An image of `height` and a detector of `width` pixels, and an axis anywhere."""
    beam = ParallelBeam(height, rng.uniform(-400, 400, 3), width, rng.uniform(0, width), dtype=torch.float64)
    return Operator(
        (height**2, 2),
        (3 * width, 2),
        lambda images: beam.forward(torch.from_numpy(images)).numpy(),
        lambda sinograms: beam.adjoint(torch.from_numpy(sinograms)).numpy(),
    )


MAKERS = [parallel_beam, masks, compact_masks, differences, screened_poisson, haar_transform, far_field, near_field]


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 11), width=st.integers(1, 11), seed=st.integers(0, 5))
def test_the_adjoint_is_one(make: Callable[..., Operator], height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    operator = make(height, width, rng)
    x, y = rng.normal(size=operator.domain), rng.normal(size=operator.codomain)
    left, right = np.vdot(operator.forward(x), y), np.vdot(x, operator.adjoint(y))
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    assert left == pytest.approx(right, rel=operator.tolerance, abs=operator.tolerance * scale)
