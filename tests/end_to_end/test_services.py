"""Starting and ending the services in ways that go wrong: nothing is left, and what is said helps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from made_runs import MadeRun, mask_set
from servers import free_port

from analysis.archive.server_settings import is_healthy
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.status import read_status

pytestmark = pytest.mark.e2e

CONFIGURATION = """
simulated = true
state_dir = "{state}"
[epics]
prefix = "{prefix}"
[mask_plate]
preset = "gold-random"
num = 200
[simulation]
speed = 1000.0
ca_port = {ca_port}
[tiled]
port = {tiled_port}
"""
COMMAND = str(Path(sys.executable).with_name("ghostbeam"))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "beamline.toml"
    write(path, "state")
    yield path
    ghostbeam(path, "down")


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    """A configuration that several tests share, since services take long to start; modules of the user are beside it."""
    path = tmp_path_factory.mktemp("beamline") / "beamline.toml"
    for name in ("analysis", "beamline", "plans", "sims", "ghostbeam", "tiled", "bluesky", "secrets"):
        (path.parent / f"{name}.py").write_text(f"raise SystemExit('{name}.py was executed')\n")
    (path.parent / "mine.py").write_text("found = 'a module of mine'\n")
    write(path, "state")
    yield path
    ghostbeam(path, "down")


def write(path: Path, state: str) -> int:
    port = free_port()
    values = {"prefix": f"S{os.getpid()}:", "ca_port": free_port(), "tiled_port": port, "state": state}
    path.write_text(CONFIGURATION.format(**values))
    return port


def ghostbeam(config: Path, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=config.parent, check=False, **options)


def processes_of(config: Path) -> list[psutil.Process]:
    """All that were started for this configuration, whatever became of their parents."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(config.parent) in " ".join([process.environ().get("GHOSTBEAM_CONFIG", ""), *process.cmdline()]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("moment", ["at once", "while services start"])
def test_up_that_is_interrupted_leaves_nothing(config, moment):
    up = subprocess.Popen([COMMAND, "--config", str(config), "up"], cwd=config.parent, stdout=subprocess.DEVNULL)
    services = config.parent / "state" / "services"
    begun = services / ("supervisor.log" if moment == "at once" else "tiled.log")
    until(begun.exists)
    up.send_signal(signal.SIGINT)
    assert up.wait(60) != 0
    until(lambda: not processes_of(config), 10)
    assert "No services" in ghostbeam(config, "down").stdout


def test_too_few_files_are_named_with_the_cure(config):
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 64; exec {COMMAND} --config {config} up"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "may open only 64 files" in done.stderr and "ulimit -n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not processes_of(config)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here that nobody may write to")
def test_a_state_folder_that_nobody_may_write_to_is_named(config):
    write(config, "/proc/ghostbeam")
    for command in ("up", "status", "down"):
        done = ghostbeam(config, command)
        assert done.returncode in (0, 1)
        assert "Traceback" not in done.stderr
    assert "/proc/ghostbeam" in ghostbeam(config, "up").stderr


def test_eight_that_start_the_services_at_once_share_them(beamline):
    ghostbeam(beamline, "down")
    command = [COMMAND, "--config", str(beamline), "up"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    all_of_them = [subprocess.Popen(command, text=True, cwd=beamline.parent, **pipes) for _ in range(8)]
    said = [one.communicate(timeout=300)[0] for one in all_of_them]
    assert [one.returncode for one in all_of_them] == [0] * 8, said
    assert sum("The services are up." in text for text in said) == 1
    started = [process for process in processes_of(beamline) if "ghostbeam.supervisor" in process.cmdline()]
    assert len(started) == 1


def test_files_of_the_user_in_the_working_folder_are_none_of_ours(beamline):
    done = ghostbeam(beamline, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    session = ghostbeam(beamline, "session", input="import mine\nprint(mine.found, len(RE.md))\nexit\n")
    assert "a module of mine" in session.stdout, session.stdout + session.stderr
    assert "was executed" not in session.stdout + session.stderr


def test_what_services_make_is_their_owners_alone(beamline):
    assert ghostbeam(beamline, "up").returncode == 0
    state = beamline.parent / "state"
    assert state.stat().st_mode & 0o077 == 0
    for name in ("services", "tiled", "simulation"):
        assert (state / name).stat().st_mode & 0o077 == 0
    for path in [*state.glob("services/*.log"), *state.glob("tiled/*.db")]:
        assert path.stat().st_mode & 0o077 == 0, path
    state.chmod(0o755)
    assert "chmod 700" in ghostbeam(beamline, "up").stdout
    state.chmod(0o700)


def test_down_during_a_scan_says_what_becomes_of_it(beamline):
    assert ghostbeam(beamline, "up").returncode == 0
    writer = LogWriter(log_paths(beamline.parent / "state").raw)
    for item in MadeRun(mask_set(), num=10).documents()[:-1]:
        writer(*item)
    said = ghostbeam(beamline, "down").stdout
    writer.close()
    assert "A scan was running: it ends with the simulated beamline" in said
    assert "No services were running." in ghostbeam(beamline, "down").stdout


def test_the_catalogue_yields_to_others_only_once_it_serves(beamline):
    ghostbeam(beamline, "down")
    port = write(beamline, "state")
    up = subprocess.Popen([COMMAND, "--config", str(beamline), "up"], cwd=beamline.parent, stdout=subprocess.DEVNULL)

    def tiled() -> psutil.Process | None:
        pid = ((read_status(beamline.parent / "state", "supervisor") or {}).get("services", {}).get("tiled") or {}).get("pid")
        return psutil.Process(pid) if pid else None

    until(tiled)
    server = tiled()
    usual = psutil.Process(up.pid).nice()
    while True:
        niceness = server.nice()
        if is_healthy(f"http://127.0.0.1:{port}"):
            break
        assert niceness == usual
    assert server.nice() == usual + 10
    assert up.wait(120) == 0
