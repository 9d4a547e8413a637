"""Ghost scans with other bucket detectors and shutters, over Channel Access, through to an image."""

import numpy as np
import pytest
from bluesky import RunEngine
from soft_devices import buckets
from soft_ioc import soft_ioc

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.acquisition import from_log
from analysis.offline.comparison import compare
from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import ghost_scan
from plans.stubs import ShutterFailed

pytestmark = pytest.mark.ioc
PLATE = make_plate("small", hadamard(8), 10.0)
BLADE = {
    "pv": "BLADE:",
    "open": "Close",
    "open_value": 0,
    "close": "Close",
    "close_value": 1,
    "status": "Closed",
    "status_open": "No",
    "open_failure": "",
    "close_failure": "",
    "timeout_s": 1,
}
SECTIONS = {
    "scaler": {"diode": {"count_margin_s": 0.3}},
    "electrometer": {"electrometer": {"pv": "EM:", "monitor_channel": 2, "count_margin_s": 0.3}},
    "electrometer alone": {"electrometer": {"pv": "EM:", "count_margin_s": 0.3}},
    "camera": {"camera_sum": {"pv": "SUM:", "monitor_statistics": "Stats2:", "count_margin_s": 0.3}},
    "camera alone": {"camera_sum": {"pv": "SUM:", "count_margin_s": 0.3}},
}


@pytest.fixture(scope="module")
def ioc(tmp_path_factory):
    path = tmp_path_factory.mktemp("plate") / "plate.npz"
    PLATE.save(path)
    with soft_ioc("--steady", plate=path) as ioc:
        yield ioc


_kept = []  # libca may crash if channels are destroyed while ophyd's threads still ask for their metadata


def devices_for(ioc, **sections):
    absent = ("pixel_detector", "trigger_box", "dual_camera", "xrf_spectrometer")
    bare = {"sample_stage": {"y": "", "x": ""}, "diode": {"scaler": ""}} | {name: {"pv": ""} for name in absent}
    config = GhostbeamConfig(epics={"prefix": ioc.prefix}, mask_stage={"move_timeout_s": 0.5}, **bare | sections)
    devices = make_devices(config)
    connect(devices, 20)
    devices.mask_stage.mount(PLATE)
    _kept.append(devices)
    return devices


def scan(devices, state_dir, **kwargs):
    (detector,) = devices.buckets
    documents = []
    engine = RunEngine({})
    writer = LogWriter(log_paths(state_dir).raw)
    MaskStore(state_dir).save(PLATE)
    engine.subscribe(writer)
    engine.subscribe(lambda name, doc: documents.append((name, dict(doc))))
    try:
        (uid,) = engine(
            ghost_scan([detector], devices.mask_stage, PLATE, exposure=0.1, dark_num=3, shutter=devices.shutter, **kwargs)
        )
    finally:
        writer.close()
    return uid, documents


def image(state_dir, uid):
    comparison = compare(from_log(state_dir, uid), [Recipe("least_squares")])
    return comparison.done[0].result.image


@pytest.fixture(scope="module")
def expected(ioc, tmp_path_factory):
    """The image by the scaler."""
    folder = tmp_path_factory.mktemp("scaler")
    uid, _ = scan(devices_for(ioc, **SECTIONS["scaler"]), folder)
    return image(folder, uid)


@pytest.mark.parametrize("kind", [kind for kind in SECTIONS if kind != "scaler"])
def test_each_bucket_detector_gives_the_image_that_the_scaler_gives(ioc, expected, tmp_path, kind):
    devices = devices_for(ioc, **SECTIONS[kind])
    (detector,) = devices.buckets
    uid, documents = scan(devices, tmp_path)
    entry = documents[0][1]["ghost"]
    assert entry["buckets"] == [detector.name]
    assert entry["monitor"] == (None if "alone" in kind else f"{detector.name}_monitor")
    stop = documents[-1][1]
    assert (stop["exit_status"], stop["num_events"]) == ("success", {"dark": 3, "primary": len(PLATE)})
    assert np.isfinite(buckets(documents, detector.name)).all()
    keys = {key: value for name, doc in documents if name == "descriptor" for key, value in doc["data_keys"].items()}
    assert keys[detector.name]["units"] == ("A" if "electrometer" in kind else "counts")
    if "electrometer" in kind:
        assert keys[detector.name]["precision"] == 13, "a table would show 0.0000"
    assert {key for key, value in keys.items() if "dtype_numpy" not in value} == set()
    assert np.corrcoef(image(tmp_path, uid).ravel(), expected.ravel())[0, 1] > 0.95


def test_a_lost_trigger_is_repeated_and_a_second_loss_is_nan(ioc, tmp_path):
    devices = devices_for(ioc, **SECTIONS["electrometer"])
    ioc.put("FAULT:LostTrigger", 2)
    _, documents = scan(devices, tmp_path, num=4)
    assert np.isnan(buckets(documents, "electrometer", "dark")).tolist() == [True, False, False]
    assert np.isfinite(buckets(documents, "electrometer")).all()


def test_an_electrometer_that_runs_continuously_does_so_again_after_a_scan(ioc, tmp_path):
    ioc.put("EM:AcquireMode", "Continuous")
    devices = devices_for(ioc, **SECTIONS["electrometer"])
    scan(devices, tmp_path, num=4)
    assert devices.electrometer.acquire_mode.get() == 0


def test_an_offset_below_zero_is_subtracted_with_the_dark_current(ioc, expected, tmp_path):
    ioc.put("EM:CurrentOffset1", 1e-12)
    try:
        uid, documents = scan(devices_for(ioc, **SECTIONS["electrometer"]), tmp_path)
    finally:
        ioc.put("EM:CurrentOffset1", 0.0)
    assert (buckets(documents, "electrometer", "dark") < 0).all()
    assert np.corrcoef(image(tmp_path, uid).ravel(), expected.ravel())[0, 1] > 0.95


def test_a_shutter_with_one_inverted_pv_opens_for_exposures_and_ends_closed(ioc, tmp_path):
    two_buttons = devices_for(ioc)
    two_buttons.shutter.set("Open").wait(5)
    try:
        devices = devices_for(ioc, **SECTIONS["scaler"], shutter=BLADE)
        _, documents = scan(devices, tmp_path, num=6, close_between=True)
        assert (buckets(documents) > 1000).all()
        assert (buckets(documents, stream="dark") < 1000).all()
        assert not devices.shutter.is_open
        devices.shutter.set("Open").wait(5)
        assert devices.shutter.is_open
    finally:
        two_buttons.shutter.set("Closed").wait(5)


def test_a_shutter_whose_status_says_nothing_new_ends_the_scan(ioc, tmp_path):
    stuck = BLADE | {"status": "Close", "status_open": "Yes", "open_value": 1, "close_value": 0, "pv": "BLADE:", "timeout_s": 0.3}
    devices = devices_for(ioc, **SECTIONS["scaler"], shutter=stuck | {"status": "Closed", "status_open": 7})
    with pytest.raises(ShutterFailed, match="reports no failure"):
        scan(devices, tmp_path, num=2)
