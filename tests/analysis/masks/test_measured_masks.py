"""Frames of masks become the masks that were in the beam."""

from dataclasses import replace

import numpy as np
import pytest
from mask_frames import METAL, designs, frame_of, shifted_mask

from analysis.masks.calibration import MaskCalibration, out_of_tolerance
from analysis.masks.geometry import Geometry
from analysis.masks.registration import NotTheMasks, common_geometry, registered

CAMERA = Geometry(35.3, 33.8, 2.51, 0.012)
SHAPE = (70, 68)
DESIGNS = designs(20)
LIGHT = 2000.0


def placed(shift_px: tuple[float, float], camera: Geometry = CAMERA) -> Geometry:
    y, x = camera.places(np.array([[shift_px[0]], [shift_px[1]]]))[:, 0]
    return replace(camera, y=float(y), x=float(x))


@pytest.fixture(scope="module")
def plate() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks of uneven metal, 0.3 pixels beside their places: as etched, their shifts, and frames of them."""
    rng = np.random.default_rng(3)
    etched = np.clip(0.02 + 0.95 * DESIGNS + rng.normal(0, 0.03, DESIGNS.shape), 0, 1)
    angles = rng.uniform(0, 2 * np.pi, len(DESIGNS))
    shifts = 0.3 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    frames = np.stack([frame_of(mask, placed(tuple(shift)), SHAPE) for mask, shift in zip(etched, shifts, strict=True)])
    return etched, shifts, frames


def calibrated(frames: np.ndarray, masks: np.ndarray = DESIGNS, exposures: int = 4, dead: np.ndarray | None = None):
    rng = np.random.default_rng(4)
    flat = rng.poisson(np.full((20, *SHAPE), LIGHT)).mean(axis=0)
    made = MaskCalibration(masks, 2.5, flat, 20, np.zeros(SHAPE, bool) if dead is None else dead)
    for index, frame in enumerate(frames):
        counts = rng.poisson(np.maximum(frame, 0) * LIGHT, (exposures, *SHAPE)).astype(np.float32)
        if dead is not None:
            counts[:, dead] = np.nan
        made.add(index, counts)
    return made.finish()


def test_a_mask_is_found_where_it_lies_to_a_hundredth_of_its_pixel(plate):
    _, shifts, frames = plate
    camera = common_geometry(list(frames[:16]), list(DESIGNS[:16]), 2.5)
    assert camera.scale == pytest.approx(CAMERA.scale, rel=3e-3)
    assert camera.rotation == pytest.approx(CAMERA.rotation, abs=3e-3)
    for frame, design, shift in zip(frames, DESIGNS, shifts, strict=True):
        found = registered(frame, design, CAMERA)
        assert found.geometry.against(CAMERA)[:2] == pytest.approx(tuple(shift), abs=0.01)
        assert found.known.all()


def test_patterns_are_those_in_the_beam_and_their_errors_are_told(plate):
    etched, shifts, frames = plate
    dead = np.zeros(SHAPE, bool)
    dead[30, 20:24] = True
    measured = calibrated(frames, dead=dead)
    found = measured.registration
    middle = np.median(shifts - found[:, :2], axis=0)  # where the camera stands is no property of the masks
    assert found[:, :2] + middle == pytest.approx(shifts, abs=0.02)
    camera_at = measured.grid.against(CAMERA)[:2]
    true = np.stack([shifted_mask(mask, tuple(shift - camera_at)) for mask, shift in zip(etched, shifts, strict=True)])
    difference = measured.patterns - true
    assert np.std(difference) < 0.12 * np.std(DESIGNS - true)
    assert abs(difference.mean()) < 0.003
    again = calibrated(frames[:, ::1], exposures=5)  # other noise
    assert np.std((again.patterns - measured.patterns) / np.hypot(again.uncertainty, measured.uncertainty)) == pytest.approx(
        1, abs=0.35
    )
    assert found[:, 4] == pytest.approx(1 - (0.02 + 0.95 * METAL) / 0.97, abs=0.03)
    assert out_of_tolerance(found, 0.5, 0.5) == []
    assert len(out_of_tolerance(found, 0.2, 0.5)) > 10


def test_a_magnification_that_nobody_told_is_found(plate):
    _, _, frames = plate
    found = common_geometry(list(frames[:8]), list(DESIGNS[:8]), 1.0)
    assert found.scale == pytest.approx(CAMERA.scale, rel=0.01)


def test_what_the_design_cannot_tell_is_not_told(plate):
    stripes = np.repeat((METAL + (1 - METAL) * (np.arange(16) // 2 % 2))[:, None], 16, axis=1).astype(np.float32)
    open_mask = np.ones((16, 16), np.float32)
    masks = np.concatenate([DESIGNS, stripes[None], open_mask[None]])
    frames = np.stack([frame_of(mask, CAMERA, SHAPE) for mask in masks])
    measured = calibrated(frames, masks)
    assert measured.measured.all()
    assert abs(measured.registration[20, 0]) < 0.05
    # along the stripes the edge of the mask alone tells
    assert registered(frames[20], stripes, CAMERA).errors[1] > 2 * registered(frames[20], stripes, CAMERA).errors[0]
    assert np.isnan(measured.registration[21, :2]).all()
    assert measured.patterns[21] == pytest.approx(1, abs=0.15)


def test_masks_that_were_not_measured_are_as_designed(plate):
    _, _, frames = plate
    measured = calibrated(frames[:17])
    assert measured.measured.sum() == 17
    assert np.isnan(measured.uncertainty[17:]).all() and np.isfinite(measured.uncertainty[:17]).all()
    assert np.corrcoef(measured.patterns[18].ravel(), DESIGNS[18].ravel())[0, 1] > 0.999


def test_another_plate_is_refused(plate):
    _, _, frames = plate
    with pytest.raises(NotTheMasks, match="another plate"):
        calibrated(frames, designs(20, seed=9))


def test_a_camera_with_too_large_pixels_is_refused():
    coarse = np.stack([frame_of(mask, Geometry(14.2, 15.1, 0.8), (30, 30)) for mask in DESIGNS])
    made = MaskCalibration(DESIGNS, 0.8, np.full((30, 30), LIGHT), 20, np.zeros((30, 30), bool))
    with pytest.raises(ValueError, match=r"as large as 1.2. mask pixels"):
        for index, frame in enumerate(coarse):
            made.add(index, frame[None] * LIGHT)
