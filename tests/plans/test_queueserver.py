"""What queueserver makes of the start-up folder, where nothing runs and no PV answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bluesky_queueserver.manager import profile_ops

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listing")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GHOSTBEAM_MASK_PLATE__NUM": "16"}
    tool = Path(sys.executable).with_name("qserver-list-plans-devices")
    command = [tool if tool.exists() else shutil.which(tool.name), "--startup-dir", str(ROOT / "profile_collection")]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    path = folder / "existing_plans_and_devices.yaml"
    assert path.exists(), process.stdout + process.stderr
    assert [entry.name for entry in folder.iterdir()] == [path.name], "listing must not start or store anything"
    return yaml.safe_load(path.read_text())


def test_plans_and_devices_are_listed(listed):
    assert {"ghost_scan", "fly_scan", "ptycho_scan", "dark_scan", "count", "scan"} <= set(listed["existing_plans"])
    devices = {"mask_stage", "sample_stage", "shutter", "diode", "ring_current", "pixel_detector", "trigger_box", "dual_camera"}
    assert devices | {"xray_camera", "rotation_stage", "angle_box", "pinhole"} <= set(listed["existing_devices"])


PLANS = ["ghost_scan", "fly_scan", "dark_scan", "frame_pair_series", "static_series", "dark_flat_series"]
PLANS += ["radiograph_series", "tomo_scan", "mask_calibration", "raster_scan"]


@pytest.mark.parametrize("plan", PLANS)
def test_every_parameter_is_typed_and_documented(listed, plan):
    entry = listed["existing_plans"][plan]
    assert entry["description"]
    for parameter in entry["parameters"]:
        assert parameter.get("annotation", {}).get("type"), parameter["name"]
        assert parameter.get("description"), parameter["name"]


def check(listed, **kwargs):
    plan = {"name": "ghost_scan", "args": [["diode"], "mask_stage", "gold"], "kwargs": kwargs, "item_type": "plan"}
    return profile_ops.validate_plan(plan, allowed_plans=listed["existing_plans"], allowed_devices=listed["existing_devices"])


def test_a_client_that_speaks_json_can_ask_for_a_scan(listed):
    recipes = ["tv", {"method": "n2g", "options": {}}]
    assert check(listed, num=8, exposure=0.1, order="random", shutter="shutter", recipes=recipes, md={"sample": "CAS"})[0]
    assert check(listed, indices=[1, 2])[0]


@pytest.mark.parametrize("bad", [{"num": "many"}, {"order": "snake"}, {"exposure": "long"}, {"speed": 2}])
def test_wrong_types_are_refused_by_queueserver_already(listed, bad):
    assert not check(listed, **bad)[0]


def check_pairs(listed, **kwargs):
    plan = {"name": "frame_pair_series", "args": ["dual_camera"], "kwargs": kwargs, "item_type": "plan"}
    return profile_ops.validate_plan(plan, allowed_plans=listed["existing_plans"], allowed_devices=listed["existing_devices"])


def test_a_client_that_speaks_json_can_ask_for_a_series_of_frame_pairs(listed):
    request = {"num": 48, "rate_hz": 24.0, "darks": 5, "flats": 5, "out_um": [0, 5000], "static": True}
    assert check_pairs(listed, **request, sample_stage="sample_stage", shutter="shutter", recipes=["pearson"])[0]
    assert not check_pairs(listed, num=48, rate_hz="fast")[0]


@pytest.mark.parametrize(
    ("plan", "devices", "request_"),
    [
        ("tomo_scan", ["xray_camera", "rotation_stage"], {"num": 180, "rate_hz": 10.0, "order": "interlaced", "rounds": 4}),
        ("static_series", ["xray_camera"], {"num": 40}),
        ("mask_calibration", ["xray_camera", "mask_stage", "gold"], {"exposures": 2, "out_um": [0, -22400]}),
        ("raster_scan", [["xrf_spectrometer"], "sample_stage"], {"y_um": [0, 0, 1], "x_um": [0, 90, 10], "pinhole": "pinhole"}),
    ],
)
def test_a_client_that_speaks_json_can_ask_for_scans_with_the_other_devices(listed, plan, devices, request_):
    item = {"name": plan, "args": devices, "kwargs": request_, "item_type": "plan"}
    valid, why = profile_ops.validate_plan(
        item, allowed_plans=listed["existing_plans"], allowed_devices=listed["existing_devices"]
    )
    assert valid, why


def check_fly(listed, **kwargs):
    request = {"y_um": [-2, 2, 41], "x_um": [-2, 2, 200], "rate_hz": 2000} | kwargs
    plan = {"name": "fly_scan", "args": ["pixel_detector", "sample_stage"], "kwargs": request, "item_type": "plan"}
    return profile_ops.validate_plan(plan, allowed_plans=listed["existing_plans"], allowed_devices=listed["existing_devices"])


def test_a_client_that_speaks_json_can_ask_for_a_fly_scan(listed):
    assert check_fly(listed)[0], check_fly(listed)
    assert check_fly(listed, exposure_s=0.0004, snake=False, trigger_box="trigger_box", shutter="shutter", md={"sample": "star"})[
        0
    ]


@pytest.mark.parametrize("bad", [{"x_um": ["here", 2, 3]}, {"rate_hz": "fast"}, {"y_um": "all"}, {"velocity": 2}])
def test_wrong_types_for_a_fly_scan_are_refused_by_queueserver_already(listed, bad):
    assert not check_fly(listed, **bad)[0]
