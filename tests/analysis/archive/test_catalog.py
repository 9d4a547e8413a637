"""What several clients do to a new catalogue at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from servers import TiledServer, free_port

from analysis.archive.catalog import connect

pytestmark = pytest.mark.e2e
CLIENTS = 4


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[TiledServer]:
    server = TiledServer(tmp_path, free_port())
    server.start()
    yield server
    server.kill()


def test_clients_that_come_first_together_all_find_the_containers(new_server: TiledServer) -> None:
    together = Barrier(CLIENTS)

    def found(_: int) -> list[str]:
        together.wait(10)
        with connect(new_server.uri, new_server.key) as catalog:
            return sorted(catalog.root)

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(found, range(CLIENTS))) == [["masks", "processed", "raw"]] * CLIENTS
