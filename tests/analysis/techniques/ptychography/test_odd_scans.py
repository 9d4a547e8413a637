"""Scans that are odd from end to end: one line, a short last line, hardly a frame, an object larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fly_runs import DetectorFile, Documents, FlyRun

from analysis.documents.frame_folders import allow_frames
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.techniques import technique_of
from analysis.worker.drive import Drive, Timed
from analysis.worker.pace import Points

EPIE = Recipe("epie", {"sweeps": 1, "averaged": 1, "orientation": "+y+x"})


def scan(folder: Path, *, lines: int, points: int, taken: int) -> Documents:
    """A scan that ended after so many frames."""
    run = FlyRun(folder / "frames" / "one.h5", lines=lines, points=points, shape=(16, 16))
    numbers = list(range(1, taken + 1))
    with DetectorFile(run.path, run.shape) as file:
        file.append(numbers)
    return [*run.start(), *run.frames(0, taken), *run.positions(numbers), *run.stop(taken)]


def final(documents: Documents, folder: Path, recipe: Recipe) -> tuple[Timed, Drive]:
    allow_frames(folder, folder / "frames")
    start = documents[0][1]
    drive = Drive(technique_of(start).open(start, ReferenceStore(folder)), recipe, lambda: iter(documents[1:]), Points())
    return list(drive.estimates())[-1], drive


@pytest.mark.parametrize("recipe", [Recipe("sums"), EPIE], ids=["sums", "epie"])
@pytest.mark.parametrize(
    ("lines", "points", "taken"), [(1, 40, 40), (4, 50, 170), (4, 50, 1), (1, 2, 2)], ids=["one line", "short", "one", "two"]
)
def test_an_odd_scan_is_reconstructed_from_what_there_is(
    tmp_path: Path, recipe: Recipe, lines: int, points: int, taken: int
) -> None:
    timed, drive = final(scan(tmp_path, lines=lines, points=points, taken=taken), tmp_path, recipe)
    ledger = drive.ledger
    assert (ledger.used, ledger.not_acquired, ledger.missing) == (taken, lines * points - taken, 0)
    for name, array in timed.estimate.arrays.items():
        assert np.isfinite(array).any(), name


def test_an_object_larger_than_memory_is_refused_with_its_size(tmp_path: Path) -> None:
    documents = scan(tmp_path, lines=4, points=50, taken=200)
    grid: dict[str, Any] = documents[0][1]["ptychography"]["grid"]
    grid["y_um"][:2], grid["x_um"][:2] = [-20e3, 20e3], [-20e3, 20e3]
    with pytest.raises(
        ValueError, match=r"the object would have \d+x\d+ pixels of .* nm, for which epie needs .* in the right unit"
    ):
        final(documents, tmp_path, EPIE)
