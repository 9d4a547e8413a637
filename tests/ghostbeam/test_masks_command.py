"""`ghostbeam masks`, and reconstructions with another mask set than the run's; no service runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import derived_runs, log_run, raw_documents
from made_runs import MadeRun, mask_set
from typer.testing import CliRunner

from analysis.archive.server_settings import CatalogError
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.offline.replay import replay, verify
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from ghostbeam.cli import app

DESIGNED = mask_set(100)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with a scan, its mask set as designed, and as measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GHOSTBEAM_STATE_DIR", str(tmp_path / "state"))
    log_run(tmp_path / "state", MadeRun(DESIGNED, num=100))
    return tmp_path / "state"


def measured_set() -> MaskSet:
    rng = np.random.default_rng(2)
    registration = np.column_stack(
        [rng.normal(0, 0.1, (100, 2)), np.ones(100), np.zeros(100), np.full(100, 0.8), np.full(100, 0.05)]
    )
    registration[7] = [1.2, 0.0, 1.0, 0.0, 0.4, 0.3]
    return MaskSet(
        "made, measured",
        (0.1 + 0.8 * DESIGNED.patterns + rng.normal(0, 0.02, DESIGNED.patterns.shape)).astype(np.float32),
        DESIGNED.positions_mm,
        DESIGNED.pixel_size_um,
        uncertainty=np.full(DESIGNED.patterns.shape, 0.01, np.float32),
        registration=registration,
        design=DESIGNED.identity,
        runs=("abcdef01-calibration",),
    )


def called(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["masks", *arguments, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_run_is_reconstructed_with_a_measured_mask_set_and_both_are_kept(state: Path) -> None:
    measured = ReferenceStore(state).save(measured_set().reference())
    uid = MadeRun(DESIGNED, num=100).uid
    documents = raw_documents(state, uid)
    as_designed = replay(documents, state, Recipe("tv"))
    again = replay(documents, state, Recipe("tv", {"mask_set": measured}))
    assert not np.array_equal(as_designed.estimate.arrays["image"], again.estimate.arrays["image"])
    stored = {run.start["mask_set"]: run for run in derived_runs(state)}
    assert set(stored) == {DESIGNED.identity, measured}
    assert stored[measured].start["options"]["mask_set"] == measured
    assert verify(stored[measured].documents, documents, state).identical

    listed = {row["identity"]: row for row in called("list")["mask_sets"]}
    assert listed[DESIGNED.identity]["scans"] == [uid]
    assert listed[measured]["reconstructions"] == [again.uid]
    assert listed[measured]["measured_by"] == ["abcdef01-calibration"]
    told = CliRunner().invoke(app, ["masks", "list"]).stdout
    assert "as designed" in told and "abcdef01" in told

    done = CliRunner().invoke(app, ["reconstruct", "last", "-m", "differential", "--masks", measured[:8]])
    assert done.exit_code == 0 and f"reconstructed with mask set {measured[:12]}" in done.stdout


def test_a_mask_set_is_shown_and_compared(state: Path) -> None:
    measured = ReferenceStore(state).save(measured_set().reference())
    told = called("show", measured[:6])
    assert told["design"] == DESIGNED.identity and told["out_of_tolerance"] == [7]
    assert told["figures"]["measured"] == 100 and told["figures"]["depth"] == pytest.approx(0.8)
    assert Path(told["picture"]).stat().st_size > 10_000
    assert called("show", measured[:6], "--shift", "2", "--departure", "1")["out_of_tolerance"] == []
    assert called("show", measured[:6], "--shift", "0")["out_of_tolerance"] == list(range(100))
    shown = CliRunner().invoke(app, ["masks", "show", measured[:6]]).stdout
    assert "out of tolerance 7" in shown and measured in shown
    assert called("show", DESIGNED.identity)["figures"]["depth"] == 1.0

    compared = called("compare", DESIGNED.identity[:6], measured[:6])
    assert compared["contrast"] == pytest.approx(0.8, abs=0.01)
    assert abs(compared["shift_y_px"]) < 0.02
    assert Path(compared["picture"]).stat().st_size > 10_000


def test_what_makes_no_sense_is_said(state: Path) -> None:
    other = MaskStore(state).save(mask_set(100, (4, 4)))
    documents = raw_documents(state, MadeRun(DESIGNED, num=100).uid)
    for identity, words in ((other, "choose a set of the same plate"), ("f" * 64, "is not in"), ("abc", "64 hexadecimal digits")):
        with pytest.raises(RunRefused, match=words):
            replay(documents, state, Recipe("tv", {"mask_set": identity}))
    for arguments, words in (
        (["show", "zzzz"], "no mask set begins"),
        (["show", "a"], "too short"),
        (["compare", DESIGNED.identity, other], "two of one plate"),
    ):
        done = CliRunner().invoke(app, ["masks", *arguments])
        assert isinstance(done.exception, CatalogError) and words in str(done.exception)


def test_a_damaged_mask_set_hides_no_other(state: Path) -> None:
    intact, damaged = MaskStore(state).save(DESIGNED), MaskStore(state).save(mask_set(100, (4, 4)))
    MaskStore(state).path(damaged).write_bytes(b"damaged")
    told = called("list")
    assert [row["identity"] for row in told["mask_sets"]] == [intact]
    assert len(told["unreadable"]) == 1 and damaged in told["unreadable"][0]
    assert damaged in CliRunner().invoke(app, ["masks", "list"]).stdout
