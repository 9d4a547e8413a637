"""Frames and positions joined by the trigger's number: nothing is shifted, and what stays alone is in the ledger."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fly_runs import SHAPE, DetectorFile, Documents, FlyRun, fly_run, frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.documents.batch import Batch
from analysis.documents.refusal import RunRefused
from analysis.techniques.ptychography.intake import Triggers


def taken(documents: Documents, folder: Path, *, live: bool = False, **options: Any) -> tuple[Batch | None, Triggers]:
    triggers = Triggers(documents[0][1], [folder], **options)
    batches = []

    def take() -> None:
        while (batch := triggers.take()) is not None:
            batches.append(batch)

    for name, doc in documents:
        triggers(name, doc)
        if live:
            take()
    triggers.end()
    take()
    return Batch.join(batches), triggers


def own_frames(numbers: list[int], folder: Path, **entry: Any) -> tuple[FlyRun, Documents]:
    """A run of four lines of fifty triggers whose file has these numbers, row after row."""
    run = FlyRun(folder / "own.h5")
    with DetectorFile(run.path) as file:
        file.append(numbers)
    documents = [*run.start(), *run.frames(0, len(numbers)), *run.positions(list(range(1, 201))), *run.stop(len(numbers))]
    documents[0][1]["ptychography"] |= entry
    return run, documents


@pytest.mark.parametrize("live", [False, True])
def test_lost_frames_shift_nothing(tmp_path: Path, live: bool) -> None:
    _, documents = fly_run(tmp_path / "one.h5", lost=(3, 60, 61, 200))
    batch, triggers = taken(documents, tmp_path, live=live)
    assert batch is not None
    assert batch.number.tolist() == [number for number in range(1, 201) if number not in (3, 60, 61, 200)]
    for number, pixels in zip(batch.number, batch.columns["frames"], strict=True):
        assert (pixels == frame(int(number))).all()
    line, point = np.divmod(batch.number - 1, 50)
    column = np.where(line % 2 == 0, point, 49 - point)  # a snake
    assert (batch.columns["cell"] == line * 50 + column).all()
    assert batch.columns["dose"][-1] == sum(int(frame(int(number)).sum()) for number in batch.number)
    ledger = triggers.ledger()
    assert (ledger.expected, ledger.received, ledger.used, ledger.missing) == (200, 200, 196, 0)
    assert dict(ledger.rejected) == {"no_frame": 4} and not triggers.revised


def test_numbers_out_of_order_twice_and_missing(tmp_path: Path) -> None:
    run = FlyRun(tmp_path / "odd.h5", lines=1, points=7)
    with DetectorFile(run.path) as file:
        file.append([1, 2, 4, 4, 3, 7])
    documents = [*run.start(), *run.frames(0, 6), *run.positions([1, 2, 3, 4, 5, 6, 7]), *run.stop(6)]
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and batch.number.tolist() == [1, 2, 3, 4, 7]
    assert [int(pixels.sum()) for pixels in batch.columns["frames"]] == [int(frame(n).sum()) for n in (1, 2, 3, 4, 7)]
    ledger = triggers.ledger()
    assert ledger.duplicates == 1 and dict(ledger.rejected) == {"no_frame": 2}
    assert [number for number, reason in ledger.details] == [5, 6]


def test_a_data_set_may_be_longer_than_frames_were_taken(tmp_path: Path) -> None:
    _, documents = own_frames([*range(1, 201), 0, 0, 0, 0, 0, 0, 0, 0], tmp_path)
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and len(batch) == 200
    ledger = triggers.ledger()
    assert (ledger.received, ledger.used, dict(ledger.rejected)) == (208, 200, {"empty_row": 8})


def test_the_largest_number_in_every_frame_marks_a_bad_pixel_and_in_one_frame_an_overflow(tmp_path: Path) -> None:
    run, documents = own_frames(list(range(1, 201)), tmp_path)
    with h5py.File(run.path, "r+", libver="latest") as file:
        frames = file["/entry/data/data"][:]
        frames[:, 2, 3] = 65535
        frames[100, 5, 5] = 65535
        file["/entry/data/data"][:] = frames
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and len(batch) == 200
    pixels = batch.columns["frames"]
    assert (pixels[:, 2, 3] == 0).all() and pixels[100, 5, 5] == 0 and pixels.max() < 65535
    marked, overflown = triggers.ledger().remarks
    assert "1 pixels hold 65535" in marked and "taken as bad, not as saturated" in marked
    assert "1 frames hold 65535 in other pixels, which have overflowed" in overflown


@pytest.mark.parametrize("level", [65535, 20])
def test_bad_pixels_make_no_frame_a_saturated_one(tmp_path: Path, level: int) -> None:
    run, documents = own_frames(list(range(1, 201)), tmp_path, saturation_counts=level)
    with h5py.File(run.path, "r+", libver="latest") as file:
        frames = file["/entry/data/data"][:]
        frames[:, :2] = 65535  # a sixth of all pixels are marked
        frames[40] = 65535  # an overflow everywhere
        file["/entry/data/data"][:] = frames
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and len(batch) == 199 and 41 not in batch.number
    assert triggers.ledger().rejected["saturated"] == 1


def test_positions_that_are_repeated_are_all_used(tmp_path: Path) -> None:
    _, documents = fly_run(tmp_path / "one.h5")
    (page,) = [doc for name, doc in documents if name == "event_page"]
    page["data"]["trigger_box_x"][:10] = [page["data"]["trigger_box_x"][0]] * 10
    batch, _ = taken(documents, tmp_path)
    assert batch is not None and len(batch) == 200 and len(set(batch.columns["cell"][:10])) == 1


def test_only_what_was_announced_is_read(tmp_path: Path) -> None:
    run = FlyRun(tmp_path / "more.h5")
    with DetectorFile(run.path) as file:
        file.append(list(range(1, 201)))
    batch, triggers = taken([*run.start(), *run.frames(0, 120), *run.positions(list(range(1, 201))), *run.stop(120)], tmp_path)
    assert batch is not None and len(batch) == 120
    assert dict(triggers.ledger().rejected) == {"no_frame": 80}


def test_positions_that_are_none_and_positions_elsewhere(tmp_path: Path) -> None:
    _, documents = fly_run(tmp_path / "one.h5")
    (page,) = [doc for name, doc in documents if name == "event_page"]
    page["data"]["trigger_box_y"][9] = float("nan")
    page["data"]["trigger_box_x"][19] = 17.0
    page["data"]["trigger_box_number"][29] = None
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and {10, 20, 30}.isdisjoint(batch.number.tolist())
    assert dict(triggers.ledger().rejected) == {"position_missing": 1, "off_grid": 1, "bad_number": 1, "no_position": 1}


@pytest.mark.parametrize(("units", "scale"), [("um", 1.0), ("mm", 1e-3), ("nm", 1e3), (None, 1.0)])
def test_positions_are_taken_in_the_unit_that_they_say(tmp_path: Path, units: str | None, scale: float) -> None:
    _, documents = fly_run(tmp_path / "one.h5")
    (page,) = [doc for name, doc in documents if name == "event_page"]
    for axis in ("y", "x"):
        page["data"][f"trigger_box_{axis}"] = [scale * value for value in page["data"][f"trigger_box_{axis}"]]
    for name, doc in documents:
        if name == "descriptor" and doc["name"] == "positions" and units:
            doc["data_keys"]["trigger_box_y"]["units"] = doc["data_keys"]["trigger_box_x"]["units"] = units
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and len(batch) == 200
    assert abs(batch.columns["x"]).max() == pytest.approx(2.0) and triggers.ledger().remarks == []


def test_positions_in_another_unit_than_they_say_are_noticed(tmp_path: Path) -> None:
    _, documents = fly_run(tmp_path / "one.h5")
    (page,) = [doc for name, doc in documents if name == "event_page"]
    page["data"]["trigger_box_y"] = [value / 1000 for value in page["data"]["trigger_box_y"]]
    _, triggers = taken(documents, tmp_path)
    (remark,) = triggers.ledger().remarks
    assert "positions in y span 0.004 um where 4 um were planned" in remark


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    _, documents = fly_run(tmp_path / "one.h5")
    for name, doc in documents:
        if name == "descriptor" and doc["name"] == "positions":
            doc["data_keys"]["trigger_box_y"]["units"] = "deg"
    with pytest.raises(RunRefused, match="'deg', which is not a known unit of length"):
        taken(documents, tmp_path)


def test_dark_and_saturated_frames_are_left_out(tmp_path: Path) -> None:
    run, documents = own_frames(list(range(1, 201)), tmp_path, saturation_counts=9)
    bright = [number for number in range(1, 201) if np.count_nonzero(frame(number) >= 9) / frame(number).size >= 0.01]
    batch, triggers = taken(documents, tmp_path)
    assert batch is not None and 0 < len(bright) < 50
    assert dict(triggers.ledger().rejected) == {"saturated": len(bright)}
    assert run.shape == SHAPE


def test_a_file_that_is_gone_and_one_of_another_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.documents.frames.PATIENCE_S", 0.1)
    _, documents = fly_run(tmp_path / "one.h5")
    documents[0][1]["ptychography"]["shape"] = [9, 9]
    batch, triggers = taken(documents, tmp_path)
    assert batch is None
    ledger = triggers.ledger()
    assert ledger.rejected["unreadable"] == 200 and ledger.received == 200
    assert any("(12, 10), the run's start document says (9, 9)" in remark for remark in ledger.remarks)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_hardly_any_frame_at_all(tmp_path: Path, size: int) -> None:
    run = FlyRun(tmp_path / "few.h5", lines=1, points=max(1, size))
    with DetectorFile(run.path) as file:
        if size:
            file.append(list(range(1, size + 1)))
    documents = run.start()
    if size:
        documents += [*run.frames(0, size), *run.positions(list(range(1, size + 1)))]
    batch, triggers = taken([*documents, *run.stop(size)], tmp_path)
    assert (0 if batch is None else len(batch)) == size
    assert triggers.ledger().received == size


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"grid": None}, "grid"),
        ({"grid": {"y_um": [0, 1, 0], "x_um": [0, 1, 2]}}, "y_um"),
        ({"shape": [12]}, "shape"),
        ({"frames": {"stream": "frames"}}, "image"),
        ({"positions": "positions"}, "positions"),
        ({"saturation_counts": -1}, "saturation_counts"),
    ],
)
def test_a_malformed_start_document_is_refused_by_name(tmp_path: Path, entry: dict[str, Any], word: str) -> None:
    start = FlyRun(tmp_path / "one.h5").start()[0][1]
    start["ptychography"] |= entry
    with pytest.raises(RunRefused, match=word):
        Triggers(start, [tmp_path])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_of_documents_gives_the_same(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / f"{uuid.uuid4()}.h5"
    _, documents = fly_run(path, lost=(7, 8, 150), lines=2, points=80)
    head, body = documents[0], documents[1:]
    whole, first = taken(documents, tmp_path, wait_for_end=True)
    shuffled = [head, *data.draw(st.permutations(body))]
    batch, again = taken(shuffled, tmp_path, wait_for_end=True)
    assert whole is not None and batch is not None
    assert batch.number.tolist() == whole.number.tolist() and again.ledger() == first.ledger()
    live, triggers = taken(shuffled, tmp_path, live=True)
    assert triggers.revised or (live is not None and live.number.tolist() == whole.number.tolist())
