"""The benchmarks of radiographs run quickly: their keys, and what they must reach anyway."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest


def quickly(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--json", str(file)])
    importlib.import_module(f"benchmarks.{name}").main()
    return json.loads(file.read_text())


def test_decorrelation(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = quickly("decorrelation", tmp_path, monkeypatch)
    assert set(figures) == {"residual_percent", "correlation_percent"}
    assert abs(figures["residual_percent"]) < 5 and figures["correlation_percent"] > 300


def test_radiograph_quality(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    figures = quickly("radiograph_quality", tmp_path, monkeypatch)
    assert set(figures) == {"mse_ratio", "mse_ratio_raw", "noise_ratio"}
    assert 0 < figures["noise_ratio"] < 1
    printed = capsys.readouterr().out
    assert "raw: refused by the test" in printed and "decorrelated: accepted" in printed


def test_sparse_views(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = quickly("sparse_views", tmp_path, monkeypatch)
    assert set(figures) == {"lead", "mse_table"}
    table = figures["mse_table"]
    assert set(table) == {"fbp", "sirt", "tv", "n2s_fbp", "n2s_sirt", "fbp_n2i", "sirt_n2i"}
    assert table["tv"] < table["fbp"] and all(value > 0 for value in table.values())


def test_tomo_speed(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    figures = quickly("tomo_speed", tmp_path, monkeypatch)
    assert set(figures) == {"overhead", "lag_s"} and figures["overhead"] > 0
    assert "live slices" in capsys.readouterr().out
