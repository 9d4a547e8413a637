import threading

import numpy as np
import pytest
from bluesky import RunEngine
from ophyd import Signal
from soft_devices import SoftBeamline, buckets

from beamline.config import BeamSection
from plans import ghost_scan
from plans.suspenders import beam_suspenders


class Session:
    def __init__(self, **limits):
        self.here = SoftBeamline(size=2)
        self.ring_current = Signal(name="ring_current", value=400.0)
        self.documents = []
        self.engine = RunEngine({})
        self.engine.subscribe(lambda name, doc: self.documents.append((name, dict(doc))))
        section = BeamSection(**({"settle_s": 0.05} | limits))
        self.suspenders = beam_suspenders(self.ring_current, [self.here.diode], self.here.shutter, section)
        for suspender in self.suspenders:
            self.engine.install_suspender(suspender)

    def scan(self):
        here = self.here
        self.engine(ghost_scan([here.diode], here.mask_stage, here.plate, exposure=0.01, dark_num=1, shutter=here.shutter))
        assert not here.shutter.is_open
        np.testing.assert_array_equal(buckets(self.documents, "mask_stage_index"), [0, 1, 2, 3])
        return buckets(self.documents)


def test_a_beam_dump_suspends_the_scan_with_the_shutter_closed_and_the_exposure_is_repeated():
    session = Session(minimum_ma=20)
    here = session.here
    open_while_waiting = []

    def counts():
        if here.diode.triggers == 3:  # dark, mask 0, mask 1
            session.ring_current.put(0.0)
            threading.Timer(
                0.2, lambda: (open_while_waiting.append(here.shutter.is_open), session.ring_current.put(400.0))
            ).start()
            return -1  # what was counted while the beam went away
        return 1000 if here.shutter.is_open else 3

    here.diode.counts = counts
    values = session.scan()
    assert open_while_waiting == [False]
    assert here.diode.triggers == 6
    assert (values == 1000).all()


def test_a_scan_waits_at_its_start_for_beam():
    session = Session(minimum_ma=20)
    session.ring_current.put(3.0)
    threading.Timer(0.2, session.ring_current.put, (21.0,)).start()  # below the limit for going on
    threading.Timer(0.4, session.ring_current.put, (400.0,)).start()
    triggers_before = []
    threading.Timer(0.3, lambda: triggers_before.append(session.here.diode.triggers)).start()
    session.scan()
    assert triggers_before == [0]


def test_an_exposure_with_too_little_on_the_monitor_is_repeated():
    session = Session(minimum_ma=0, minimum_monitor_rate=1e5)
    diode = session.here.diode
    diode.counts = lambda: setattr(diode, "monitor_counts", 10 if diode.triggers in (1, 3, 4) else 2000) or diode.triggers
    values = session.scan()  # the first is dark: there nothing is expected of the monitor
    assert values.tolist() == [2, 5, 6, 7]
    assert (buckets(session.documents, "diode_monitor") == 2000).all()


@pytest.mark.parametrize(("limits", "number"), [({}, 1), ({"minimum_ma": 0}, 0), ({"minimum_monitor_rate": 5}, 2)])
def test_only_what_is_configured_is_watched(limits, number):
    assert len(Session(**limits).suspenders) == number


def test_where_neither_ring_current_nor_shutter_is_there_the_monitor_alone_is_watched():
    here = SoftBeamline(size=2)
    (suspender,) = beam_suspenders(None, [here.diode], None, BeamSection(minimum_monitor_rate=1e5, settle_s=0.05))
    engine = RunEngine({})
    engine.install_suspender(suspender)
    here.diode.counts = lambda: setattr(here.diode, "monitor_counts", 10 if here.diode.triggers == 2 else 2000) or 1000
    documents = []
    engine(
        ghost_scan([here.diode], here.mask_stage, here.plate, exposure=0.01),
        lambda name, doc: documents.append((name, dict(doc))),
    )
    assert (buckets(documents, "diode_monitor") == 2000).all() and here.diode.triggers == 5
