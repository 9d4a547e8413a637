"""Object and probe from frames: how near to the truth, with motion, with several modes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from made_scans import MadeScan

from analysis.ptychography.backend import Backend
from analysis.ptychography.canvas import motion_during_frames, path_of_exposure
from analysis.ptychography.epie import Epie
from analysis.ptychography.first_guess import best_guess
from analysis.ptychography.geometry import Geometry
from analysis.ptychography.null_object import EmptyScan
from analysis.ptychography.orientation import ORIENTATIONS, turned
from analysis.ptychography.positions import Corrections
from analysis.ptychography.streaming import Picture, StreamingEpie, Sweeps


def reconstructed(
    scan: MadeScan, *, sweeps: int = 20, modes: int = 1, known_path: bool = True, correct_positions: bool = False
) -> Picture:
    first = scan.geometry.first_probe(scan.frames[:64].mean(axis=0))
    read = scan.reader(known_path=known_path)
    epie = StreamingEpie(scan.geometry, scan.canvas.shape, first[None], read, modes=modes, correct_positions=correct_positions)
    for _ in range(scan.blocks):
        epie.take_block()
    return epie.finish(Sweeps(sweeps, sweeps // 3))


def test_the_object_is_found() -> None:
    scan = MadeScan()
    assert scan.error(reconstructed(scan).object) < 0.15


def test_the_known_path_undoes_motion() -> None:
    scan = MadeScan(blur=8.0, photons=1e6)
    errors = [scan.error(reconstructed(scan, known_path=known).object) for known in (True, False)]
    assert errors[0] < 0.6 * errors[1]


def test_positions_that_are_wrong_are_corrected() -> None:
    scan = MadeScan(wrong=1.0)
    plain, corrected = (reconstructed(scan, sweeps=30, correct_positions=correct) for correct in (False, True))
    assert scan.error(corrected.object) < 0.6 * scan.error(plain.object)
    assert corrected.residual < 0.5 * plain.residual
    assert plain.moved == 0 and 0.8 < corrected.moved < 2.0


def test_corrections_of_a_pass_move_no_object() -> None:
    corrections = Corrections()
    corrections.add({1: np.array([[1.0, 0.0], [3.0, 2.0]]), 0: np.array([[2.0, 4.0]])})
    corrections.add({0: np.array([[0.5, 0.0]]), 1: np.zeros((2, 2))})
    every = np.concatenate([corrections.of(0, 1), corrections.of(1, 2)])
    np.testing.assert_allclose(every.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(every[2] - every[1], [2.0, 2.0])


def test_an_empty_scan_holds_no_object() -> None:
    scan = MadeScan(lines=8, points=8)
    empty = EmptyScan(scan.geometry, scan.probe[None], scan.reader(), 0, Backend())
    made = empty.read(0)
    np.testing.assert_allclose(made.counts, scan.ready(0, 64).counts, rtol=0.02)
    assert made.amplitude.tobytes() == empty.read(0).amplitude.tobytes()
    epie = StreamingEpie(scan.geometry, scan.canvas.shape, scan.probe[None], empty.read)
    epie.take_block()
    inner = epie.finish(Sweeps(5, 2)).object[24:-24, 24:-24]
    assert np.std(np.angle(inner)) < 0.1


def test_modes_are_orthogonal_and_the_strongest_comes_first() -> None:
    probe = reconstructed(MadeScan(), sweeps=3, modes=3).probe.reshape(3, -1).astype(np.complex128)
    overlap = probe.conj() @ probe.T
    power = np.diagonal(overlap).real
    assert (np.diff(power) <= 0).all()
    assert np.abs(overlap - np.diag(power)).max() < 1e-3 * power[0]


def test_pixels_that_were_not_measured_are_left_out() -> None:
    scan = MadeScan()
    frames = scan.ready()
    frames.amplitude[:, 5, 7] = 1e3  # nonsense, which would ruin the image
    spoilt = scan.error(_object(scan, frames))
    frames.amplitude[:, 5, 7] = -1.0
    frames.complete[:] = False
    assert scan.error(_object(scan, frames)) < 0.3 < spoilt


def _object(scan: MadeScan, frames) -> np.ndarray:
    epie = Epie(scan.geometry, scan.canvas.shape, scan.geometry.first_probe(scan.frames.mean(axis=0))[None], Backend())
    for sweep in range(10):
        epie.update(frames, np.random.default_rng(sweep).permutation(len(frames)), 0.5)
    return epie.object


def test_a_probe_whose_power_explodes_is_told() -> None:
    scan = MadeScan(lines=2)
    probe = 1e6 * scan.geometry.first_probe(scan.frames.mean(axis=0))[None]
    with pytest.raises(ValueError, match=r"the probe's power has grown to .* don't fit the frames"):
        Epie(scan.geometry, scan.canvas.shape, probe, Backend()).update(scan.ready(), np.arange(5), 0.0)


def test_torch_gives_what_numpy_gives() -> None:
    scan = MadeScan(lines=3)
    frames, probe = scan.ready(), scan.geometry.first_probe(scan.frames.mean(axis=0))[None]
    numpy = Epie(scan.geometry, scan.canvas.shape, probe, Backend())
    torch = Epie(scan.geometry, scan.canvas.shape, probe, Backend("cpu:0"))
    on_torch = type(frames)(torch.backend.asarray(frames.amplitude), frames.complete, frames.counts, frames.paths)
    errors = [epie.update(one, np.arange(30), 1.0) for epie, one in ((numpy, frames), (torch, on_torch))]
    np.testing.assert_allclose(*errors, rtol=1e-3)
    np.testing.assert_allclose(torch.backend.numpy(torch.object), numpy.object, atol=1e-3)


def test_every_orientation_is_named_for_what_it_is() -> None:
    frames = np.arange(12.0).reshape(1, 3, 4)
    stored = {"+y+x": frames, "-y+x": frames[:, ::-1], "+x+y": frames.swapaxes(1, 2), "-x+y": frames.swapaxes(1, 2)[:, ::-1]}
    for orientation, one in stored.items():
        np.testing.assert_array_equal(turned(one, orientation), frames)
    assert len(ORIENTATIONS) == 8
    found = best_guess(lambda orientation, spread, epochs: float(orientation != "-x+y") + spread, list(ORIENTATIONS), [2.0, 1.0])
    assert found == ("-x+y", 1.0)


@pytest.mark.parametrize(("blur", "places"), [(0.0, 1), (1.5, 1), (5.0, 3), (10.0, 5)])
def test_a_path_has_as_many_places_as_its_length_asks_for(blur: float, places: int) -> None:
    path = path_of_exposure(np.array([3.0, 3.0 - blur / 2]), np.array([3.0, 3.0 + blur / 2]))
    assert len(path) == places
    np.testing.assert_allclose(path.mean(axis=0), 3.0)


def test_motion_follows_each_line_of_a_snake() -> None:
    x = np.array([0, 1, 2, 2, 1, 0.0])
    positions = np.stack([np.repeat([0.0, 5.0], 3), x], axis=1)
    motion = motion_during_frames(np.arange(1, 7), positions, 0.5)
    np.testing.assert_allclose(motion[:, 1], [0.5, 0.5, 0.5, -0.5, -0.5, -0.5])
    np.testing.assert_allclose(motion[:, 0], 0.0)
    lost = motion_during_frames(np.array([1, 2, 4, 5]), positions[[0, 1, 3, 4]], 0.5)
    np.testing.assert_allclose(lost[:, 1], [0.5, 0.5, -0.5, -0.5])


def test_the_pixel_of_the_object_follows_from_distances() -> None:
    cone = Geometry.near_field((100, 100), 12.6581, 1.12e6, 55.0, 3650.0)
    assert cone.pixel_um == pytest.approx(0.17866, rel=1e-4)
    assert cone.fresnel == pytest.approx(9.7949e-5 * 3638.14 / 0.17866**2, rel=1e-3)
    far = Geometry.far_field((192, 256), 11.1, 1e7, 100.0)
    assert far.shape == (256, 256) and far.pixel_um == pytest.approx(0.0436, rel=1e-2)
