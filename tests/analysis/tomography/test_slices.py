"""Projector and reconstructions on bodies whose line integrals are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.imaging.gradient import total_variation
from analysis.imaging.projector import ParallelBeam
from analysis.tomography.attenuation import attenuation
from analysis.tomography.centre import centre_of_rotation
from analysis.tomography.fbp import angular_weights, fbp
from analysis.tomography.sirt import Sirt
from analysis.tomography.tv import TotalVariation, best_weight

SIZE = 64
ANGLES = np.arange(0.0, 180.0, 2.0)
TOOTH = Path(__file__).parents[4] / "shared/data/tomo_tooth.npz"


def disc(radius: float, y: float = 0.0, x: float = 0.0, centre: float = (SIZE - 1) / 2) -> np.ndarray:
    """Line integrals (1, views, bins) of a disc of value 1 at (y, x) from the axis."""
    theta = np.deg2rad(ANGLES)[:, None]
    place = np.arange(SIZE) - centre - x * np.cos(theta) - y * np.sin(theta)
    return 2 * np.sqrt(np.maximum(radius**2 - place**2, 0))[None].astype(np.float32)


def middle_of(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = np.where(image > 0.2, image, 0)  # beside the detector's view there are traces of what was not seen
    return np.array([(inside * y).sum(), (inside * x).sum()]) / inside.sum()


def reconstructed(sinogram: np.ndarray, method: str, centre: float = (SIZE - 1) / 2) -> np.ndarray:
    if method == "fbp":
        return fbp(sinogram, ANGLES, centre, SIZE)[0]
    sirt = Sirt(ParallelBeam(SIZE, ANGLES, SIZE, centre), sinogram, np.ones_like(sinogram, bool), lower=0.0)
    sirt.iterate(100)
    return sirt.slices[0]


@pytest.mark.parametrize("method", ["fbp", "sirt"])
def test_a_centred_disc_stays_centred_and_a_moved_one_moves(method: str) -> None:
    assert np.abs(middle_of(reconstructed(disc(20), method))).max() < 0.05
    np.testing.assert_allclose(middle_of(reconstructed(disc(8, 11, -7), method)), (11, -7), atol=0.05)
    moved = disc(8, 11, -7, centre=28.3)
    np.testing.assert_allclose(middle_of(reconstructed(moved, method, 28.3)), (11, -7), atol=0.05)


@pytest.mark.parametrize("method", ["fbp", "sirt"])
def test_the_values_are_those_of_the_disc(method: str) -> None:
    image = reconstructed(disc(20), method)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    assert image[np.hypot(y, x) < 17].mean() == pytest.approx(1.0, abs=0.01)
    assert image[(np.hypot(y, x) > 23) & (np.hypot(y, x) < 30)].mean() == pytest.approx(0.0, abs=0.01)


def test_the_projector_integrates_a_disc() -> None:
    y, x = np.mgrid[: 8 * SIZE, : 8 * SIZE] / 8 - (SIZE - 0.125) / 2
    fine = (np.hypot(y, x) < 20).reshape(SIZE, 8, SIZE, 8).mean(axis=(1, 3))
    beam = ParallelBeam(SIZE, ANGLES, SIZE, (SIZE - 1) / 2)
    made = beam.sinograms(beam.forward(beam.columns(fine[None])))
    assert np.abs(made - disc(20)).mean() < 0.12


def test_slices_are_projected_together_and_alone_alike_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).random((3, SIZE, SIZE)).astype(np.float32)
    beam = ParallelBeam(SIZE, ANGLES, 50, 22.4)
    together = beam.sinograms(beam.forward(beam.columns(images)))
    monkeypatch.setattr("analysis.imaging.projector._ENTRIES", 100_000)
    monkeypatch.setattr("analysis.imaging.projector._KEPT_BYTES", 1000)
    parts = ParallelBeam(SIZE, ANGLES, 50, 22.4)
    alone = np.concatenate([parts.sinograms(parts.forward(parts.columns(image[None]))) for image in images])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)
    sinograms = parts.columns(together)
    torch.testing.assert_close(parts.adjoint(sinograms), beam.adjoint(sinograms), rtol=1e-5, atol=1e-3)


def test_30_iterations_are_20_and_10() -> None:
    sinogram = disc(20)
    beam, known = ParallelBeam(SIZE, ANGLES, SIZE, 31.5), np.ones_like(sinogram, bool)
    whole, part = Sirt(beam, sinogram, known, lower=0.0), Sirt(beam, sinogram, known, lower=0.0)
    whole.iterate(30)
    part.iterate(20)
    again = Sirt(beam, sinogram, known, lower=0.0, first=part.slices)
    again.iterate(10)
    assert np.array_equal(whole.slices, again.slices)


def test_what_was_not_measured_does_not_count() -> None:
    sinogram = disc(20)
    known = np.ones_like(sinogram, bool)
    known[0, ::7, 20:30] = False
    wrong = np.where(known, sinogram, 50).astype(np.float32)
    sirt = Sirt(ParallelBeam(SIZE, ANGLES, SIZE, 31.5), wrong, known, lower=0.0)
    sirt.iterate(100)
    np.testing.assert_allclose(sirt.slices[0], reconstructed(sinogram, "sirt"), atol=0.1)


def test_the_least_total_variation_is_found_with_a_weight_that_suits_the_noise() -> None:
    sinogram = disc(8, 11, -7)[:, ::6] + disc(14)[:, ::6]
    noisy = sinogram + np.random.default_rng(0).normal(0, 1.0, sinogram.shape).astype(np.float32)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    truth = (np.hypot(y - 11, x + 7) < 8).astype(float) + (np.hypot(y, x) < 14)
    beam, known = ParallelBeam(SIZE, ANGLES[::6], SIZE, 31.5), np.ones_like(sinogram, bool)
    weight = best_weight(beam, noisy[0], known[0], 0, lower=0.0)
    solver, sirt = TotalVariation(beam, noisy, known, weight, lower=0.0), Sirt(beam, noisy, known, lower=0.0)

    def cost() -> float:
        image = solver.slices[0].astype(np.float64)
        missed = beam.sinograms(beam.forward(beam.columns(image[None]))) - noisy
        return float(0.5 * (missed**2).sum() + weight * total_variation(image))

    solver.iterate(400)
    sirt.iterate(200)
    found = cost()
    assert np.mean((solver.slices[0] - truth) ** 2) < 0.5 * np.mean((sirt.slices[0] - truth) ** 2)
    solver.iterate(800)
    assert cost() == pytest.approx(found, rel=0.01)  # it has converged


def test_no_logarithm_of_nothing() -> None:
    transmission = np.array([[0.5, np.nan, 0.25, -0.1, 0.0, 1.0], [np.nan] * 6])
    values, known = attenuation(transmission)
    assert known.tolist() == [[True, False, True, False, False, True], [False] * 6]
    np.testing.assert_allclose(values[0], np.log([2, 8**0.5, 4, 4 ** (2 / 3), 4 ** (1 / 3), 1]), rtol=1e-6)
    assert not values[1].any()


def test_a_view_counts_as_much_as_the_angle_that_it_stands_for() -> None:
    np.testing.assert_allclose(angular_weights(ANGLES), np.pi / 90)
    np.testing.assert_allclose(angular_weights(np.array([0.0, 90.0, 180.0, 30.0])), np.deg2rad([30, 75, 30, 45]))


@pytest.mark.parametrize("centre", [31.5, 25.2, 36.7])
def test_the_centre_of_rotation_is_found(centre: float) -> None:
    sinogram = disc(6, 11, -7, centre)[0] + disc(4, -9, 3, centre)[0] + disc(14, centre=centre)[0]
    noisy = sinogram + np.random.default_rng(0).normal(0, 0.3, sinogram.shape)
    assert centre_of_rotation(noisy, ANGLES) == pytest.approx(centre, abs=0.3)
    assert centre_of_rotation(noisy[::6], ANGLES[::6]) == pytest.approx(centre, abs=0.5)


@pytest.mark.parametrize("centre", [31.5, 25.2, 36.7])
def test_a_part_of_half_a_turn_tells_the_centre_too(centre: float) -> None:
    sinogram = disc(6, 11, -7, centre)[0] + disc(4, -9, 3, centre)[0] + disc(10, centre=centre)[0]
    noisy = sinogram + np.random.default_rng(0).normal(0, 0.05, sinogram.shape)
    for degrees, error in ((30, 2.0), (60, 0.5), (120, 0.2)):
        assert centre_of_rotation(noisy[: degrees // 2], ANGLES[: degrees // 2]) == pytest.approx(centre, abs=error)
    assert abs(centre_of_rotation(noisy[:3], ANGLES[:3]) - 31.5) < 16  # hardly anything is known: near the middle


def test_the_centre_of_a_body_that_goes_beyond_the_detector_is_found() -> None:
    sinogram = disc(30, centre=28.3)[0] - disc(6, 11, -7, 28.3)[0] - disc(4, -9, 3, 28.3)[0]
    assert centre_of_rotation(sinogram[:, 8:-8], ANGLES) == pytest.approx(20.3, abs=0.3)


def test_a_projector_that_grows_is_that_of_all_views() -> None:
    whole, grown = ParallelBeam(SIZE, ANGLES, SIZE, 30.2), ParallelBeam(SIZE, ANGLES[:20], SIZE, 30.2).with_views(ANGLES[20:])
    image = torch.rand(SIZE**2, 2)
    assert grown.shape == whole.shape and torch.equal(grown.forward(image), whole.forward(image))
    rays = torch.rand(whole.shape[0], 2)
    torch.testing.assert_close(grown.adjoint(rays), whole.adjoint(rays))


@pytest.mark.skipif(not TOOTH.exists(), reason="the tooth of TomoPy's example data is not here")
def test_the_centre_of_a_real_tooth_is_found() -> None:
    with np.load(TOOTH) as file:
        dark, flat = file["darks"].mean(axis=0), file["flats"].mean(axis=0)
        values, _ = attenuation((file["projections"] - dark) / (flat - dark))
        for row, views in ((0, slice(None)), (1, slice(None, None, 6))):
            assert centre_of_rotation(values[views, row], file["theta_deg"][views]) == pytest.approx(295.6, abs=0.3)
