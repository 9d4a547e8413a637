"""What the benchmarks count: claims, percentiles, live images, and what a kill drill finds lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from analysis.documents.log import Record
from benchmarks._common import Claim, percentile
from benchmarks._comparison import compare
from benchmarks.live_quality import Image, Scan


def live_scan(seen: list[float], qualities: list[float]) -> Scan:
    """A scan of 400 realizations in 20 s, of which each image has those that were read a second before it was seen."""
    pixels = np.zeros((2, 2))
    slow = [
        Image(seen=time, last=min(round(20 * (time - 1)), 400), elapsed_s=1.0, psnr_db=quality, pixels=pixels)
        for time, quality in zip(seen, qualities, strict=True)
    ]
    fast = [Image(seen=time, last=round(20 * time), elapsed_s=0.1, psnr_db=9.0, pixels=pixels) for time in (5.0, 20.5)]
    read = [number / 20 for number in range(1, 401)]
    return Scan(name="made", truth=pixels, read=read, ended=20.1, images={"correlation": fast, "n2g": slow})


def test_live_figures_are_those_that_a_viewer_would_see():
    # the 200th realization is read after 10 s: what went before doesn't count, the gap at the end does
    scan = live_scan([4.0, 9.0, 10.5, 12.0, 18.0, 20.8, 25.0], [10, 11, 12, 13, 20, 24, 21])
    assert scan.periods() == pytest.approx([1.5, 1.5, 6.0, 2.1])
    assert scan.live()[-1].seen == 18.0
    gaps = {"gap_db": 1.0, "gap_last_db": -3.0, "last_image_s": 0.7}
    assert scan.figures() == pytest.approx({"update_period_s": 6.0, **gaps, "finish_s": 4.9, "fast_update_s": 0.1})
    assert max(scan.latencies("correlation")) == pytest.approx(20.5 - 101 / 20)


def test_a_scan_without_live_images_is_one_long_gap():
    scan = live_scan([25.0], [21])
    assert scan.figures()["update_period_s"] == pytest.approx(10.1)
    assert all(np.isnan(scan.figures()[key]) for key in ("gap_db", "gap_last_db", "last_image_s"))


def records(num: int) -> list[Record]:
    docs: list[tuple[str, dict[str, Any]]] = [
        ("start", {"uid": "run"}),
        ("descriptor", {"uid": "d", "name": "primary"}),
        *(("event", {"descriptor": "d", "seq_num": n, "data": {"bucket": n / 7}}) for n in range(1, num + 1)),
        ("stop", {"uid": "end"}),
    ]
    return [Record(position, "run", name, doc, 0.0) for position, (name, doc) in enumerate(docs, start=1)]


def stored(seq_nums: list[int], *, bucket_of: Any = lambda n: n / 7, stop: str | None = "end") -> dict[str, Any]:
    table = pd.DataFrame({"seq_num": seq_nums, "bucket": [bucket_of(n) for n in seq_nums]})
    node = SimpleNamespace(metadata={"uid": "d"}, base={"internal": SimpleNamespace(read=lambda: table)})

    class Run(dict[str, Any]):
        metadata: ClassVar = {"start": {"uid": "run"}, "stop": stop and {"uid": stop}}

    return {"run": Run(primary=node)}


@pytest.mark.parametrize(
    ("container", "lost", "duplicated", "order"),
    [
        (stored([1, 2, 3, 4]), 0, 0, 0),
        ({}, 7, 0, 0),
        (stored([1, 2, 4]), 1, 0, 0),
        (stored([1, 2, 2, 3, 4, 4]), 0, 2, 0),
        (stored([1, 3, 2, 4]), 0, 0, 2),
        (stored([1, 2, 3, 4], bucket_of=lambda n: n), 4, 0, 0),
        (stored([1, 2, 3, 4], stop=None), 1, 0, 0),
    ],
)
def test_what_is_lost_doubled_or_out_of_order_is_counted(container, lost, duplicated, order):
    found = compare(container, "run", records(4))
    assert (found["lost"], found["duplicated"], found["order"]) == (lost, duplicated, order)


@pytest.mark.parametrize(("entries", "lost", "duplicated"), [(64, 0, 0), (60, 4, 0), (70, 0, 6)])
def test_frames_that_were_announced_are_counted(entries, lost, duplicated):
    resource = {"uid": "file", "data_key": "image", "run_start": "run"}
    datums = [
        {"descriptor": "d", "stream_resource": "file", "indices": {"start": first, "stop": first + 32}} for first in (0, 32)
    ]
    docs: list[tuple[str, Any]] = [
        ("start", {"uid": "run"}),
        ("descriptor", {"uid": "d", "name": "primary"}),
        ("stream_resource", resource),
        *(("stream_datum", datum) for datum in datums),
        ("stop", {"uid": "end"}),
    ]
    container = stored([])
    container["run"]["primary"].base["image"] = np.zeros((entries, 2, 2))
    logged = [Record(position, "run", name, doc, 0.0) for position, (name, doc) in enumerate(docs, start=1)]
    found = compare(container, "run", logged)
    assert (found["lost"], found["duplicated"]) == (lost, duplicated)


def test_a_claim_without_a_figure_is_missed():
    assert not Claim("p95_ms", "", below=1).holds(float("nan"))
    assert Claim("ratio", "", at_least=0.5).holds(0.5)
    assert [Claim("ratio", "", at_most=3).holds(value) for value in (3.0, 3.1, float("nan"))] == [True, False, False]
    interval = Claim("coverage", "", within=(0.85, 0.95))
    assert [interval.holds(value) for value in (0.84, 0.85, 0.95, 0.96, float("nan"))] == [False, True, True, False, False]
    assert interval.target == "0.85 to 0.95"
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
