"""Which run the archiver writes next: the log is real, Tiled a list of what would have been written."""

import uuid

import pytest

from analysis.archive import log_archiver
from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.comparison import Comparison
from analysis.archive.log_archiver import LogArchiver, ServerGone
from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogReader, LogWriter, log_paths


class Scans:
    """Runs in a log, and what was written of them."""

    def __init__(self, state_dir, monkeypatch):
        written = self.written = []
        self.fails_with = None
        self.differences = []

        class Archive:
            replaced = 0

            def __init__(self, container, uid, layout, folders):
                self.uid = uid
                written.append((self.uid, "again"))

            def write(self, name, doc):
                if scans.fails_with is not None:
                    raise scans.fails_with
                written.append((self.uid, doc.get("seq_num", name)))

            def flush(self):
                pass

            def compare(self, documents):
                return Comparison(differences=scans.differences)

            def mark_compared(self, comparison):
                written.append((self.uid, "verified"))

        scans = self
        monkeypatch.setattr(log_archiver, "RunArchive", Archive)
        monkeypatch.setattr(log_archiver, "_OVERDUE_S", 60.0)  # however slow the machine
        self.writer = LogWriter(log_paths(state_dir).raw)
        self.archiver = LogArchiver(LogReader(log_paths(state_dir).raw), ArchiveLedger(state_dir), lambda: None)

    def begin(self):
        uid, descriptor = str(uuid.uuid4()), str(uuid.uuid4())
        self.writer("start", {"uid": uid, "time": 1.0})
        self.writer("descriptor", {"uid": descriptor, "run_start": uid, "name": "primary", "time": 1.0, "data_keys": {}})
        return uid, descriptor

    def event(self, descriptor, number):
        doc = {"uid": str(uuid.uuid4()), "descriptor": descriptor, "seq_num": number, "time": 2.0, "data": {}, "timestamps": {}}
        self.writer("event", doc)

    def stop(self, uid):
        self.writer("stop", {"uid": str(uuid.uuid4()), "run_start": uid, "time": 9.0, "exit_status": "success"})

    def settle_down(self):
        while self.archiver.step(None) or self.archiver.lag:  # a run rests for as long as its last turn took
            pass


@pytest.fixture
def scans(tmp_path, monkeypatch):
    made = Scans(tmp_path, monkeypatch)
    yield made
    made.writer.close()


def test_what_comes_seldom_does_not_wait_for_all_that_comes_often(scans):
    (seldom, its_descriptor), *often = [scans.begin() for _ in range(5)]
    scans.settle_down()
    for number in (1, 2):
        for _, descriptor in often:
            scans.event(descriptor, number)
        scans.settle_down()
    scans.written.clear()
    for _, descriptor in often:
        scans.event(descriptor, 3)
    scans.event(its_descriptor, 1)
    assert scans.archiver.step(None)
    assert scans.written == [(seldom, 1)]
    assert scans.archiver.lag == 4
    scans.settle_down()
    assert sorted(scans.written[1:]) == sorted((uid, 3) for uid, _ in often)
    assert scans.archiver.lag == 0


@pytest.mark.parametrize(("waited_too_long", "turn"), [(False, 0), (True, 1)])
def test_what_comes_seldom_waits_for_one_other_at_most_however_long_all_have_waited(scans, monkeypatch, waited_too_long, turn):
    seldom, *often = [scans.begin() for _ in range(3)]
    for number in range(1, 6):
        for _, descriptor in often:
            scans.event(descriptor, number)
        scans.settle_down()
    scans.event(seldom[1], 1)
    scans.settle_down()  # so that it was written last
    if waited_too_long:
        monkeypatch.setattr(log_archiver, "_OVERDUE_S", 0.0)
    for _, descriptor in (seldom, *often):
        scans.event(descriptor, 9)
    scans.written.clear()
    scans.settle_down()
    assert [uid for uid, _ in scans.written].index(seldom[0]) == turn


def test_what_comes_often_is_written_though_something_of_fewer_documents_is_always_there(scans, monkeypatch):
    few, many = scans.begin(), scans.begin()
    scans.settle_down()
    for number in range(1, 51):
        scans.event(many[1], number)
    scans.settle_down()
    scans.event(many[1], 51)
    for number in range(1, 5):
        scans.event(few[1], number)
        scans.archiver.step(None)
    assert (many[0], 51) not in scans.written
    monkeypatch.setattr(log_archiver, "_OVERDUE_S", 0.0)
    for number in range(5, 7):
        scans.event(few[1], number)
        scans.archiver.step(None)
    assert (many[0], 51) in scans.written and (few[0], 6) in scans.written


def test_no_more_is_read_while_much_waits(scans, monkeypatch):
    monkeypatch.setattr(log_archiver, "_DOCUMENTS_AT_ONCE", 10)
    runs = [scans.begin() for _ in range(5)]
    scans.settle_down()
    for number in range(1, 41):
        for _, descriptor in runs:
            scans.event(descriptor, number)
    waiting = []
    while scans.archiver.step(None):
        waiting.append(sum(map(len, scans.archiver._waiting.values())))
    assert max(waiting) < 20
    for uid, _ in runs:
        assert [what for one, what in scans.written if one == uid] == ["again", "start", "descriptor", *range(1, 41)]


def test_after_an_outage_every_run_is_written_again_and_whole(scans):
    runs = [scans.begin() for _ in range(2)]
    scans.settle_down()
    for _, descriptor in runs:
        scans.event(descriptor, 1)
    scans.fails_with = CatalogError("gone")
    with pytest.raises(ServerGone):
        scans.archiver.step(None)
    scans.archiver.forget_connection()
    scans.fails_with = None
    scans.written.clear()
    scans.event(runs[0][1], 2)
    for uid, _ in runs:
        scans.stop(uid)
    scans.settle_down()
    while scans.archiver.verify(busy=False):
        pass
    assert scans.archiver.unsettled == 0
    for (uid, _), events in zip(runs, ([1, 2], [1]), strict=True):
        assert [what for one, what in scans.written if one == uid] == [
            "again",
            "start",
            "descriptor",
            *events,
            "stop",
            "verified",
        ]


def test_while_much_is_to_be_written_runs_are_verified_later_but_not_too_late(scans, monkeypatch):
    first, second = scans.begin()[0], scans.begin()[0]
    for uid in (first, second):
        scans.stop(uid)
        scans.settle_down()
    assert not scans.archiver.verify(busy=True)
    assert scans.archiver.unsettled == 2
    monkeypatch.setattr(log_archiver, "_VERIFIED_WITHIN_S", 0.0)
    assert scans.archiver.verify(busy=True)
    assert scans.archiver.verify(busy=False)
    assert scans.written[-2:] == [(first, "verified"), (second, "verified")]
    assert scans.archiver.unsettled == 0 and not scans.archiver.verify(busy=False)


def test_what_is_stored_differently_is_written_again(scans, monkeypatch):
    uid, descriptor = scans.begin()
    scans.event(descriptor, 1)
    scans.stop(uid)
    scans.settle_down()
    scans.differences = ["the start document differs in sample"]
    assert scans.archiver.verify(busy=False)
    assert scans.archiver.unsettled == 1 and not scans.archiver.verify(busy=False)
    scans.differences = []
    scans.written.clear()
    monkeypatch.setattr(scans.archiver, "_not_before", {})  # it would wait a moment
    scans.settle_down()
    assert scans.archiver.verify(busy=False)
    assert [what for _, what in scans.written] == ["again", "start", "descriptor", 1, "stop", "verified"]
