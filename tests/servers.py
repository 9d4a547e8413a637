"""Servers of the tests' own, as processes that a test may stop, kill and start again."""

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


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
        from analysis.archive.server_settings import api_key

        return api_key(self.state_dir)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        from analysis.archive.server_settings import is_healthy, write_server_configuration

        write_server_configuration(self.state_dir)
        command = [sys.executable, "-m", "analysis.archive.tiled_server", "--state-dir", str(self.state_dir)]
        with (self.state_dir / "tiled.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port)], stdout=log, stderr=log)
        deadline = time.monotonic() + 180
        while not is_healthy(self.uri):
            assert self.process.poll() is None and time.monotonic() < deadline, "Tiled does not start"
            time.sleep(0.1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
