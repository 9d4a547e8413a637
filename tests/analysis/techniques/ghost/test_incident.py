"""Estimates tell the dose in photons where the photons of a monitor count are known."""

import numpy as np
import pytest
from made_runs import MadeRun, mask_set

from analysis.documents.recipe import Recipe
from analysis.techniques.ghost.run import GhostRun
from analysis.worker.drive import Drive
from analysis.worker.pace import Points

MASKS = mask_set()


def final(run: MadeRun) -> dict[str, float]:
    drive = Drive(GhostRun(run.start, MASKS), Recipe("differential"), lambda: iter(run.documents()[1:]), Points())
    return dict(list(drive.estimates())[-1].estimate.figures)


def test_photons_are_those_of_the_monitor_behind_the_masks():
    run = MadeRun(MASKS, num=90, dark=0, ghost={"photons_per_monitor_count": 2.0}, values={5: {"diode": None}})
    monitor = np.array([row["diode_monitor"] for row in run.rows])
    through = MASKS.patterns[:90].mean(axis=(1, 2))
    used = np.arange(90) != 4
    figures = final(run)
    mean = (monitor * through)[used].sum() / monitor[used].sum()
    assert figures["photons_per_pixel"] == pytest.approx(2 * monitor.sum() * mean / 64)
    assert figures["peak_photons"] == pytest.approx(2 * monitor[used].mean() / 64)


def test_without_a_calibrated_monitor_the_dose_is_in_its_counts():
    figures = final(MadeRun(MASKS, num=90))
    assert figures["dose"] > 0 and "photons_per_pixel" not in figures
