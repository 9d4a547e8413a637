"""Where a drive was, when its gate opens, and what is captured at each trigger."""

import numpy as np
import pytest

from sims.motion import Travel
from sims.position_compare import Gate, PositionCompare
from sims.track import Track

RAMP = 0.02


def line(track, start, goal, at, velocity=0.04, pace=1.0):
    """A line that begins at a clock time; returns when it ends."""
    travel = Travel(start, goal, velocity, RAMP)
    track.go(at, travel, 0.0, pace)
    track.rest(at + travel.duration / pace, goal)
    return at + travel.duration / pace


def gate(**changes):
    values = {"encoder": "Enc2", "start_um": -2.0, "width_um": 4.5, "delay_s": 0.0, "step_s": 5e-4, "width_s": 5e-4, "most": 200}
    return Gate(**{**values, **changes})


def drives(x_at):
    y, x = Track(0.001), Track(x_at)
    return x, {"Enc1": y, "Enc2": x}


def test_a_track_remembers_where_the_drive_was():
    track = Track(1.0)
    end = line(track, 1.0, 3.0, at=10.0, velocity=1.0)
    assert [track.position(time) for time in (0.0, 10.0, end, 99.0)] == [1.0, 1.0, 3.0, 3.0]
    assert track.position(11.0) == pytest.approx(Travel(1.0, 3.0, 1.0, RAMP).position(1.0))


def test_a_stalled_drive_stands_still_and_goes_on_from_there():
    track = Track(0.0)
    travel = Travel(0.0, 1.0, 1.0, 0.0)
    track.go(0.0, travel, 0.0, 1.0)
    track.go(0.25, travel, 0.25, 0.0)
    track.go(5.0, travel, 0.25, 1.0)
    assert [track.position(time) for time in (0.25, 4.0, 5.0, 5.5)] == pytest.approx([0.25, 0.25, 0.25, 0.75])
    assert track.crossing(0.5, 0.0, 10.0) == pytest.approx(5.25)


@pytest.mark.parametrize("speed", [1.0, 1000.0])
@pytest.mark.parametrize("forward", [True, False])
def test_triggers_come_at_a_fixed_rate_from_the_gates_start_in_both_directions(forward, speed):
    side = 1 if forward else -1
    x, tracks = drives(-0.003 * side)
    compare = PositionCompare(gate(start_um=-2.0 * side), tracks, 100.0, speed)
    end = line(x, -0.003 * side, 0.003 * side, at=100.0, pace=speed)
    parts = []
    now = 100.0
    while not compare.closed and now < end + 1:
        now += 0.01 / speed
        parts.append(compare.advance(now))
    readings = np.concatenate([part.positions["Enc2"] for part in parts])
    starts = np.concatenate([part.starts for part in parts])
    # 20 nm from trigger to trigger; the mean over an exposure is that of its middle, half a step on
    np.testing.assert_allclose(readings, side * (-1.99 + 0.02 * np.arange(200)), atol=1e-6)
    np.testing.assert_allclose(np.diff(starts), 5e-4 / speed, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([part.positions["Enc1"] for part in parts]), 1.0)


def test_the_gate_closes_a_width_away_and_a_pulse_needs_its_time():
    x, tracks = drives(-0.003)
    compare = PositionCompare(gate(width_um=1.0, most=0), tracks, 0.0)
    end = line(x, -0.003, 0.003, at=0.0)
    opened = x.crossing(-0.002, 0.0, end)
    assert len(compare.advance(opened + 0.0004)) == 0
    assert len(compare.advance(opened + 0.0006)) == 1
    assert len(compare.advance(end)) == 49 and compare.closed


def test_who_arrives_at_the_start_has_not_passed_it_and_who_leaves_it_has():
    x, tracks = drives(-0.003)
    compare = PositionCompare(gate(), tracks, 0.0)
    end = line(x, -0.003, -0.002, at=0.0)
    assert len(compare.advance(end + 1)) == 0 and not compare.is_open
    line(x, -0.002, 0.003, at=end + 2)
    assert len(compare.advance(end + 9)) == 200 and compare.closed


def test_a_gate_counts_only_what_happens_after_it_was_armed():
    x, tracks = drives(-0.003)
    end = line(x, -0.003, 0.003, at=0.0)
    compare = PositionCompare(gate(), tracks, end)
    assert len(compare.advance(end + 5)) == 0 and not compare.closed


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"width_um": 0.0}, "PC_GATE_WID"),
        ({"width_s": 0.0}, "PC_PULSE_WID"),
        ({"width_s": 1e-3}, "no longer than the time"),
        ({"delay_s": -1.0}, "PC_PULSE_START"),
        ({"most": -1}, "PC_PULSE_MAX"),
    ],
)
def test_impossible_gates_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        gate(**changes)


@pytest.mark.parametrize("side", [1, -1])
def test_a_captured_position_is_the_mean_over_the_live_window_in_both_directions_even_while_the_drive_speeds_up(side):
    x, tracks = drives(0.0)
    travel = Travel(0.0, 0.5 * side, 1.0, 0.2)  # mm; it speeds up for 0.2 s
    x.go(0.0, travel, 0.0, 1.0)
    compare = PositionCompare(gate(start_um=10.0 * side, width_um=400.0, step_s=0.04, width_s=0.01, most=8), tracks, 0.0)
    pulses = compare.advance(0.6)
    assert len(pulses) == 8
    for start, end, mean, moved in zip(pulses.starts, pulses.ends, pulses.positions["Enc2"], pulses.moved["Enc2"], strict=True):
        truth = [1000 * x.position(time) for time in np.linspace(start, end, 2001)]
        assert mean == pytest.approx(np.mean(truth), abs=0.02)
        assert moved == pytest.approx(truth[-1] - truth[0]) and np.sign(moved) == side
    np.testing.assert_allclose(np.diff(pulses.starts), 0.04)


def test_a_gate_on_time_opens_at_once_while_the_drives_stand_still():
    _, tracks = drives(0.002)
    compare = PositionCompare(gate(encoder=None, step_s=0.01, width_s=0.01, most=1), tracks, 5.0)
    assert len(compare.advance(5.005)) == 0
    pulses = compare.advance(5.02)
    assert compare.closed and pulses.starts.tolist() == [5.0]
    assert (pulses.positions["Enc2"], pulses.moved["Enc2"]) == (pytest.approx([2.0]), [0.0])
    with pytest.raises(ValueError, match="needs a number of pulses"):
        gate(encoder=None, most=0)
