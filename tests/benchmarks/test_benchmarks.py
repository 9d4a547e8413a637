"""The benchmarks: one of them, quickly, and what decides what a kill drill counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pandas as pd
import pytest

from analysis.documents.log import Record
from benchmarks._common import Claim, percentile
from benchmarks._comparison import compare


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
@pytest.mark.parametrize(
    ("program", "keys", "told"),
    [
        ("ghost_quality", {"margin_db", "cells", "photons_led", "coverage"}, "chromosomes"),
        ("trust", {"coverage", "coverage_least", "coverage_most", "null_contrast", "null_loss"}, "n2g, 100 photons"),
    ],
)
def test_benchmarks_of_images_write_their_keys_and_figures(tmp_path, program, keys, told):
    file = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{program}",
        "--quick",
        "--json",
        str(file),
        "--directory",
        str(tmp_path),
    ]
    if program == "ghost_quality":
        command += ["--objects", "chromosomes", "--methods", "least_squares", "tv", "n2i"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(json.loads(file.read_text())) == keys
    assert told in done.stdout
    assert list(tmp_path.rglob("*.png"))


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
    interval = Claim("coverage", "", within=(0.85, 0.95))
    assert [interval.holds(value) for value in (0.84, 0.85, 0.95, 0.96, float("nan"))] == [False, True, True, False, False]
    assert interval.target == "0.85 to 0.95"
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
