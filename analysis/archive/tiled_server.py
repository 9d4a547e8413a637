"""The embedded Tiled server as a process: `python -m analysis.archive.tiled_server --state-dir DIR --port N`.

`tiled serve config` would do the same, but it prints the API key, which then appears in a log, and a line for every request.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import socket
import sys
from pathlib import Path

import tiled.adapters.zarr  # noqa: F401  # takes half a second to load, which would delay the first image
import uvicorn
from tiled.commandline._catalog import init
from tiled.config import Config, parse_configs
from tiled.server.app import build_app_from_config
from tiled.utils import path_from_uri

from analysis.archive.dependency_cache import read_signatures_once
from analysis.archive.frame_entries import MIMETYPE
from analysis.archive.frames_adapter import frames_adapter
from analysis.archive.read_key import token_secret
from analysis.archive.server_settings import STATE_VARIABLE, api_key, server_configuration_path

_NICENESS = 10
"""While several methods produce images, the server would use all it can get of a core. The computation of the images has
priority: with two cores this gives more images of Noise2Ghost, and delays those of the other methods hardly (decision 0017).
"""

_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}


def main() -> None:
    """Serve until asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m analysis.archive.tiled_server", description=__doc__.splitlines()[0])
    parser.add_argument("--state-dir", type=Path, required=True, help="the state directory; its tiled/config.yml is served")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen at")
    arguments = parser.parse_args()
    configuration = parse_configs(server_configuration_path(arguments.state_dir))
    configuration.authentication.single_user_api_key = api_key(arguments.state_dir)
    configuration.authentication.secret_keys = [token_secret(arguments.state_dir)]
    _serve_frames(configuration)
    _make_catalogue(configuration)
    os.environ[STATE_VARIABLE] = str(arguments.state_dir)  # for our own exporter
    app = build_app_from_config(configuration)
    read_signatures_once()
    app.state.state_dir = arguments.state_dir  # for our own routes
    server = _Server(
        uvicorn.Config(
            app,
            host=arguments.host,
            port=arguments.port,
            log_config=_LOGGING,
            access_log=False,
            ws_per_message_deflate=False,  # compressing noisy images for each subscriber would take a tenth of the server's time
        )
    )
    server.run()
    if not server.started:
        sys.exit(1)


class _Server(uvicorn.Server):
    """Gives way to other processes once it serves; until then they may all be waiting for it."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        gc.freeze()  # else each full collection goes through all modules, and every ten seconds all requests wait for it (0.25 s)
        niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
        for thread in os.listdir("/proc/self/task"):  # Linux has a niceness per thread
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread), niceness)
        yield_session(niceness)


def _serve_frames(configuration: Config) -> None:
    """Let HDF5 files be read by `FramesAdapter` from the folders that the configuration lists."""
    (tree,) = configuration.trees
    assert tree.args is not None, "written by write_server_configuration"
    allowed = [path_from_uri(uri) for uri in tree.args["readable_storage"]]
    tree.args["adapters_by_mimetype"] = {MIMETYPE: frames_adapter(allowed)}


def _make_catalogue(configuration: Config) -> None:
    """Make the catalogue's tables if they do not exist. Tiled would start another process for that, which takes seconds."""
    (tree,) = configuration.trees
    assert tree.args is not None, "written by write_server_configuration"
    tree.args["init_if_not_exists"] = False
    init(tree.args["uri"], if_not_exists=True)


def yield_session(niceness: int) -> None:
    """Set the niceness of this process's session if the process leads it; otherwise it may be somebody's terminal.

    If Linux divides the processor first among sessions, and then among the processes of each (`sched_autogroup_enabled`, the
    usual setting), the niceness of a process counts only within its session.
    """
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(min(niceness, 19)))


if __name__ == "__main__":
    main()
