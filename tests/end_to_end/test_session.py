"""A session as a person has it: IPython in a terminal, with real services; and under Xvfb, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from servers import free_port

pytestmark = pytest.mark.e2e

CONFIGURATION = """
beamline_id = "test beamline"
simulated = true
state_dir = "state"
[epics]
prefix = "P{pid}:"
[mask_plate]
preset = "gold-random"
num = 200
[simulation]
speed = 1000.0
ca_port = {ca_port}
[tiled]
port = {tiled_port}
[reconstruction]
methods = ["differential"]
"""
COMMAND = str(Path(sys.executable).with_name("ghostbeam"))
PROMPT = r"In \[(\d+)\]: "


class Terminal:
    """A session in a terminal: type a line, read what it says up to the next prompt."""

    def __init__(self, config: Path, **environment: str) -> None:
        inherited = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
        for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST"):
            inherited.pop(name, None)
        # A terminal that can do nothing: no colours, and no prompt that is drawn again and again.
        variables = inherited | {"TERM": "dumb", "IPY_TEST_SIMPLE_PROMPT": "1", "COLUMNS": "200"} | environment
        command = ["--config", str(config), "session"]
        self.process = pexpect.spawn(
            COMMAND,
            command,
            cwd=str(config.parent),
            env=variables,
            encoding="utf-8",
            timeout=180,
            dimensions=(60, 200),
            echo=False,
            use_poll=True,  # select() takes no more than 1024 open files, and pytest's process has those of other tests
        )
        self.banner = self._up_to_prompt()

    def __call__(self, line: str) -> str:
        self.process.sendline(line)
        return self._up_to_prompt()

    def _up_to_prompt(self) -> str:
        self.process.expect(PROMPT)
        return self.process.before.replace("\r\n", "\n")

    def close(self) -> None:
        self.process.close(force=True)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("session") / "beamline.toml"
    path.write_text(CONFIGURATION.format(pid=os.getpid(), ca_port=free_port(), tiled_port=free_port()))
    yield path
    subprocess.run([COMMAND, "--config", str(path), "down"], capture_output=True, timeout=60, check=False)


@pytest.fixture
def session(config: Path) -> Iterator[Terminal]:
    terminal = Terminal(config)
    yield terminal
    terminal.close()


SCAN = 'RE(ghost_scan([diode], mask_stage, masks, num=80, md={"sample": "CAS"}))'


def test_it_says_what_it_is_and_helps(config, session):
    for part in ("test beamline: a SIMULATED beamline", str(config), str(config.parent / "state"), "mask_stage", "no display"):
        assert part in session.banner
    assert "no runs yet" in session("runs()")
    said = session(SCAN)
    assert "80/80" in said or "79/80" in said  # how far it is
    assert "uid" not in session("run = cat[-1]")
    assert "('CAS', 80)" in session('run.metadata["start"]["sample"], len(run["primary"].read()["diode"])')
    facts = session('[run.metadata["start"][key] for key in ("beamline_id", "simulated", "login_id", "hostname", "versions")]')
    assert "'test beamline'" in facts and "True" in facts and "ghostbeam_commit" in facts
    table = session("runs()")
    assert "ghost_scan" in table and "success" in table
    assert "Reconstruct a stored run again" in session("print(replay.__doc__)")
    listed = session("%wa")
    assert "sample_stage_x" in listed and "rotation_stage_angle" in listed and "Error" not in listed
    assert "diode_monitor" in session("%ct")
    session("%mov sample_stage.x 0.25")
    assert "0.25" in session("print(sample_stage.x.position)")


def test_a_scan_without_light_says_so_long_before_its_end(session):
    session("import epics")
    session('epics.caput(config.epics.prefix + "BLADE:Close", 1, wait=True)')
    try:
        said = session('RE(ghost_scan([diode], mask_stage, masks, num=200, exposure=10.0, md={"sample": "nothing"}))')
        assert "ATTENTION" in said and "no higher than without light" in said
        assert "no higher than without light" in session("live")
    finally:
        session('epics.caput(config.epics.prefix + "BLADE:Close", 0, wait=True)')


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("RE(ghost_scan([diode], mask_stage, masks, num=5000))", "PlanRequestError: num is 5000"),
        ('cat["ffffffff"]', "KeyError: no run 'ffffffff'"),
        ('live["magic"]', "KeyError: no reconstruction with the method"),
        ("live.watch()", "NoWindow: there is no display here"),
    ],
)
def test_a_mistake_is_told_in_one_line(session, line, told):
    said = session(line)
    assert told in said
    assert len([one for one in said.splitlines() if one.strip()]) == 2, said
    assert "Traceback" in session("%tb")
    assert "Traceback" in session("1 / 0")


def test_two_sessions_do_not_scan_at_once(config, session):
    other = Terminal(config)
    try:
        other.process.sendline("RE(bps.sleep(600))")
        for _ in range(100):
            said = session("RE(bps.null())")
            if "ScanRunning" in said:
                break
        assert f"process {other.process.pid}" in said and "break_scan_lock()" in said
        session("break_scan_lock()")
        assert "Error" not in session("RE(bps.null())")
    finally:
        other.close()


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb here")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def test_with_a_display_it_lives_and_opens_a_window(config, display):
    session = Terminal(config, DISPLAY=display)
    try:
        for _ in range(2):
            session(SCAN)
        assert session("live.watch()").strip() == ""
        assert "True" in session("live._window.poll() is None")
        assert "42" in session("6 * 7")
    finally:
        session.close()
