"""The benchmarks of radiographs run quickly: their keys, and what they must reach anyway."""

from __future__ import annotations

import json
import sys

import pytest


def test_decorrelation(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.decorrelation import main

    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["decorrelation", "--quick", "--json", str(file)])
    main()
    figures = json.loads(file.read_text())
    assert set(figures) == {"residual_percent", "correlation_percent"}
    assert abs(figures["residual_percent"]) < 5 and figures["correlation_percent"] > 300
