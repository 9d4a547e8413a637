"""Tables of numbers in text files, as programs and spreadsheets of all countries write them."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.offline.ingest_error import IngestError

_SEPARATORS = (";", "\t", ",")
_DECIMAL_COMMA = re.compile(r'"?[+-]?\d*,(\d+)(?:e([+-]?\d+))?"?', re.IGNORECASE)
_UNIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$")


def read_table(file: Path) -> tuple[np.ndarray, list[str]]:
    """Read the numbers of a text file, and the headings of its columns if it has some.

    Numbers are separated by semicolons, tabs, commas or spaces. Where the comma does not separate them it is the decimal mark.
    Lines before the numbers are skipped, except for the last one, which holds the headings; empty cells become NaN.

    Returns
    -------
    table : array, float64 (rows, columns)
    headings : list of str
        Without units in brackets; empty if their number is not that of the columns.

    Raises
    ------
    IngestError
        If the file holds something else.
    """
    lines = [line for line in _text(file).splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if _is_row(line)), None)
    if first is None:
        raise IngestError(f"{file} cannot be read as a table of numbers: it holds none. Write a line a mask")
    rows = [line for line in lines[first:] if not line.startswith("#")]
    above = lines[first - 1].lstrip("# ") if first else ""
    mark = _separator(rows[0])
    if mark == "," and ((above and "," not in above) or _are_decimals(rows)) and all(map(_DECIMAL_COMMA.fullmatch, rows)):
        mark = None
    try:
        table = _numbers(rows, mark)
    except ValueError as error:
        raise IngestError(f"{file} cannot be read as a table of numbers ({error}): write numbers alone, a line a mask") from error
    headings = [_UNIT.sub("", word) for word in _cells(above, mark)]
    kept = ~np.isnan(table).all(axis=0)  # a separator at the end of each line makes an empty column
    if len(headings) == len(kept):
        headings = [heading for heading, there in zip(headings, kept, strict=True) if there]
    table = table[:, kept]
    return table, headings if len(headings) == table.shape[1] else []


def _text(file: Path) -> str:
    data = file.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _is_row(line: str) -> bool:
    """Whether a line holds numbers alone."""
    cells = _cells(line, _separator(line))
    return any(cells) and all(not cell or _is_number(cell) for cell in cells)


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True


def _separator(line: str) -> str | None:
    return next((mark for mark in _SEPARATORS if mark in line), None)


def _are_decimals(rows: Sequence[str]) -> bool:
    """Whether what follows the commas cannot be whole numbers: it begins with 0, or has an exponent."""
    found = [match for match in map(_DECIMAL_COMMA.fullmatch, rows) if match]
    return any(match[2] or (len(match[1]) > 1 and match[1].startswith("0")) for match in found)


def _cells(line: str, mark: str | None) -> list[str]:
    if mark is None:
        return [word.strip('"') for word in line.split()]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True))]


def _numbers(rows: list[str], mark: str | None) -> np.ndarray:
    decimal_comma = mark != "," and any("," in row for row in rows)
    lines = [row.replace(",", ".") for row in rows] if decimal_comma else rows
    try:
        return np.loadtxt(lines, dtype=np.float64, delimiter=mark, ndmin=2)
    except ValueError:  # cells in quotes, or empty ones, which take longer
        cells = [[cell.replace(",", ".") or "nan" for cell in _cells(row, mark)] for row in rows]
    if len({len(row) for row in cells}) > 1:
        raise ValueError("its lines hold different numbers of cells")
    return np.array(cells, dtype=np.float64)
