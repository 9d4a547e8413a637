import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.light import Light
from sims.motion import Travel, follow, legs

positions = st.floats(-100, 100)


@given(positions, positions, st.floats(0.01, 100), st.floats(0, 5))
def test_a_travel_goes_steadily_from_start_to_goal(start, goal, velocity, ramp):
    travel = Travel(start, goal, velocity, ramp)
    places = [travel.position(travel.duration * step / 20) for step in range(21)]
    assert places[0] == pytest.approx(start) and places[-1] == pytest.approx(goal)
    assert (
        places == sorted(places, reverse=goal < start)
        or max(abs(a - b) for a, b in zip(places, sorted(places, reverse=goal < start), strict=True)) < 1e-9
    )
    assert travel.position(travel.duration / 2) == pytest.approx((start + goal) / 2, abs=1e-6)


def test_durations():
    assert Travel(0, 0, 5, 0.1).duration == 0
    assert Travel(0, 10, 5, 0).duration == 2
    assert Travel(0, -10, 5, 0.5).duration == 2.5
    # Too short to reach the cruising speed: speeds up over half the way.
    assert Travel(0, 1, 10, 1).duration == pytest.approx(2 * (1 / 10) ** 0.5)


@pytest.mark.parametrize(("velocity", "ramp"), [(0, 0.1), (-1, 0.1), (float("nan"), 0.1), (1, -0.1)])
def test_impossible_motion_is_refused(velocity, ramp):
    with pytest.raises(ValueError, match="a stage needs"):
        Travel(0, 1, velocity, ramp)


def test_moves_against_the_approach_overshoot():
    assert legs(0, 1, 0) == [1] and legs(1, 0, 0) == [0]
    assert legs(0, 1, 0.1) == [1] and legs(1, 0, 0.1) == [-0.1, 0]
    assert legs(0, 1, -0.1) == [1.1, 1]


def test_play_is_lost_motion_after_a_turn():
    stage = 0.0
    stages = []
    for drive in (1.0, 0.9, 0.5, 0.6, 0.75, 1.2):
        stage = follow(stage, drive, play=0.2)
        stages.append(stage)
    assert stages == pytest.approx([1.0, 1.0, 0.7, 0.7, 0.75, 1.2])


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_light_is_measured_exactly_unless_it_changed():
    clock = Clock()
    light = Light(clock)
    mark = light.mark()
    clock.now = 1.234567
    assert not light.on and light.fraction_since(mark) == 0.0
    light.set(shutter=True)
    mark = light.mark()
    clock.now = 7.1
    assert light.on and light.fraction_since(mark) == 1.0


def test_light_that_came_and_went_counts_in_part():
    clock = Clock()
    light = Light(clock)
    mark = light.mark()
    for now, change in ((1.0, {"shutter": True}), (2.5, {"beam": False}), (3.0, {"beam": True}), (3.5, {"shutter": False})):
        clock.now = now
        light.set(**change)
    clock.now = 4.0
    assert light.fraction_since(mark) == pytest.approx(2.0 / 4.0)
    clock.now = 0.0
    assert light.beam
