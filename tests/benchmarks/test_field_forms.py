"""`field_forms` run quickly: every form is read, every mistake named."""

from __future__ import annotations

import json
import sys

import pytest


def test_field_forms(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.field_forms import main

    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["field_forms", "--quick", "--json", str(file)])
    main()
    figures = json.loads(file.read_text())
    assert figures["forms"] == figures["recognised"] == figures["same_image"] > 30
    assert figures["named"] >= figures["mistakes"] - 1 and figures["false_alarms"] <= 1
