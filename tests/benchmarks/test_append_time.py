"""The unit of latencies is measured in a real catalogue, and leaves the runs alone."""

import pytest

from analysis.archive.catalog import connect
from benchmarks._append_time import append_ms

pytestmark = pytest.mark.e2e


def test_an_append_takes_some_time(tiled_server):
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        assert append_ms(catalog) > 0
        assert len(catalog.raw) == len(catalog.processed) == 0
