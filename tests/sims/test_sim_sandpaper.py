import numpy as np
import pytest

from sims.sandpaper import sandpaper, sandpaper_plate


@pytest.mark.parametrize("grain_px", [1.5, 3.0])
@pytest.mark.parametrize("contrast", [0.1, 0.4])
def test_sandpaper_has_the_grain_and_the_contrast_asked_for(grain_px, contrast):
    speckles = sandpaper(60, 64, 1, grain_px=grain_px, contrast=contrast)
    assert speckles.dtype == np.float32
    assert speckles.min() > 0 and speckles.max() <= 1
    assert speckles.std() / speckles.mean() == pytest.approx(contrast, rel=0.1)
    deviation = speckles - speckles.mean()
    for lag in (1, 2):
        likeness = np.mean(deviation[:, :, lag:] * deviation[:, :, :-lag]) / deviation.var()
        assert likeness == pytest.approx(0.5 ** (2 * lag / grain_px) ** 2, abs=0.03)


def test_places_of_the_sheet_differ_and_the_seed_repeats_them():
    plate = sandpaper_plate(3, 16, seed=4)
    np.testing.assert_array_equal(plate.patterns, sandpaper_plate(3, 16, seed=4).patterns)
    assert abs(np.corrcoef(plate.patterns[0].ravel(), plate.patterns[1].ravel())[0, 1]) < 0.3


def test_senseless_grains_are_refused():
    with pytest.raises(ValueError, match="grain_px and contrast"):
        sandpaper(2, 8, 0, grain_px=0.0)
