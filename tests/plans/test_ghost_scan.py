"""The plans in a RunEngine, on soft devices."""

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.simulators import summarize_plan
from soft_devices import SoftBeamline, buckets

from beamline.mask_designs import hadamard, make_plate
from plans import dark_scan, ghost_scan
from plans.preprocessors import use_devices
from plans.stubs import MaskNotReached, ShutterFailed, TriggersLost


class Session:
    def __init__(self, **shutter):
        self.beamline = SoftBeamline(**shutter)
        self.documents = []
        self.engine = RunEngine({})
        self.engine.subscribe(lambda name, doc: self.documents.append((name, dict(doc))))

    def plan(self, **kwargs):
        here = self.beamline
        arguments = {"exposure": 0.01, "shutter": here.shutter, "dark_num": 2} | kwargs
        return ghost_scan([here.diode], here.mask_stage, here.plate, **arguments)

    def scan(self, **kwargs):
        return self.engine(self.plan(**kwargs))

    def of(self, name):
        return [doc for kind, doc in self.documents if kind == name]


@pytest.fixture
def session():
    return Session()


def test_a_scan_measures_every_mask_in_order_and_the_dark_first(session):
    (uid,) = session.scan()
    start, stop = session.of("start")[0], session.of("stop")[0]
    assert start["uid"] == uid and stop["exit_status"] == "success"
    assert stop["num_events"] == {"dark": 2, "primary": 16}
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), start["ghost"]["indices"])
    expected = [int(1e4 * pattern.mean()) for pattern in session.beamline.plate.patterns]
    np.testing.assert_array_equal(buckets(session.documents), expected)
    np.testing.assert_array_equal(buckets(session.documents, stream="dark"), [3, 3])
    assert buckets(session.documents, "diode_time").tolist() == [0.01] * 16
    assert not session.beamline.shutter.is_open


def test_the_dark_stream_holds_only_what_the_detectors_measure(session):
    session.scan(num=1)
    keys = {doc["name"]: sorted(doc["data_keys"]) for doc in session.of("descriptor")}
    assert keys["dark"] == ["diode", "diode_monitor", "diode_time"]
    assert len(keys["primary"]) == 8


def test_the_exposure_is_in_the_descriptors(session):
    session.scan(num=1)
    for descriptor in session.of("descriptor"):
        assert descriptor["configuration"]["diode"]["data"]["diode_exposure"] == 0.01


def test_a_scan_needs_no_shutter(session):
    session.scan(num=3, shutter=None, dark_num=None)
    assert session.of("start")[0]["ghost"]["dark_stream"] is None
    assert session.beamline.shutter.presses == []


def test_the_shutter_is_opened_once_or_for_each_exposure(session):
    session.scan(num=3)
    assert session.beamline.shutter.presses == ["Open", "Not Open"]
    session.beamline.shutter.presses.clear()
    session.scan(num=3, close_between=True)
    assert session.beamline.shutter.presses == ["Open", "Not Open"] * 3


def test_random_order_depends_on_the_seed(session):
    session.scan(order="random", seed=1)
    first = buckets(session.documents, "mask_stage_index").tolist()
    assert sorted(first) == list(range(16)) and first != sorted(first)
    session.documents.clear()
    session.scan(order="random", seed=1)
    assert buckets(session.documents, "mask_stage_index").tolist() == first


def test_a_trigger_lost_twice_leaves_nan_and_the_scan_goes_on(session):
    session.beamline.diode.lose = 2
    session.scan(num=4, dark_num=0)
    values = buckets(session.documents)
    np.testing.assert_array_equal(np.isnan(values), [True, False, False, False])
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), [0, 1, 2, 3])
    assert session.beamline.diode.triggers == 5


def test_a_trigger_lost_once_leaves_no_trace(session):
    session.beamline.diode.lose = 1
    session.scan(num=4, dark_num=0)
    assert np.isfinite(buckets(session.documents)).all()
    assert session.beamline.diode.triggers == 5


def test_a_scaler_that_no_longer_counts_ends_the_scan(session):
    session.beamline.diode.lose = 1000
    with pytest.raises(TriggersLost, match="is the detector counting"):
        session.scan(dark_num=0)
    assert np.isnan(buckets(session.documents)).tolist() == [True] * 3
    assert session.of("stop")[0]["exit_status"] == "fail"
    assert not session.beamline.shutter.is_open


def test_saturated_buckets_are_recorded_and_the_limit_with_them(session):
    session.beamline.diode.counts = lambda: 10**6
    session.scan(num=2)
    assert (buckets(session.documents) >= session.of("start")[0]["ghost"]["saturation_counts"]).all()


def test_a_stalled_axis_ends_the_scan_and_what_was_measured_stays(session):
    here = session.beamline
    plan = session.plan(dark_num=0)

    def stall():
        response = None
        while True:
            try:
                message = plan.send(response)
            except StopIteration:
                return
            here.mask_stage.x.stalled = here.diode.triggers >= 5
            try:
                response = yield message
            except Exception as error:
                message = plan.throw(error)
                response = yield message

    with pytest.raises(MaskNotReached, match=r"mask_stage did not bring mask 5 into the beam.*stalled"):
        session.engine(stall())
    assert len(buckets(session.documents)) == 5
    assert "mask 5" in session.of("stop")[0]["reason"]
    assert here.mask_stage.x.stops > 0
    assert not here.shutter.is_open


def test_a_stage_that_arrives_at_another_mask_is_not_believed(session):
    session.beamline.mask_stage.x.offset_mm = 0.08
    with pytest.raises(MaskNotReached, match="from mask 1"):
        session.scan(dark_num=0)


def test_a_stuck_shutter_ends_the_scan(session):
    session.beamline.shutter.stuck = True
    with pytest.raises(ShutterFailed, match="shutter could not be set to 'Open'"):
        session.scan(dark_num=0)
    assert len(buckets(session.documents)) == 0
    assert session.of("stop")[0]["exit_status"] == "fail"


def test_a_dark_scan_measures_with_the_shutter_closed(session):
    here = session.beamline
    here.shutter.set("Open").wait(1)
    session.engine(dark_scan([here.diode], num=3, exposure=0.2, shutter=here.shutter, md={"note": "before"}))
    np.testing.assert_array_equal(buckets(session.documents, stream="dark"), [3, 3, 3])
    assert session.of("start")[0]["plan_name"] == "dark_scan"
    assert session.of("start")[0]["note"] == "before"
    assert not here.shutter.is_open


def test_a_session_gives_its_plans_the_shutter(session):
    here = session.beamline
    scan = use_devices(ghost_scan, shutter=here.shutter)
    assert scan.__name__ == "ghost_scan" and scan.__doc__ == ghost_scan.__doc__
    session.engine(scan([here.diode], here.mask_stage, here.plate, num=2, exposure=0.01, md={"sample": "CAS"}))
    assert here.shutter.presses == ["Open", "Not Open"]
    assert session.of("start")[0]["sample"] == "CAS"
    assert session.of("stop")[0]["num_events"]["dark"] == 10


def test_the_plan_can_be_simulated_without_an_engine(session, capsys):
    summarize_plan(session.plan(num=2))
    assert "Open Run" in capsys.readouterr().out


def test_each_mask_is_followed_by_its_complement(session):
    here = session.beamline
    here.plate = make_plate("pairs", np.concatenate([hadamard(4), 1 - hadamard(4)]), 10.0)
    here.mask_stage.mount(here.plate)
    beside = here.plate.patterns
    session.scan(complement=True, num=5)
    ghost = session.of("start")[0]["ghost"]
    assert ghost["pairs"] is True and len(ghost["indices"]) == 10
    for first, second in zip(ghost["indices"][::2], ghost["indices"][1::2], strict=True):
        np.testing.assert_allclose(beside[first] + beside[second], beside.max() + beside.min(), atol=1e-3)
    with pytest.raises(ValueError, match="has 16 pairs"):
        session.plan(complement=True, num=17)
    session.documents.clear()
    session.scan(complement=True, indices=[3.0, 0])  # whole floats are indices, as in a scan without complements
    assert session.of("start")[0]["ghost"]["indices"] == [3, 19, 0, 16]
    with pytest.raises(ValueError, match="there is no mask 99"):
        session.plan(complement=True, indices=[99])
