"""Where on the sensor the two halves of a frame are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline.config import GhostbeamConfig
from beamline.frames.halves import side_by_side, why_impossible


@given(st.integers(1, 5000), st.integers(2, 5000))
def test_the_left_and_the_right_half_of_any_sensor_are_a_pair(rows, columns):
    assert why_impossible((rows, columns), side_by_side((rows, columns))) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"halves": [[0, 8, 0, 8], [0, 8, 12, 20]]}, r"\[0, 8, 12, 20\] is not on the sensor, which has 8 rows and 16 columns"),
        ({"halves": [[0, 8, 0, 8], [4, 4, 8, 16]]}, r"\[4, 4, 8, 16\] is not on the sensor"),
        ({"halves": [[-1, 7, 0, 8], [0, 8, 8, 16]]}, r"\[-1, 7, 0, 8\] is not on the sensor"),
        ({"halves": [[0, 8, 0, 8], [0, 8, 4, 12]]}, "overlap"),
        ({"halves": [[0, 8, 0, 8], [0, 8, 9, 16]]}, r"\(8, 8\) and \(8, 7\) pixels.*same size"),
        ({"halves": [[0, 8, 0, 8]]}, "halves"),
        ({"halves": [[0, 8, 0], [0, 8, 8]]}, "halves"),
        ({"halves": [[0, 8, 0, 8], [0, 8, 8, 16]], "pairing": "consecutive"}, "leave either out"),
        ({"pairing": "thirds"}, "pairing"),
        ({"sensor": [8, 1]}, "at least 1 row and 2 columns"),
        ({"max_rate_hz": 0}, "max_rate_hz"),
    ],
)
def test_windows_that_cannot_be_the_halves_of_a_frame_are_refused_at_configuration(change, says):
    with pytest.raises(ValueError, match=says):
        GhostbeamConfig(dual_camera={"sensor": [8, 16], **change})


def test_halves_may_be_anywhere_on_the_sensor():
    above = [[0, 8, 2, 10], [9, 17, 3, 11]]
    section = GhostbeamConfig(dual_camera={"sensor": [20, 12], "halves": above}).dual_camera
    assert section.windows == ((0, 8, 2, 10), (9, 17, 3, 11))
    assert GhostbeamConfig(dual_camera={"pairing": "consecutive"}).dual_camera.windows is None
