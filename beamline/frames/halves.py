"""Where on the sensor the two halves of a frame are that show the same scene."""

from __future__ import annotations

Window = tuple[int, int, int, int]
"""First row, row after the last one, first column, column after the last one."""


def side_by_side(sensor: tuple[int, int]) -> tuple[Window, Window]:
    """Return the left and the right half of a sensor of so many rows and columns; an odd column in the end is left out."""
    rows, columns = sensor
    middle = columns // 2
    return (0, rows, 0, middle), (0, rows, middle, 2 * middle)


def why_impossible(sensor: tuple[int, int], halves: tuple[Window, Window]) -> str | None:
    """Say why two windows cannot be the halves of a frame; None if they can."""
    rows, columns = sensor
    for window in halves:
        y0, y1, x0, x1 = window
        if not (0 <= y0 < y1 <= rows and 0 <= x0 < x1 <= columns):
            return (
                f"the half {list(window)} is not on the sensor, which has {rows} rows and {columns} columns: write its first "
                "row, the row after its last one, its first column and the column after its last one"
            )
    sizes = [(y1 - y0, x1 - x0) for y0, y1, x0, x1 in halves]
    if sizes[0] != sizes[1]:
        return f"the halves have {sizes[0]} and {sizes[1]} pixels (rows, columns): both must have the same size"
    (top_a, end_a, left_a, right_a), (top_b, end_b, left_b, right_b) = halves
    if max(top_a, top_b) < min(end_a, end_b) and max(left_a, left_b) < min(right_a, right_b):
        return f"the halves {list(halves[0])} and {list(halves[1])} overlap: their noise would not be independent"
    return None
