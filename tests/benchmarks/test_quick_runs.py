"""Each benchmark about images run quickly, as a user would: its keys, pictures and table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def quickly(name: str, tmp_path: Path, *more: str) -> tuple[dict[str, float], str]:
    """Run a benchmark with --quick; return its figures and what it printed."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(file), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text()), done.stdout


def test_replay_speed(tmp_path):
    figures, printed = quickly("replay_speed", tmp_path)
    assert set(figures) == {"ratio", "ratio_arrays", "peak_mb"}
    assert all(value > 0 for value in figures.values())
    assert "events/s of a replay" in printed


def test_pair_live(tmp_path):
    figures, printed = quickly("pair_live", tmp_path)
    assert set(figures) == {"lost", "lag_s", "network_lag_s"}
    assert figures["lost"] == 0
    assert "pairs in Tiled before the last one was taken" in printed


def test_frames_written(tmp_path):
    figures, printed = quickly("frames_written", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"ratio_raw", "cost_growth"}
    assert all(value > 0 for value in figures.values())
    assert "kB a frame" in printed and not list(tmp_path.glob("*/"))


def test_scaling(tmp_path):
    figures, printed = quickly("scaling", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"time_slope", "memory_slope", "bytes_per_mask_pixel", "minutes_largest"}
    assert (tmp_path / "quick.png").stat().st_size > 10_000
    assert "2100 masks of 40x40" in printed


def test_time_to_quality_does_nothing_twice(tmp_path):
    for _ in range(2):
        figures, _ = quickly("time_to_quality", tmp_path, "--directory", str(tmp_path))
        runs = (tmp_path / "quick_chromosomes_seed0" / "runs.csv").read_text().splitlines()
        assert len(runs) == 7
    assert set(figures) == {"ratio_64", "ratio_100"}
    assert (tmp_path / "quick_chromosomes_seed0" / "time_to_quality.png").stat().st_size > 10_000


def test_live_quality(tmp_path):
    figures, _ = quickly("live_quality", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"update_period_s", "gap_db", "gap_last_db", "last_image_s", "finish_s", "fast_update_s"}
    # on a busy machine no live image may be in time, and then there is no gap
    assert all(figures[key] > 0 for key in ("update_period_s", "finish_s", "fast_update_s"))
    assert (tmp_path / "letters.png").stat().st_size > 10_000


def test_xray_paper(tmp_path):
    figures, _ = quickly("xray_paper", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"exposure_ratio", "cnr_letters", "cnr_gear", "cnr_plate", "lead", "recovery_s"}
    assert all(value > 0 for value in figures.values())
    assert {path.name for path in tmp_path.glob("*.png")} == {"exposures.png", "images.png"}


def test_ghost_quality(tmp_path):
    chosen = ["--objects", "chromosomes", "--methods", "least_squares", "tv", "n2i"]
    figures, printed = quickly("ghost_quality", tmp_path, "--directory", str(tmp_path), *chosen)
    assert set(figures) == {"margin_db", "cells", "photons_led", "coverage"}
    assert "chromosomes" in printed
    assert list(tmp_path.rglob("*.png"))


def test_mask_worth(tmp_path):
    figures, printed = quickly("mask_worth", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"recovered", "loss_db", "pixels_db", "uncertainty", "shift_error_px"}
    assert figures["recovered"] > 0.8 and figures["shift_error_px"] < 0.05
    assert (tmp_path / "mask_worth.png").stat().st_size > 10_000
    assert "CAS by tv" in printed


def test_dose_needed(tmp_path):
    figures, _ = quickly("dose_needed", tmp_path, "--directory", str(tmp_path), "--methods", "tv", "n2g")
    assert set(figures) == {"total_ratio", "peak_ratio", "other_psnr", "other_ssim"}
    assert all(value > 0 for value in figures.values())
    assert (tmp_path / "fig4.png").stat().st_size > 10_000


def test_xrf_paper(tmp_path):
    figures, printed = quickly("xrf_paper", tmp_path, "--directory", str(tmp_path), "--methods", "tv", "n2g")
    assert set(figures) == {"margin_db_100", "margin_db_12", "margin_db_2", "margin_truth_db"}
    assert (tmp_path / "fig7.png").stat().st_size > 10_000
    assert "(35.33 0.933)" in printed


def test_trust(tmp_path):
    figures, printed = quickly("trust", tmp_path, "--directory", str(tmp_path))
    assert set(figures) == {"coverage", "coverage_least", "coverage_most", "null_contrast", "null_loss"}
    assert "n2g, 100 photons" in printed
    assert list(tmp_path.rglob("*.png"))


@pytest.mark.timeout(1000)  # it waits for what a busy machine has to do
def test_a_clock_that_jumps_under_real_services_loses_nothing(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.kill_drills", "--quick", "--kind", "clock", "--n", "1", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    if "left out" in done.stdout:
        pytest.skip(done.stdout.strip())
    figures = json.loads(file.read_text())
    assert figures == {"drills": 1, "lost": 0, "duplicated": 0, "order": 0, "undetected": 0, "identical": 1}


@pytest.mark.timeout(1000)
def test_a_worker_that_is_killed_while_it_reconstructs_object_and_probe_changes_no_bit(tmp_path):
    figures, printed = quickly("kill_drills", tmp_path, "--technique", "ptychography", "--n", "2")
    assert "writer killed" in printed and "worker killed" in printed
    faults = dict.fromkeys(("lost", "duplicated", "order", "mispaired", "undetected"), 0)
    assert figures == {"drills": 2, **faults, "identical": 2}


def test_pair_quality(tmp_path):
    figures, printed = quickly("pair_quality", tmp_path)
    assert set(figures) == {"margin_bm3d_db", "gain_db_100", "gain_db_500", "gain_db_5000", "below_floor", "neutron_db"}
    assert figures["gain_db_100"] > 0 and figures["below_floor"] == 0
    assert "held-out loss above floor" in printed


def test_pair_speed(tmp_path):
    figures, printed = quickly("pair_speed", tmp_path)
    assert set(figures) == {"train_ratio", "pairs_s", "margin_db"}
    assert figures["pairs_s"] > 0 and "s of the processor" in printed
