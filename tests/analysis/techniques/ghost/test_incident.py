"""Estimates tell the dose in photons where the photons of a monitor count are known."""

import numpy as np
import pytest
from made_runs import MadeRun, mask_set

from analysis.documents.recipe import Recipe
from analysis.techniques.ghost.mask_sets import MaskSet
from analysis.techniques.ghost.run import GhostRun
from analysis.worker.drive import Drive
from analysis.worker.pace import Points

MASKS = mask_set()


def final(run: MadeRun, masks: MaskSet = MASKS) -> dict[str, float]:
    drive = Drive(GhostRun(run.start, masks), Recipe("differential"), lambda: iter(run.documents()[1:]), Points())
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


def test_the_light_of_a_mask_and_of_its_complement_counts():
    half = MASKS.patterns[:60]
    patterns = np.stack([half, 1 - half], axis=1).reshape(-1, 8, 8)
    patterns[1::2, 0, 0] = 2.0  # so that complements have another mean and another peak than masks
    masks = MaskSet("pairs", patterns, np.zeros((120, 2)), 10.0)
    run = MadeRun(masks, num=120, dark=0, ghost={"pairs": True, "photons_per_monitor_count": 2.0})
    monitor = np.array([row["diode_monitor"] for row in run.rows])
    figures = final(run, masks)
    assert figures["photons_per_pixel"] == pytest.approx(2 * (monitor * patterns.mean(axis=(1, 2))).sum() / 64)
    assert figures["peak_photons"] == pytest.approx(2 * (monitor * patterns.max(axis=(1, 2))).mean() / 64)
