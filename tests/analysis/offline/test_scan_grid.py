"""The grid of measured positions: a raster's own, or about as many cells as positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.offline.scan_grid import scan_grid


def raster(lines: int, points: int, *, snake: bool = False, jitter: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:lines, :points].astype(float)
    if snake:
        x[1::2] = x[1::2, ::-1]
    noise = np.random.default_rng(0).normal(0, jitter, (2, lines * points))
    return 0.5 * (y.ravel() + noise[0]), 2.0 * (x.ravel() + noise[1])


@pytest.mark.parametrize("snake", [True, False])
@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_a_raster_keeps_its_lines_and_points(snake: bool, jitter: float) -> None:
    grid = scan_grid(*raster(9, 30, snake=snake, jitter=jitter))
    assert grid["y_um"] == pytest.approx([0, 4, 9], abs=0.02)
    assert grid["x_um"] == pytest.approx([0, 58, 30], abs=0.05)
    assert grid["snake"] is snake


def test_lines_may_run_along_y_and_backwards() -> None:
    y, x = raster(9, 30)
    order = np.lexsort((-y, -x))
    grid = scan_grid(y[order], x[order])
    assert (grid["y_um"][2], grid["x_um"][2], grid["snake"]) == (9, 30, False)


def test_a_raster_that_was_cut_short_or_lost_a_line_keeps_its_step() -> None:
    y, x = raster(9, 30)
    assert scan_grid(y[:220], x[:220])["y_um"] == pytest.approx([0, 3.5, 8])
    kept = y != 2.0
    assert scan_grid(y[kept], x[kept])["y_um"] == pytest.approx([0, 4, 9])


def test_a_single_line_is_a_map_of_one_line_however_it_trembles() -> None:
    y = np.random.default_rng(0).normal(0, 0.001, 50)
    grid = scan_grid(y, np.arange(50.0))
    assert grid["y_um"][2] == 1 and grid["x_um"] == [0.0, 49.0, 50]


def test_one_position_is_a_map_of_one_cell() -> None:
    assert scan_grid(np.array([3.0]), np.array([-2.0])) == {"y_um": [3.0, 3.0, 1], "x_um": [-2.0, -2.0, 1], "snake": False}


@settings(deadline=None, max_examples=50)
@given(num=st.integers(30, 2000), width=st.floats(0.1, 10), seed=st.integers(0, 100), shape=st.sampled_from(["random", "spiral"]))
def test_other_positions_give_square_cells_about_one_each(num: int, width: float, seed: int, shape: str) -> None:
    if shape == "random":
        y, x = np.random.default_rng(seed).random((2, num))
    else:
        turn = np.sqrt(np.arange(num))
        y, x = turn * np.sin(turn * 5), turn * np.cos(turn * 5)
    grid = scan_grid(y, x * width)
    (y0, y1, lines), (x0, x1, points) = grid["y_um"], grid["x_um"]
    assert (y0, y1) == (y.min(), y.max()) and (x0, x1) == ((x * width).min(), (x * width).max())
    assert 0.7 * num < lines * points < 1.4 * num
    assert 0.5 < (y1 - y0) / (lines - 1) / ((x1 - x0) / (points - 1)) < 2
