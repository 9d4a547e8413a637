"""The benchmarks: one of them, quickly, and what decides what a kill drill counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from analysis.documents.log import Record
from benchmarks._common import Claim, percentile
from benchmarks._comparison import compare
from benchmarks.live_quality import Image, Scan


@pytest.mark.e2e
def test_replay_speed_writes_its_keys(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.replay_speed", "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(file.read_text())
    assert set(figures) == {"ratio", "peak_mb"}
    assert all(figures[key] > 0 for key in figures)
    assert "documents/s of a replay" in done.stdout


@pytest.mark.e2e
def test_live_quality_writes_its_keys_and_pictures(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.live_quality", "--quick", "--json", str(file), "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(file.read_text())
    assert set(figures) == {"update_period_s", "gap_db", "finish_s", "fast_update_s"}
    assert all(figures[key] > 0 for key in ("update_period_s", "finish_s", "fast_update_s"))
    assert (tmp_path / "letters.png").stat().st_size > 10_000


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
    assert scan.figures() == pytest.approx({"update_period_s": 6.0, "gap_db": 1.0, "finish_s": 4.9, "fast_update_s": 0.1})
    assert max(scan.latencies("correlation")) == pytest.approx(20.5 - 101 / 20)


def test_a_scan_without_live_images_is_one_long_gap():
    scan = live_scan([25.0], [21])
    assert scan.figures()["update_period_s"] == pytest.approx(10.1)
    assert np.isnan(scan.figures()["gap_db"])


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
    ("container", "lost", "duplicated"),
    [
        (stored([1, 2, 3, 4]), 0, 0),
        ({}, 7, 0),
        (stored([1, 2, 4]), 1, 0),
        (stored([1, 2, 2, 3, 4, 4]), 0, 2),
        (stored([1, 3, 2, 4]), 2, 0),
        (stored([1, 2, 3, 4], bucket_of=lambda n: n), 4, 0),
        (stored([1, 2, 3, 4], stop=None), 1, 0),
    ],
)
def test_what_is_lost_or_doubled_is_counted(container, lost, duplicated):
    found = compare(container, "run", records(4))
    assert (found["lost"], found["duplicated"]) == (lost, duplicated)


def test_a_claim_without_a_figure_is_missed():
    assert not Claim("p95_ms", "", below=1).holds(float("nan"))
    assert Claim("ratio", "", at_least=0.5).holds(0.5)
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
