"""How long one append to Tiled takes: the unit of latencies, which differ by machine."""

from __future__ import annotations

import statistics
import time
import uuid

import pyarrow as pa

from analysis.archive.catalog import Catalog

_APPENDS = 50


def append_ms(catalog: Catalog) -> float:
    """The time that one append of a row of ten numbers to a table takes (ms), median of fifty.

    Call it while nobody else writes: Tiled's SQLite tables take one writer, and refuse a second one now and then.

    Parameters
    ----------
    catalog : Catalog
        Where a table is made for it.
    """
    row = pa.Table.from_pydict({f"number{column}": [0.0] for column in range(10)})
    table = catalog.root.create_appendable_table(row.schema, key=f"appended-{uuid.uuid4()}")
    table.append_partition(0, row)  # the first also loads what is needed
    taken: list[float] = []
    for _ in range(_APPENDS):
        began = time.perf_counter()
        table.append_partition(0, row)
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)
