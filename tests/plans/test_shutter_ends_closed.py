"""The plan as shipped, in a RunEngine as in a session, broken off at every message in every way."""

import contextlib
import itertools

import pytest
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import IllegalMessageSequence, RunEngineInterrupted
from broken_plan import Broken, acting, breaking
from soft_devices import SoftBeamline, buckets

from plans import ghost_scan
from plans.preprocessors import use_devices


class Session:
    def __init__(self, close_between=False, travel_s=0.0):
        self.here = SoftBeamline(size=2, travel_s=travel_s)
        # No move or count is tried again on a busy machine, or plans would differ in their messages.
        self.here.mask_stage.move_timeout_s = self.here.diode.count_margin_s = self.here.shutter.timeout_s = 10.0
        self.documents = []
        self.engine = RunEngine({})
        self.engine.preprocessors.append(SupplementalData(baseline=[self.here.shutter]))
        self.engine.subscribe(lambda name, doc: self.documents.append((name, dict(doc))))
        self.plan = use_devices(ghost_scan, shutter=self.here.shutter)(
            [self.here.diode],
            self.here.mask_stage,
            self.here.plate,
            num=2,
            exposure=0.01,
            dark_num=1,
            close_between=close_between,
        )
        self.seen = []

    def is_closed(self):
        return not self.here.shutter.is_open

    def stops(self):
        return [doc["exit_status"] for name, doc in self.documents if name == "stop"]


def count_messages(close_between):
    session = Session(close_between)
    session.engine.msg_hook = session.seen.append
    session.engine(session.plan)
    assert session.is_closed() and session.stops() == ["success"]
    return session.seen


MESSAGES = {between: [message.command for message in count_messages(between)] for between in (False, True)}
CASES = [(between, number) for between in (False, True) for number in range(len(MESSAGES[between]))]


@pytest.mark.parametrize(("close_between", "number"), CASES)
def test_a_plan_that_fails_at_a_message_closes_the_shutter(close_between, number):
    session = Session(close_between)
    # A message that was held back is missing when the run is closed: bluesky then reports that instead.
    with contextlib.suppress(Broken, IllegalMessageSequence):
        session.engine(breaking(session.plan, number))
    assert session.is_closed()
    assert len(session.stops()) <= 1


@pytest.mark.parametrize(("close_between", "number"), CASES)
def test_an_engine_that_fails_at_a_message_closes_the_shutter(close_between, number):
    session = Session(close_between)
    counter = itertools.count()

    def hook(message):
        if next(counter) == number:
            raise Broken  # not passed on to the plan: no cleanup of its own

    session.engine.msg_hook = hook
    with pytest.raises(Broken):
        session.engine(session.plan)
    assert session.is_closed()


@pytest.mark.parametrize("failing", ["start", "descriptor", "event", "stop"])
def test_a_document_that_cannot_be_stored_ends_the_scan_with_the_shutter_closed(failing):
    session = Session()

    def store(name, doc):
        if name == failing:
            raise Broken(f"cannot store {name}")

    session.engine.subscribe(store)
    with pytest.raises(Broken, match=failing):
        session.engine(session.plan)
    assert session.is_closed()


PAUSES = CASES[::4]  # a quarter, because each is tried with every ending


class PausingSession(Session):
    """Is paused at or soon after its n-th message, as by Ctrl-C."""

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.plan = acting(self.plan, number, lambda: self.engine.loop.call_soon_threadsafe(self._pause))

    def _pause(self):
        self.engine.loop.create_task(self.engine._request_pause_coro(False))


@pytest.mark.parametrize(("close_between", "number"), PAUSES)
@pytest.mark.parametrize("ending", ["resume", "abort", "stop", "halt"])
def test_pause_closes_the_shutter_and_every_way_to_go_on_leaves_it_closed(close_between, number, ending):
    session = PausingSession(number, close_between=close_between)
    try:
        session.engine(session.plan)
    except RunEngineInterrupted:
        assert session.is_closed(), "open while paused"
    if session.engine.state == "paused":
        getattr(session.engine, ending)()
    assert session.engine.state == "idle"
    assert session.is_closed()
    if ending == "resume" and session.stops() == ["success"]:
        indices = buckets(session.documents, "mask_stage_index").tolist()
        assert indices == [0, 1], "an event is missing or came twice"
        assert (buckets(session.documents) > 3).all(), "an exposure was made with the shutter closed"
