"""What all tests share: a Tiled server of their own, and Channel Access kept on the loopback interface."""

import os
from collections.abc import Iterator

import matplotlib
import pytest
from servers import TiledServer, free_port

matplotlib.use("Agg")
for name in [name for name in os.environ if name.startswith(("GHOSTBEAM_", "EPICS_", "TILED_"))]:
    del os.environ[name]
os.environ["EPICS_CA_ADDR_LIST"] = "127.0.0.1"
os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"


@pytest.fixture(scope="module")
def _module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TiledServer]:
    server = TiledServer(tmp_path_factory.mktemp("state"), free_port())
    yield server
    server.kill()


@pytest.fixture
def tiled_server(_module_server: TiledServer) -> TiledServer:
    """A Tiled server on a state directory that the tests of one file share (a start takes seconds); running."""
    if not _module_server.is_running:
        _module_server.start()
    return _module_server
