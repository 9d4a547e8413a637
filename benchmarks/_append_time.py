"""Time of one append to Tiled: the unit of latencies, which depends on the machine."""

from __future__ import annotations

import statistics
import time
import uuid

import pyarrow as pa

from analysis.archive.catalog import Catalog

_APPENDS = 50


def append_ms(catalog: Catalog) -> float:
    """The time of one append of a row of ten numbers to a table (ms), median of fifty.

    Call it while no other process writes: Tiled's SQLite tables accept one writer, and sometimes refuse a second one.

    Parameters
    ----------
    catalog : Catalog
        The catalogue in which a table is made for this measurement.
    """
    row = pa.Table.from_pydict({f"number{column}": [0.0] for column in range(10)})
    table = catalog.root.create_appendable_table(row.schema, key=f"appended-{uuid.uuid4()}")
    table.append_partition(0, row)  # the first append also loads the required modules
    taken: list[float] = []
    for _ in range(_APPENDS):
        began = time.perf_counter()
        table.append_partition(0, row)
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)
