"""Radiographs with correlated noise: decorrelated by a kernel that is measured, stored, and checked against new data."""

from __future__ import annotations

from pathlib import Path

import pytest
from radiograph_runs import RadiographRun, static_streams
from test_tomography_run import final

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.techniques import technique_of


def test_the_kernel_is_measured_stored_and_used_for_other_runs(tmp_path: Path) -> None:
    streams = static_streams(20)
    measured = RadiographRun(tmp_path / "frames" / "one.h5", streams)
    estimate, drive = final(tmp_path, measured.documents(), Recipe("decorrelate"))
    assert estimate.figures["correlation_percent"] > 250 and abs(estimate.figures["residual_percent"]) < 10
    assert estimate.arrays["radiograph"].mean() == pytest.approx(0.93, abs=0.07)
    assert drive.options_used["kernel_fits"] is True
    name = ReferenceName("kernel", drive.options_used["kernel"])
    assert ReferenceStore(tmp_path).load(name).runs == (measured.uid,)

    later = {purpose: frames for purpose, frames in static_streams(20, seed=10).items() if purpose != "static"}
    told = RadiographRun(tmp_path / "frames" / "two.h5", later, kernel=name.identity).documents()
    assert technique_of(told[0][1]).references(told[0][1]) == [name]
    estimate, drive = final(tmp_path, told, Recipe("decorrelate"))
    assert abs(estimate.figures["residual_percent"]) < 10 and drive.options_used["kernel_fits"] is True

    other = {purpose: frames for purpose, frames in static_streams(20, decay_px=1.0).items() if purpose != "static"}
    documents = RadiographRun(tmp_path / "frames" / "three.h5", other, kernel=name.identity).documents()
    _, drive = final(tmp_path, documents, Recipe("decorrelate"))
    assert drive.options_used["kernel_fits"] is False


@pytest.mark.parametrize(("expected", "first"), [(60, 30), (100, 50), (200, 30)])
def test_a_series_in_which_nothing_moves_measures_the_kernel_with_its_first_half(
    tmp_path: Path, expected: int, first: int
) -> None:
    streams = {"frames": static_streams(60)["frames"]}
    documents = RadiographRun(tmp_path / "frames" / "one.h5", streams, static="frames", portions=7).documents()
    documents[0][1]["num_points"] = expected  # above 60 it was stopped early
    estimate, drive = final(tmp_path, documents, Recipe("decorrelate"))
    assert drive.ledger.used == 60 and drive.ledger.normalisation["static"] == first
    assert abs(estimate.figures["residual_percent"]) < 10 and drive.options_used["kernel_fits"] is True
    again, _ = final(tmp_path, [documents[0], *documents[:0:-1]], Recipe("decorrelate"))
    assert (again.arrays["radiograph"] == estimate.arrays["radiograph"]).all()


def test_without_a_kernel_it_is_refused(tmp_path: Path) -> None:
    streams = static_streams(20)
    static = streams.pop("static")
    documents = RadiographRun(tmp_path / "frames" / "one.h5", streams).documents()
    with pytest.raises(RunRefused, match="needs the kernel of the detector"):
        final(tmp_path, documents, Recipe("decorrelate"))
    with pytest.raises(RunRefused, match="kernel 000000000000 is not in"):
        final(tmp_path, documents, Recipe("decorrelate", {"kernel": "0" * 64}))
    few = RadiographRun(tmp_path / "frames" / "few.h5", {"static": static[:1], **streams}).documents()
    with pytest.raises(RunRefused, match="1 static frames are too few"):
        final(tmp_path, few, Recipe("decorrelate"))
