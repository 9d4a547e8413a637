"""Bad requests are refused before anything moves and before a run is opened."""

import numpy as np
import pytest
from bluesky import RunEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from soft_devices import SoftBeamline

from analysis.techniques.ghost import OPTIONS, check_recipe
from beamline.mask_designs import hadamard, make_plate, random_binary
from plans import dark_scan, ghost_scan
from plans.preprocessors import use_methods
from plans.refusal import PlanRequestError
from plans.request import choose_indices

beamline = SoftBeamline()
PLATE = beamline.plate

BAD = [
    ({"detectors": ["diode"]}, "'diode' is a name, not a device"),
    ({"detectors": "diode"}, "list of devices"),
    ({"detectors": beamline.diode}, "list of devices"),
    ({"detectors": []}, "bucket"),
    ({"detectors": [beamline.diode.monitor]}, "bucket"),
    ({"detectors": [beamline.diode, 7]}, "not such a device"),
    ({"detectors": [beamline.diode, beamline.diode]}, "diode is listed more than once"),
    ({"detectors": [beamline.diode, beamline.mask_stage]}, "mask_stage belongs to the mask_stage"),
    ({"detectors": [beamline.diode, beamline.mask_stage.y]}, "mask_stage_y belongs to the mask_stage"),
    ({"detectors": [beamline.diode, beamline.shutter.status]}, "belongs to the shutter"),
    ({"mask_stage": "mask_stage"}, "mask_stage: 'mask_stage' is a name"),
    ({"mask_stage": beamline.diode}, "MaskPositioner"),
    ({"masks": "gold"}, "'small' .* is mounted"),
    ({"masks": None}, "mask plate or the name"),
    ({"masks": make_plate("eight", hadamard(8), 10.0)}, r"masks of \(8, 8\) pixels"),
    ({"masks": make_plate("other", random_binary(16, 4, 1), 10.0)}, "other content"),
    ({"num": 0}, "num must be 1"),
    ({"num": -3}, "num must be 1"),
    ({"num": 17}, "has 16 masks"),
    ({"num": 1.0}, "whole number"),
    ({"num": float("nan")}, "whole number"),
    ({"num": True}, "num must be"),
    ({"num": "many"}, "whole number"),
    ({"exposure": 0}, "exposure must be"),
    ({"exposure": -0.1}, "exposure must be"),
    ({"exposure": 1e6}, "exposure must be"),
    ({"exposure": float("nan")}, "number of seconds"),
    ({"exposure": float("inf")}, "number of seconds"),
    ({"exposure": "0.1"}, "number of seconds"),
    ({"exposure": None}, "number of seconds"),
    ({"order": "snake"}, "order must be one of"),
    ({"order": "given"}, "needs indices"),
    ({"indices": [0, 16]}, "no mask 16"),
    ({"indices": [-1]}, "no mask -1"),
    ({"indices": [0.5]}, "whole number"),
    ({"indices": []}, "number of indices"),
    ({"indices": "0"}, "list of whole numbers"),
    ({"indices": 3}, "list of whole numbers"),
    ({"indices": [1, 2], "num": 3}, "leave num out"),
    ({"seed": -1}, "seed"),
    ({"dark_num": -1}, "dark_num"),
    ({"dark_num": 3, "shutter": None}, "needs a shutter"),
    ({"close_between": True, "shutter": None}, "needs a shutter"),
    ({"shutter": "shutter"}, "shutter: 'shutter' is a name"),
    ({"shutter": beamline.mask_stage}, "shutter: .*BeamShutter"),
    ({"close_between": "no"}, "True or False"),
    ({"recipes": "tv"}, "list such as"),
    ({"recipes": 5}, "list such as"),
    ({"recipes": [7]}, "names no method"),
    ({"recipes": [{"options": {}}]}, "names no method"),
    ({"recipes": [{"method": "tv", "option": {}}]}, "only"),
    ({"recipes": [{"method": "tv", "options": [1]}]}, "options must be of type dict"),
    ({"recipes": [{"method": "tv", "seed": "1"}]}, "seed must be of type int"),
    ({"recipes": [{"method": "tv", "seed": True}]}, "seed must be of type int"),
    ({"recipes": [{"method": "tv", "device": 0}]}, "device must be of type str"),
    ({"md": ["CAS"]}, "md must be a dict"),
    ({"md": {1: 2}}, "keys must be text, not 1"),
    ({"md": {"sample.name": "CAS"}}, r"md has the key 'sample\.name': .* no dot or slash"),
    ({"md": {"x": {"a/b": 1}}}, r'md\["x"\] has the key \'a/b\''),
    ({"md": {"": 1}}, "md has the key '': metadata keys are not empty"),
    *(({"md": {key: 1}}, f"md: '{key}' is taken") for key in ("ghost", "uid", "time", "scan_id", "num_points", "command", "run")),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_a_bad_request_is_refused_where_the_plan_is_called(change, says):
    arguments = {"detectors": [beamline.diode], "mask_stage": beamline.mask_stage, "masks": PLATE, "shutter": beamline.shutter}
    with pytest.raises(ValueError, match=says):
        ghost_scan(**(arguments | change))


def test_masks_beyond_the_soft_limits_are_refused_before_the_first_message():
    here = SoftBeamline()
    here.mask_stage.x.limits = (-0.1, 0.1)
    with pytest.raises(ValueError, match=r"mask 0 is at .* beyond the soft limits of mask_stage_x"):
        ghost_scan([here.diode], here.mask_stage, here.plate)
    next(ghost_scan([here.diode], here.mask_stage, here.plate, indices=[1, 2]))


def test_a_device_that_does_not_answer_is_refused_before_the_first_message():
    here = SoftBeamline()
    here.diode.bucket._metadata["connected"] = False
    with pytest.raises(PlanRequestError, match="diode does not answer"):
        ghost_scan([here.diode], here.mask_stage, here.plate)


def test_a_refused_scan_opens_no_run():
    documents = []
    engine = RunEngine({})
    engine.subscribe(lambda name, doc: documents.append(name))
    with pytest.raises(PlanRequestError):
        engine(ghost_scan([beamline.diode], beamline.mask_stage, PLATE, exposure=0))
    assert documents == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num": 0}, "num"),
        ({"exposure": -1}, "exposure"),
        ({"shutter": None}, "shutter"),
        ({"detectors": []}, "bucket"),
        ({"detectors": [beamline.diode] * 2}, "more than once"),
        ({"detectors": [beamline.diode, beamline.shutter]}, "belongs to the shutter"),
        ({"shutter": beamline.mask_stage}, "BeamShutter"),
        ({"md": {"uid": "x"}}, "taken"),
    ],
)
def test_a_bad_dark_scan_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        dark_scan(**({"detectors": [beamline.diode], "shutter": beamline.shutter} | change))


@pytest.mark.parametrize("masks", [PLATE, "small", PLATE.identity, PLATE.identity[:8]])
def test_the_plate_can_be_named_or_passed(masks):
    next(ghost_scan([beamline.diode], beamline.mask_stage, masks))


@given(num=st.integers(1, 16), seed=st.integers(0, 2**63), order=st.sampled_from(["sequency", "random"]))
@settings(deadline=None)
def test_an_order_visits_masks_once_and_fewer_are_the_first_of_more(num, seed, order):
    chosen, name = choose_indices(PLATE, num, None, order, seed)
    assert name == order
    assert len(set(chosen)) == num and set(chosen) <= set(range(16))
    assert chosen == choose_indices(PLATE, None, None, order, seed)[0][:num]


@given(indices=st.lists(st.integers(0, 15), min_size=1, max_size=40))
def test_given_indices_are_kept_as_they_are(indices):
    assert choose_indices(PLATE, None, indices, "sequency", 0) == (indices, "given")
    assert choose_indices(PLATE, None, np.array(indices), "given", 0)[0] == indices


def test_a_device_that_the_beamline_does_not_have_is_named_as_missing():
    with pytest.raises(PlanRequestError, match="detectors: None is not a device: the configuration of this beamline has none"):
        ghost_scan([None], beamline.mask_stage, PLATE)


KNOWN = {"tv": {"weight": None, "max_iterations": 1000, "nonnegative": True}, "sums": {}}


@pytest.mark.parametrize(
    ("recipes", "says"),
    [
        (["foo"], r"unknown method 'foo'; the methods are tv, sums$"),
        (["tvv"], r"unknown method 'tvv'.*did you mean tv\?"),
        ([{"method": "tv", "options": {"wight": 1}}], r"tv has no option wight; its options are weight.*did you mean weight\?"),
        ([{"method": "sums", "options": {"weight": 1}}], "sums has no option weight; it has none"),
        ("tv", "list such as"),
    ],
)
def test_a_recipe_that_no_reconstruction_could_follow_is_refused_where_the_plan_is_called(recipes, says):
    scan = use_methods(ghost_scan, KNOWN)
    with pytest.raises(PlanRequestError, match=says):
        scan([beamline.diode], beamline.mask_stage, PLATE, recipes=recipes)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"method": "tv", "options": {"weight": -1}}, "tv: weight must be a number from 0, or None to have it chosen, not -1"),
        ({"method": "tv", "options": {"max_iterations": "many"}}, "max_iterations must be a whole number from 1 to 1000000"),
        ({"method": "tv", "options": {"nonnegative": 1}}, "nonnegative must be true or false, not 1"),
        ({"method": "n2g", "options": {"recipe": "publish"}}, "recipe must be one of fast, published"),
        ({"method": "ch_mwcnn", "options": {"weights": "nowhere.npz"}}, "no weights in nowhere.npz"),
        ({"method": "tv", "seed": -1}, "seed must be a whole number from 0"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused_in_the_words_of_the_method(recipe, says):
    scan = use_methods(ghost_scan, OPTIONS, check_recipe)
    with pytest.raises(PlanRequestError, match=says):
        scan([beamline.diode], beamline.mask_stage, PLATE, recipes=["differential", recipe])


def test_every_method_of_ghost_imaging_may_be_asked_for_with_its_own_defaults():
    scan = use_methods(ghost_scan, OPTIONS, check_recipe)
    recipes = [{"method": method, "options": dict(options)} for method, options in OPTIONS.items()]
    scan([beamline.diode], beamline.mask_stage, PLATE, recipes=[*OPTIONS, *recipes])
