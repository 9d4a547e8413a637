"""What all tests share: free ports, a Tiled server of their own, and Channel Access kept on the loopback interface."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")
for name in [name for name in os.environ if name.startswith(("GHOSTBEAM_", "EPICS_", "TILED_"))]:
    del os.environ[name]
os.environ["EPICS_CA_ADDR_LIST"] = "127.0.0.1"
os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"


def free_port() -> int:
    """A TCP port that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class TiledServer:
    """A Tiled server in its own process, which a test may stop, kill and start again."""

    state_dir: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        from analysis.archive.catalog import api_key

        return api_key(self.state_dir)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        from analysis.archive.catalog import is_healthy, write_server_configuration

        write_server_configuration(self.state_dir)
        command = [sys.executable, "-m", "analysis.archive.tiled_server", "--state-dir", str(self.state_dir)]
        with (self.state_dir / "tiled.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port)], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not is_healthy(self.uri):
            assert self.process.poll() is None and time.monotonic() < deadline, "Tiled does not start"
            time.sleep(0.1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


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
