from bluesky import RunEngine
from soft_devices import SoftBeamline

from plans import dark_scan, ghost_scan

RECIPES = [{"method": "tv", "options": {}}, {"method": "n2g", "options": {"splits": 4}, "seed": 1}]


def start_of(plan):
    documents = []
    RunEngine({"beamline": "BL07"})(plan, lambda name, doc: documents.append(doc))
    start = dict(documents[0])
    assert start.pop("uid") and start.pop("time") and start.pop("versions")
    return start


def test_the_start_document_of_a_ghost_scan():
    here = SoftBeamline(size=2)
    plan = ghost_scan(
        [here.diode],
        here.mask_stage,
        here.plate,
        num=3,
        exposure=0.5,
        dark_num=1,
        shutter=here.shutter,
        recipes=["tv", {"method": "n2g", "options": {"splits": 4}, "seed": 1}],
        md={"sample": "CAS", "technique": "xgi"},
    )
    assert start_of(plan) == {
        "beamline": "BL07",
        "scan_id": 1,
        "plan_type": "generator",
        "plan_name": "ghost_scan",
        "plan_args": {
            "detectors": ["diode"],
            "mask_stage": "mask_stage",
            "masks": "small",
            "num": 3,
            "exposure": 0.5,
            "order": "sequency",
            "indices": None,
            "seed": 0,
            "dark_num": 1,
            "shutter": "shutter",
            "close_between": False,
            "complement": False,
            "recipes": RECIPES,
        },
        "technique": "xgi",
        "detectors": ["diode"],
        "motors": ["mask_stage"],
        "num_points": 3,
        "num_intervals": 2,
        "hints": {"dimensions": [(["time"], "primary")]},
        "mask_set": here.plate.identity,
        "ghost": {
            "buckets": ["diode"],
            "monitor": "diode_monitor",
            "time": "diode_time",
            "mask_index": "mask_stage_index",
            "offset": ["mask_stage_offset_y_um", "mask_stage_offset_x_um"],
            "shape": [2, 2],
            "pixel_size_um": 10.0,
            "exposure": 0.5,
            "may_be_negative": False,
            "dark_stream": "dark",
            "open_beam_ratio": 1.0,
            "photons_per_monitor_count": None,
            "offset_tolerance_um": 2.5,
            "saturation_counts": 495000.0,
            "order": "sequency",
            "indices": [0, 1, 2],
            "pairs": False,
        },
        "recipes": RECIPES,
        "sample": "CAS",
    }


def test_the_start_document_of_a_dark_scan():
    here = SoftBeamline(size=2)
    assert start_of(dark_scan([here.diode], num=2, exposure=0.5, shutter=here.shutter, md={"sample": "none"})) == {
        "beamline": "BL07",
        "scan_id": 1,
        "plan_type": "generator",
        "plan_name": "dark_scan",
        "plan_args": {"detectors": ["diode"], "num": 2, "exposure": 0.5, "shutter": "shutter"},
        "technique": "ghost_imaging",
        "detectors": ["diode"],
        "num_points": 2,
        "num_intervals": 1,
        "hints": {"dimensions": [(["time"], "dark")]},
        "sample": "none",
    }
