"""A step scan on the simulated records, over Channel Access, with a file that is really written."""

import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from fly_session import FlySession
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import ptycho_scan
from plans.preprocessors import use_devices
from plans.ptycho_patterns import scan_places
from plans.refusal import PlanRequestError

pytestmark = pytest.mark.ioc

SCAN = {"y_um": (-1, 1), "x_um": (-1, 1), "step_um": 1.0, "exposure_s": 0.01, "pattern": "jittered_grid", "seed": 3}
PLACES = scan_places("jittered_grid", (-1, 1), (-1, 1), 1.0, 3)
NUM = len(PLACES)


class PtychoSession(FlySession):
    def plan(self, **changes):
        here = self.devices
        bound = use_devices(ptycho_scan, trigger_box=here.trigger_box, shutter=here.shutter)
        return bound(here.pixel_detector, here.sample_stage, **(SCAN | changes))

    def at_place(self, number, act):
        """Act once when the position of a place has come."""
        done = []

        def watch(name, doc):
            if name == "event_page" and not done and doc["data"]["trigger_box_number"][-1] >= number:
                done.append(True)
                act()

        self.engine.subscribe(watch)

    def measured(self):
        return np.stack([self.position("y"), self.position("x")], axis=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ptycho")
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc("--frames", "pattern", plate=folder / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix}, frames_dir=folder / "frames", pixel_detector={"frame_timeout_s": 0.5}
        )
        devices = make_devices(config)
        connect(devices, 20)
        yield ioc, devices


@pytest.fixture
def session(running):
    running[0].clear_faults()
    session = PtychoSession(running[1])
    yield session
    running[0].clear_faults()
    session.check_at_rest()


def test_every_place_has_its_frame_and_its_position_under_one_number(session):
    session.scan(md={"sample": "star"}, recipes=["sums"])
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    assert session.stop["num_events"] == {"frames": NUM, "positions": NUM}
    np.testing.assert_array_equal(session.numbers_in_file(), np.arange(1, NUM + 1))
    np.testing.assert_allclose(session.measured(), PLACES, atol=1e-3)
    (start,) = session.of("start")
    entry = start["ptychography"]
    assert (start["plan_name"], start["technique"], start["num_points"]) == ("ptycho_scan", "ptychography", NUM)
    assert entry["grid"] == {"y_um": [-1.0, 1.0, 3], "x_um": [-1.0, 1.0, 3], "snake": False}
    assert (entry["rate_hz"], entry["exposure_s"]) == (None, 0.01)
    assert start["recipes"] == [{"method": "sums", "options": {}}]


def test_a_spiral_whose_step_follows_from_an_overlap(session):
    session.scan(step_um=None, overlap=0.75, pattern="spiral")
    session.check_valid()
    beam_um = session.devices.pixel_detector.optics.zone_plate.beam_um(11.1)
    np.testing.assert_allclose(session.measured(), scan_places("spiral", (-1, 1), (-1, 1), beam_um / 4, 3), atol=1e-3)


def test_a_pause_comes_before_the_next_place_with_the_shutter_closed_and_the_scan_goes_on(session):
    session.at_place(3, lambda: session.pause(defer=True))
    with pytest.raises(RunEngineInterrupted):
        session.scan()
    assert session.comes_true(lambda: not session.devices.shutter.is_open), "open while paused"
    assert 3 <= len(session.position("number")) < NUM
    session.engine.resume()
    session.check_valid()
    assert len(session.position("number")) == session.announced() == NUM


def test_a_pause_that_cannot_wait_spoils_one_exposure_whose_place_is_exposed_again(session):
    session.at_place(3, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.scan(exposure_s=0.2)
    session.engine.resume()
    session.check_valid()
    measured = session.measured()
    assert NUM <= len(measured) <= NUM + 1
    for place in PLACES:
        assert np.abs(measured - place).max(axis=1).min() < 1e-3


@pytest.mark.parametrize("ending", ["abort", "stop", "halt"])
def test_a_scan_that_is_ended_in_a_pause_is_a_valid_scan_of_fewer_places(session, ending):
    session.at_place(2, lambda: session.pause(defer=True))
    with pytest.raises(RunEngineInterrupted):
        session.scan()
    getattr(session.engine, ending)()
    session.check_valid()
    assert 2 <= len(session.position("number")) < NUM


def test_a_frame_that_is_lost_leaves_a_gap_and_the_scan_goes_on(session, running):
    session.at_place(2, lambda: threading.Thread(target=running[0].put, args=("FAULT:DroppedFrame", 1)).start())
    session.scan(exposure_s=0.2)
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    assert len(session.position("number")) == NUM and len(session.numbers_in_file()) == NUM - 1


def test_a_stalled_axis_ends_the_scan_and_keeps_what_was_measured(session, running, monkeypatch):
    monkeypatch.setattr(session.devices.sample_stage, "move_timeout_s", 1.0)
    session.at_place(2, lambda: threading.Thread(target=running[0].put, args=("FAULT:StalledAxis", 4)).start())
    with pytest.raises(RuntimeError, match=r"the place at y = .* was not reached"):
        session.scan(exposure_s=0.2)
    running[0].put("FAULT:StalledAxis", 0)
    session.check_valid()
    assert session.stop["exit_status"] == "fail" and session.announced() >= 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"step_um": 0}, "step_um must be a number of um above 0"),
        ({"overlap": 0.5}, "give either step_um"),
        ({"step_um": None}, "give either step_um"),
        ({"step_um": None, "overlap": 1.0}, "overlap must be a part of the beam"),
        ({"step_um": 1e-5}, "are more than 1000000: take a larger step"),
        ({"pattern": "raster"}, "pattern must be one of spiral, jittered_grid"),
        ({"seed": -1}, "seed must be"),
        ({"exposure_s": 1e-6}, "max_rate_hz"),
        ({"y_um": (1, 1)}, "y_um begins and ends at 1 um"),
        ({"y_um": (-1, 1, 5)}, r"y_um must be \(first, last\)"),
        ({"x_um": (24_000, 26_000), "step_um": 100}, r"SAMPLE:X would have to move .* \.HLM"),
        ({"trigger_box": "box"}, "is a name, not a device"),
        ({"md": {"ptychography": {}}}, "taken by the plan"),
    ],
)
def test_what_is_impossible_is_said_before_anything_moves(session, changes, says):
    stage = session.devices.sample_stage
    before = stage.x.position, stage.y.position
    with pytest.raises(PlanRequestError, match=says):
        session.scan(**changes)
    assert session.documents == []
    assert (stage.x.position, stage.y.position) == before
