"""A real RE Manager with the start-up folder as it is shipped, and the simulated beamline behind it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from bluesky_queueserver.manager.comms import ZMQCommSendThreads
from servers import free_port

from beamline.config import load_config
from ghostbeam.control import down

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
USER = {"user": "test", "user_group": "primary"}
REDIS = """
import sys
from fakeredis import TcpFakeServer
TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis").serve_forever()
"""


def tool(name):
    beside = Path(sys.executable).with_name(name)
    return str(beside if beside.exists() else shutil.which(name))


@contextmanager
def process(command, log, environment):
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for_port(port, log):
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


class Manager:
    def __init__(self, port, log):
        self.client = ZMQCommSendThreads(zmq_server_address=f"tcp://127.0.0.1:{port}", timeout_recv=5000, raise_exceptions=False)
        self.log = log

    def ask(self, method, **parameters):
        reply = self.client.send_message(method=method, params=parameters, raise_exceptions=True)
        assert isinstance(reply, dict), f"{reply}\n{self.log.read_text()[-3000:]}"
        return reply

    def wait(self, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while True:
            reply = self.client.send_message(method="status", raise_exceptions=False)
            if reply.get("manager_state") and condition(reply):
                return reply
            assert time.monotonic() < deadline, f"{reply}\n{self.log.read_text()[-5000:]}"
            time.sleep(0.2)

    def add(self, name, *args, **kwargs):
        return self.ask("queue_item_add", item={"item_type": "plan", "name": name, "args": args, "kwargs": kwargs}, **USER)

    def run(self):
        """Run what is queued, and return what became of the last item."""
        assert self.ask("queue_start")["success"]
        self.wait(lambda status: status["manager_state"] == "idle" and not status["items_in_queue"])
        return self.ask("history_get")["items"][-1]


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queue")
    lines = ["[tiled]", f"port = {free_port()}", "[simulation]", f"ca_port = {free_port()}", "speed = 1000.0"]
    (folder / "beamline.toml").write_text("\n".join([*lines, "[mask_plate]", "num = 64", "[beam]", "settle_s = 0.1"]))
    redis, control, info = (free_port() for _ in range(3))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "GHOSTBEAM_CONFIG": str(folder / "beamline.toml"),
        "IPYTHONDIR": str(folder),
        "MPLBACKEND": "agg",
    }
    for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST"):
        environment.pop(name, None)
    command = [tool("start-re-manager"), "--startup-dir", str(ROOT / "profile_collection"), "--keep-re"]
    command += ["--redis-addr", f"127.0.0.1:{redis}", "--redis-name-prefix", "ghostbeam_test"]
    command += ["--zmq-control-addr", f"tcp://127.0.0.1:{control}", "--zmq-info-addr", f"tcp://127.0.0.1:{info}"]
    try:
        with process([sys.executable, "-c", REDIS, str(redis)], folder / "redis.log", environment), ExitStack() as stack:
            wait_for_port(redis, folder / "redis.log")
            stack.enter_context(process(command, folder / "manager.log", environment))
            manager = Manager(control, folder / "manager.log")
            manager.wait(lambda status: status["manager_state"] == "idle", seconds=60)
            assert manager.ask("environment_open")["success"]
            manager.wait(lambda status: status["worker_environment_exists"] and status["manager_state"] == "idle")
            yield manager
            manager.ask("environment_close")
            manager.wait(lambda status: not status["worker_environment_exists"])
            manager.client.close()
    finally:
        down(load_config(folder / "beamline.toml").state_dir)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("ghost_scan", [["diod"], "mask_stage", "gold"], {"num": 4}),
        ("ghost_scan", [["diode"], "sample_stage", "gold"], {"num": 4}),
        ("ghost_scan", [["diode"], "mask_stage", "gold"], {"shutter": "diode"}),
        ("fly_scan", ["diode", "sample_stage"], {"y_um": [-1, 1, 2], "x_um": [-1, 1, 4], "rate_hz": 10}),
        ("dark_scan", [["shutter"]], {}),
    ],
)
def test_what_names_a_wrong_device_cannot_be_queued(manager, name, args, kwargs):
    reply = manager.add(name, *args, **kwargs)
    assert not reply["success"]


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("open_shutter", [], {}),
        ("close_shutter", [], {}),
        ("mv", ["mask_stage", 5], {}),
        ("mv", ["sample_stage.x", 0.1, "sample_stage.y", 0.0], {}),
        ("open_beam_scan", [["diode"]], {"num": 2, "exposure": 0.1}),
        ("dark_scan", [["diode"]], {"num": 2}),
        ("grid_scan", [["diode"], "sample_stage.y", 0, 0.1, 2, "sample_stage.x", 0, 0.1, 2], {}),
        ("ghost_scan", [["diode"], "mask_stage", "gold"], {"num": 4, "recipes": ["differential"], "md": {"sample": "CAS"}}),
    ],
)
def test_what_a_client_pastes_runs(manager, name, args, kwargs):
    reply = manager.add(name, *args, **kwargs)
    assert reply["success"], reply["msg"]
    done = manager.run()
    assert done["name"] == name and done["result"]["exit_status"] == "completed", done["result"]


def test_a_recipe_that_does_not_exist_fails_without_a_run(manager):
    assert manager.add("ghost_scan", ["diode"], "mask_stage", "gold", recipes=["foo"])["success"]
    assert manager.ask("queue_start")["success"]
    manager.wait(lambda status: status["manager_state"] == "idle")
    done = manager.ask("history_get")["items"][-1]
    manager.ask("queue_clear")
    assert done["result"]["exit_status"] == "failed" and done["result"]["run_uids"] == []
    assert "unknown method 'foo'; the methods are" in done["result"]["msg"] + done["result"]["traceback"]


def test_the_folder_stays_as_it_was(manager):
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    changed = subprocess.run(["git", "status", "--porcelain", "profile_collection"], cwd=ROOT, capture_output=True, text=True)
    tracked = [line for line in changed.stdout.splitlines() if "existing_plans" in line or ".ipython" in line]
    assert tracked == []
