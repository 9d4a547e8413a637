"""`ghost_scan` with the fluorescence spectrometer, on simulated records over Channel Access."""

import numpy as np
import pytest
from bluesky import RunEngine
from soft_ioc import soft_ioc

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.techniques import technique_of
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.drive import Drive
from analysis.worker.pace import Points
from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import ghost_scan
from plans.refusal import PlanRequestError

pytestmark = pytest.mark.ioc
PLATE = make_plate("small", hadamard(8), 80.0)


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    path = tmp_path_factory.mktemp("plate") / "plate.npz"
    PLATE.save(path)
    with soft_ioc("--sample", "capillary", "--photons", "1e6", plate=path) as ioc:
        spectrometer = {"pv": "XRF:", "elements": ["Ca", "Fe", "Cu"], "count_margin_s": 0.5}
        devices = make_devices(GhostbeamConfig(epics={"prefix": ioc.prefix}, xrf_spectrometer=spectrometer))
        connect(devices, 20)
        devices.mask_stage.mount(PLATE)
        yield ioc, devices


def scanned(devices, detectors, **options):
    documents = []
    engine = RunEngine({})
    engine.subscribe(lambda name, doc: documents.append((name, dict(doc))))
    engine(ghost_scan(detectors, devices.mask_stage, PLATE, exposure=0.1, shutter=devices.shutter, **options))
    return documents


def events(documents, stream="primary"):
    uids = {doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream}
    return [doc["data"] for name, doc in documents if name == "event" and doc["descriptor"] in uids]


def reconstructed(documents, state_dir):
    MaskStore(state_dir).save(PLATE)
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(state_dir))
    drive = Drive(run, Recipe("tv"), lambda: iter(documents[1:]), Points())
    return list(drive.estimates())[-1].estimate, drive.ledger


def test_an_image_of_each_element_with_the_diode_and_without(beamline, tmp_path):
    _, devices = beamline
    for detectors in ([devices.xrf_spectrometer, devices.diode], [devices.xrf_spectrometer]):
        documents = scanned(devices, detectors, dark_num=2)
        ghost = documents[0][1]["ghost"]
        assert ghost["monitor"] == ("diode_monitor" if len(detectors) == 2 else None)
        assert ghost["spectra"]["elements"] == ["Ca", "Fe", "Cu"] and ghost["spectra"]["counts"] == "xrf_spectrometer_spectra"
        assert all(not data["xrf_spectrometer_spectra"].any() for data in events(documents, "dark"))
        estimate, ledger = reconstructed(documents, tmp_path)
        assert ledger.used == 64 and estimate.arrays["image"].shape == (3, 8, 8)
        columns = estimate.arrays["image"].sum(axis=1)
        assert columns[1].argmax() == 4 and columns[2].argmax() == 5  # iron in the middle, copper next to the detector


def test_spectra_are_stored_with_their_declared_type(beamline):
    _, devices = beamline
    documents = scanned(devices, [devices.xrf_spectrometer], num=2, dark_num=0)
    (data_keys,) = [doc["data_keys"] for name, doc in documents if name == "descriptor"]
    for data in events(documents):
        for key, value in data.items():
            if key.startswith("xrf_spectrometer"):
                assert np.shape(value) == tuple(data_keys[key]["shape"])
                assert np.asarray(value).dtype == np.dtype(data_keys[key]["dtype_numpy"])
        assert data["xrf_spectrometer"] == data["xrf_spectrometer_spectra"].sum() > 0
        assert (data["xrf_spectrometer_live_time"] <= data["xrf_spectrometer_real_time"]).all()
        assert (data["xrf_spectrometer_output_rate"] > 0).all()


def test_a_lost_exposure_is_repeated_then_left_as_a_gap(beamline):
    ioc, devices = beamline
    ioc.put("FAULT:LostTrigger", 3)
    documents = scanned(devices, [devices.xrf_spectrometer], num=3, dark_num=0)
    totals = [data["xrf_spectrometer"] for data in events(documents)]
    assert np.isnan(totals[0]) and totals[1] > 0 and totals[2] > 0


def test_faults_of_the_detector_are_said(beamline, tmp_path):
    ioc, devices = beamline
    ioc.put("FAULT:DeadElements", 2)
    ioc.put("FAULT:NoLiveTime", 1)
    try:
        _, ledger = reconstructed(scanned(devices, [devices.xrf_spectrometer], dark_num=0), tmp_path)
    finally:
        ioc.put("FAULT:DeadElements", 0)
    assert ledger.used == 63 and ledger.rejected == {"no_spectrum": 1}
    assert any("detector element 2 counted nothing" in remark for remark in ledger.remarks)
    assert any("live time is missing or zero" in remark for remark in ledger.remarks)


@pytest.mark.parametrize(("elements", "said"), [(("Xx",), "not a chemical element"), (("Zr_K",), "excites no line of Zr_K")])
def test_elements_that_cannot_be_seen_are_refused_before_anything_moves(beamline, elements, said):
    _, devices = beamline
    usual, devices.xrf_spectrometer.elements = devices.xrf_spectrometer.elements, elements
    try:
        with pytest.raises(PlanRequestError, match=said):
            scanned(devices, [devices.xrf_spectrometer], num=2)
    finally:
        devices.xrf_spectrometer.elements = usual


def test_another_number_of_bins_is_refused(beamline):
    ioc, devices = beamline
    ioc.put("XRF:mca2.NUSE", 2048)
    try:
        with pytest.raises(PlanRequestError, match="detector element 2 sorts into 2048 bins"):
            scanned(devices, [devices.xrf_spectrometer], num=2)
    finally:
        ioc.put("XRF:mca2.NUSE", 4096)
