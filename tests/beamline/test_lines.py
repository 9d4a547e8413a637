import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline.motion.lines import SETTLE_S, Axis, LineScan, why_impossible

SCAN = LineScan((-2.0, 2.0, 41), (-2.0, 2.0, 201), rate_hz=2000.0, exposure_s=0.0005, acceleration_s=0.1)
AXIS = Axis("GB:SAMPLE:X", "mm", 1000.0, "mm", -25e3, 25e3, 0.0, 0.0, 2000.0, 0.1)


def test_velocity_and_run_up_follow_from_points_rate_and_acceleration():
    assert SCAN.step_um == pytest.approx(0.02)
    assert SCAN.velocity_um_s == pytest.approx(40.0)
    assert SCAN.run_up_um == pytest.approx(40.0 * (0.05 + SETTLE_S))
    assert SCAN.num_points == 41 * 201
    # 4 um of points, one exposure, run-up and run-out, and twice half the velocity while it changes
    assert SCAN.line_s == pytest.approx((4 + 0.02 + 2 * SCAN.run_up_um) / 40 + 0.1)


def test_the_middle_of_each_exposure_is_at_its_point():
    forward, backward, *_ = SCAN.lines()
    half_um = SCAN.velocity_um_s * SCAN.exposure_s / 2
    assert forward.gate_um + half_um == pytest.approx(-2.0)
    assert backward.gate_um - half_um == pytest.approx(2.0)
    assert forward.start_um < forward.gate_um < forward.stop_um
    assert backward.stop_um < backward.gate_um < backward.start_um


def test_lines_of_a_snake_turn_and_one_way_lines_do_not():
    assert [line.start_um < line.stop_um for line in SCAN.lines()][:3] == [True, False, True]
    one_way = dataclasses.replace(SCAN, snake=False)
    assert all(line.start_um < line.stop_um for line in one_way.lines())
    assert [line.y_um for line in one_way.lines()] == pytest.approx([-2 + 0.1 * n for n in range(41)])


@given(
    first=st.floats(-1e3, 1e3),
    length=st.floats(0.01, 1e3),
    num=st.integers(2, 1000),
    backwards=st.booleans(),
    rate=st.floats(0.1, 1e4),
    live=st.floats(0.01, 1.0),
    acceleration=st.floats(0.0, 1.0),
)
def test_every_trigger_lies_within_the_gate_and_the_part_at_constant_velocity(
    first, length, num, backwards, rate, live, acceleration
):
    ends = (first + length, first) if backwards else (first, first + length)
    scan = LineScan((0.0, 1.0, 3), (*ends, num), rate, live / rate, acceleration)
    for line in scan.lines():
        forward = 1 if line.stop_um > line.start_um else -1
        travelled = (num - 1) * scan.step_um + scan.velocity_um_s * scan.exposure_s
        assert travelled <= line.width_um * (1 + 1e-9)
        ramp_um = scan.velocity_um_s * acceleration / 2
        tolerance = 1e-6 * (abs(first) + length)
        assert forward * (line.gate_um - line.start_um) >= ramp_um - tolerance
        assert forward * (line.stop_um - line.gate_um) - travelled >= ramp_um - tolerance


def test_a_single_line_lies_at_its_first_position():
    assert [line.y_um for line in dataclasses.replace(SCAN, y_um=(3.0, 3.0, 1)).lines()] == [3.0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"units": "um"}, ["GB:SAMPLE:X.EGU", "'um'", "'mm'", "units"]),
        ({"units": "deg"}, ["'deg'"]),
        ({"max_velocity_um_s": 20.0}, ["40 um/s", "20 um/s", "VMAX", "rate_hz below 1000"]),
        ({"min_velocity_um_s": 100.0}, ["VBAS", "raise rate_hz"]),
        ({"low_um": -3.0, "high_um": 100.0}, ["soft limits", "run-up", "-3 to 100 um", "LLM"]),
    ],
)
def test_what_a_stage_cannot_do_is_said_with_number_and_cure(changes, says):
    why = why_impossible(SCAN, dataclasses.replace(AXIS, name="GB:SAMPLE:Y"), dataclasses.replace(AXIS, **changes))
    assert why is not None
    for part in says:
        assert part in why


def test_y_must_stay_within_its_limits_too():
    why = why_impossible(SCAN, dataclasses.replace(AXIS, name="GB:SAMPLE:Y", high_um=1.0), AXIS)
    assert why is not None and "GB:SAMPLE:Y" in why and "run-up" not in why


def test_a_stage_without_limits_or_with_other_spellings_of_its_units_is_fine():
    free = dataclasses.replace(AXIS, low_um=0.0, high_um=0.0)
    microns = dataclasses.replace(AXIS, units="micron", expected_units="um", um_per_unit=1.0)
    assert why_impossible(SCAN, free, microns) is None


def test_dial_positions_take_offset_and_direction_off():
    axis = dataclasses.replace(AXIS, offset_um=100.0, sign=-1.0)
    assert axis.dial_um(40.0) == pytest.approx(60.0)
