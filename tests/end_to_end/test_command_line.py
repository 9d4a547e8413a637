"""The command `ghostbeam` as a user runs it: real services, real processes, one configuration file."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import h5py
import httpx
import numpy as np
import psutil
import pytest
from servers import free_port

from analysis.archive.catalog import connect
from analysis.archive.server_settings import api_key
from analysis.documents.log import LogReader, RunState, log_paths
from analysis.documents.status import read_status
from analysis.views.live import Live
from beamline.config import CONFIG_VARIABLE, load_config
from ghostbeam.cli import main
from ghostbeam.control import ensure_up
from ghostbeam.services import tiled_uri

pytestmark = pytest.mark.e2e

CONFIGURATION = """
simulated = true
state_dir = "state"
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
[reconstruction]
methods = ["differential", "tv"]
"""


def ghostbeam(config: Path, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ghostbeam", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=config.parent, check=False)


def succeed(config: Path, *arguments: str, timeout: float = 90) -> str:
    done = ghostbeam(config, *arguments, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("beamline") / "beamline.toml"
    values = {"prefix": f"T{os.getpid()}:", "ca_port": free_port(), "tiled_port": free_port()}
    path.write_text(CONFIGURATION.format(**values))
    yield path
    ghostbeam(path, "down")


@pytest.fixture(scope="module")
def state_dir(config):
    return config.parent / "state"


@pytest.fixture
def services(config):
    """The services are up."""
    succeed(config, "up")


@pytest.fixture
def at_prompt(config, monkeypatch, capsys):
    """The command in this process, for tests of what it says: returns its exit status, standard output and error."""
    monkeypatch.chdir(config.parent)
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ghostbeam", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def answer(at_prompt):
    """What it prints; it must succeed."""

    def run(*arguments: str) -> str:
        code, out, err = at_prompt(*arguments)
        assert code == 0, out + err
        return out

    return run


@pytest.fixture(scope="module")
def ingested(config, tmp_path_factory):
    """Uid of an ingested run whose reconstructions are in Tiled."""
    folder = tmp_path_factory.mktemp("measured")
    rng = np.random.default_rng(0)
    masks = rng.random((120, 8, 8)).astype(np.float32)
    image = np.zeros((8, 8), np.float32)
    image[2:6, 3:5] = 1
    np.savez(folder / "block.npz", masks=masks, buckets=np.tensordot(masks, image, 2) + rng.normal(0, 0.01, 120))
    succeed(config, "up")
    out = succeed(config, "ingest", str(folder / "block.npz"), "--output", str(folder / "pictures"), timeout=180)
    assert list((folder / "pictures").glob("*.png"))
    (uid,) = re.findall(r"as run (\S{36})", out)
    return uid


@pytest.fixture
def measured(services, ingested):
    """The same, with the services up."""
    return ingested


def processes_of(state_dir: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if any(str(state_dir) in part for part in p.info["cmdline"] or [])]


def test_up_status_down_and_nothing_is_left_running(config, state_dir):
    assert "start them with `ghostbeam up`" in ghostbeam(config, "status").stdout
    assert "are up" in succeed(config, "up")
    assert "were up already" in succeed(config, "up")
    table = succeed(config, "status")
    for service in ("simulation", "tiled", "archiver", "worker"):
        assert service in table
    assert len(processes_of(state_dir)) >= 3
    assert "are down" in succeed(config, "down")
    assert processes_of(state_dir) == []
    assert "No services" in succeed(config, "down")


def test_the_key_is_in_no_file_that_others_may_read_nor_on_a_command_line(config, services, state_dir):
    key = api_key(state_dir)
    for path in state_dir.rglob("*"):
        if path.is_file() and key.encode() in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path
    assert not any(key in part for process in psutil.process_iter(["cmdline"]) for part in process.info["cmdline"] or [])


def test_a_service_that_is_killed_comes_back(config, services, state_dir):
    before = read_status(state_dir, "supervisor")["services"]["archiver"]["pid"]
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        archiver = read_status(state_dir, "supervisor")["services"]["archiver"]
        if archiver["pid"] not in (before, None) and archiver["state"] == "running":
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert archiver["restarts"] >= 1


def test_services_whose_supervisor_was_killed_are_replaced(config, services, state_dir):
    os.kill(read_status(state_dir, "supervisor")["pid"], signal.SIGKILL)
    time.sleep(0.5)
    succeed(config, "up")
    names = [" ".join(process.info["cmdline"]) for process in processes_of(state_dir)]
    assert sum("archive.archiver" in name for name in names) == 1


def test_services_that_hang_are_replaced_too(config, services, state_dir):
    status = read_status(state_dir, "supervisor")
    os.kill(status["services"]["archiver"]["pid"], signal.SIGSTOP)
    os.kill(status["pid"], signal.SIGKILL)
    time.sleep(0.5)
    succeed(config, "up")
    names = [" ".join(process.info["cmdline"]) for process in processes_of(state_dir)]
    assert sum("archiver" in name for name in names) == 1


def test_two_that_start_the_services_at_the_same_moment_share_them(config, state_dir):
    succeed(config, "down")
    command = [sys.executable, "-m", "ghostbeam", "--config", str(config), "up"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for one in both:
        out, _ = one.communicate(timeout=90)
        assert one.returncode == 0, out
    assert sum("ghostbeam.supervisor" in process.cmdline() for process in psutil.process_iter() if _serves(process, config)) == 1


def _serves(process: psutil.Process, config: Path) -> bool:
    try:
        return process.environ().get("GHOSTBEAM_CONFIG") == str(config)
    except psutil.Error:
        return False


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path):
    import fcntl

    with (tmp_path / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ghostbeam(tmp_path / "none.toml", "demo", "--output", str(tmp_path))
    assert done.returncode == 1
    assert "another demo runs" in done.stderr


def test_a_port_in_use_is_named_with_the_key_to_change(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "beamline.toml"
        path.write_text(CONFIGURATION.format(prefix="X:", ca_port=free_port(), tiled_port=port))
        done = ghostbeam(path, "up")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "[tiled] port" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_configuration_is_named_in_one_line(tmp_path):
    path = tmp_path / "beamline.toml"
    path.write_text("[tiled]\nprot = 1\n")
    done = ghostbeam(path, "up")
    assert done.returncode == 1
    assert "prot" in done.stderr
    assert "Traceback" not in done.stderr


def test_replay_makes_a_derived_run_that_verifies_to_the_bit_and_is_exported(config, measured, state_dir, tmp_path):
    out = json.loads(succeed(config, "replay", measured[:8], "--method", "tv", "--options", '{"weight": 0.01}', "--json"))
    assert out["archived"]
    verified = json.loads(succeed(config, "replay", out["uid"], "--verify", "--json"))
    assert verified == {"identical": True, "runs": {out["uid"]: True}}
    everything = json.loads(succeed(config, "replay", measured, "--verify", "--json"))
    assert len(everything["runs"]) == 3
    assert everything["identical"]
    assert exported(config, measured, tmp_path / "tiled.h5", tmp_path / "page.h5") == [(120, 8, 8)] * 2


def exported(config: Path, uid: str, by_tiled: Path, by_page: Path) -> list[tuple[int, ...]]:
    """The shapes of the masks in a run's files from Tiled's client and from the live page, with a reconstruction by tv each."""
    running = ensure_up(load_config(config))
    with connect(running.uri, running.key) as catalog:
        catalog.raw[uid].export(str(by_tiled))
    key = {"Authorization": f"Apikey {running.key}"}
    by_page.write_bytes(httpx.get(f"{running.uri}/custom/page/export", params={"run": uid}, headers=key, timeout=60).content)
    shapes = []
    for path in (by_tiled, by_page):
        with h5py.File(path) as file:
            assert any(entry.startswith("tv_") for entry in file)
            shapes.append(file["entry/data/masks"].shape)
    return shapes


def test_verify_notices_a_single_changed_bit(config, measured, state_dir):
    running = ensure_up(load_config(config))
    with connect(running.uri, running.key) as catalog:
        uid = Live(state_dir)[measured].uid
        stored = catalog.processed[uid]["primary"].base["image"]
        sound = stored.read()
        image = sound.copy()
        image[-1, 0, 0] = np.nextafter(image[-1, 0, 0], np.float32(np.inf))
        stored.write(image)
        done = ghostbeam(config, "replay", uid, "--verify")
        stored.write(sound)
    assert done.returncode == 1
    assert "image differs" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ffffffff"], "no run in the catalogue begins with"),
        (["fff"], "too short"),
        (["{uid}", "--method", "magic"], "unknown method"),
        (["{uid}", "--options", "{"], "is not JSON"),
        (["{uid}", "--method", "tv", "--options", '{"wieght": 1}'], "wieght"),
    ],
)
def test_a_replay_that_makes_no_sense_says_so(at_prompt, measured, arguments, message):
    code, _, err = at_prompt("replay", *[part.replace("{uid}", measured) for part in arguments])
    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_methods_are_compared_on_a_stored_run_without_services(config, measured, state_dir, tmp_path):
    succeed(config, "down")
    before = LogReader(log_paths(state_dir).processed).last_position()
    arguments = ["--method", "tv", "--compare", "differential", "--output", str(tmp_path / "one.png")]
    out = succeed(config, "reconstruct", measured[:8], *arguments)
    assert (tmp_path / "one.png").exists()
    assert f"ghostbeam replay {measured[:8]} --method tv" in out
    assert LogReader(log_paths(state_dir).processed).last_position() == before
    assert "No services" in succeed(config, "down")


def test_recover_brings_back_what_was_deleted_from_tiled(config, measured, state_dir):
    assert "Nothing was missing" in succeed(config, "recover")
    uri, key = tiled_uri(load_config(config)), api_key(state_dir)
    with connect(uri, key) as catalog:
        catalog.raw.delete_contents([measured], recursive=True, external_only=False)
    assert "1 runs were stored in Tiled" in succeed(config, "recover")
    with connect(uri, key) as catalog:
        assert len(catalog.raw[measured]["primary"].base["internal"].read()) == 120


SESSION = """
import sys
sys.argv = ["ipython"]
exec(open({startup!r}).read())
(uid,) = RE(ghost_scan([diode], mask_stage, masks, num=96, exposure=0.1, md={{"sample": "CAS"}}))
print("uid", uid, flush=True)
{then}
"""


def run_session(config: Path, then: str = "") -> subprocess.Popen[str]:
    startup = Path(__file__).parents[2] / "profile_collection" / "startup.py"
    script = SESSION.format(startup=str(startup), then=then)
    environment = {**os.environ, "GHOSTBEAM_CONFIG": str(config), "MPLBACKEND": "agg"}
    for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST"):
        environment.pop(name)
    command = [sys.executable, "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, cwd=config.parent, text=True, **pipes)


def test_a_session_scans_and_sees_its_reconstructions_and_the_catalogue(config, services, state_dir):
    then = """
import time
while len([run for run in live.runs() if run.raw_uid == uid and run.state == "done"]) < 2:
    time.sleep(0.1)
print(live)
assert live["tv"].image.shape == (64, 64)
live.plot().savefig("live.png")
time.sleep(1.0)
assert cat[uid].metadata["start"]["sample"] == "CAS"
assert len(cat[-1]["primary"].read()) > 0
derived = replay(cat[uid], method="differential")
assert derived.metadata["start"]["derived_from"] == uid
print("done", derived.metadata["start"]["uid"])
"""
    session = run_session(config, then)
    out, err = session.communicate(timeout=100)
    assert session.returncode == 0, out[-2000:] + err[-4000:]
    assert "done" in out
    assert "Traceback" not in err
    uid = re.findall(r"uid (\S{36})", out)[0]
    names = [record.name for record in LogReader(log_paths(state_dir).raw).documents(uid)]
    assert names.count("event") == 96 + 10 + 2  # realizations, darks, baseline


def test_a_session_that_is_killed_leaves_a_run_that_ends_and_is_reconstructed(config, services, state_dir):
    session = run_session(config, "RE(ghost_scan([diode], mask_stage, masks, num=200))")
    reader = LogReader(log_paths(state_dir).raw)
    deadline = time.monotonic() + 60
    for line in session.stdout:
        if line.startswith("uid"):
            break
    first = next(run.first for run in reader.runs() if run.uid == line.split()[1])
    while True:  # the second scan is under way
        runs = reader.runs(after=first)
        if runs and sum(record.name == "event" for record in reader.documents(runs[-1].uid)) > 90:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    session.kill()
    session.communicate()
    uid = runs[-1].uid
    while reader.state(uid) is not RunState.ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    live = Live(state_dir)
    while {run.method for run in live.runs() if run.raw_uid == uid and run.state == "done"} != {"differential", "tv"}:
        assert time.monotonic() < deadline + 30
        time.sleep(0.1)
    stop = list(reader.documents(uid))[-1].doc
    assert stop["exit_status"] == "fail"
    assert "cut short" in stop["reason"]


def test_results_as_json_for_other_programs(measured, answer, state_dir):
    up = json.loads(answer("up", "--json"))
    assert up["started"] is False and up["uri"].startswith("http://127.0.0.1:") and Path(up["key_file"]).is_file()
    status = json.loads(answer("status", "--json"))
    assert status["healthy"] and {"tiled", "archiver", "worker"} <= set(status["services"])
    assert all(service["well"] for service in status["services"].values())
    last = json.loads(answer("runs", "--json", "--num", "1"))["runs"]
    newest = LogReader(log_paths(state_dir).raw).runs()[-1]
    assert [run["uid"] for run in last] == [newest.uid]
    assert measured[:8] in answer("runs")
    recovered = json.loads(answer("recover", "--json"))
    assert recovered["still_missing"] == [] and recovered["damaged"] == {}


def test_verification_names_method_and_scan(measured, answer):
    answer("replay", measured, "--method", "differential")
    assert re.search(r"differential of (scan|run) \w+: ", answer("replay", measured, "--verify"))


def test_a_uid_that_is_too_short_is_refused_before_services_start(tmp_path, at_prompt):
    (tmp_path / "beamline.toml").write_text("")
    for arguments in (("replay", "abc"), ("replay", "abc", "--verify")):
        code, _, err = at_prompt("--config", str(tmp_path / "beamline.toml"), *arguments)
        assert code == 1 and "'abc' is too short: give 5 or more" in err
    assert not (tmp_path / ".ghostbeam" / "services").exists()


def test_a_shell_can_complete_commands(tmp_path):
    environment = os.environ | {"_GHOSTBEAM_COMPLETE": "complete_bash", "COMP_WORDS": "ghostbeam re", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'ghostbeam'; from ghostbeam.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert {"replay", "reconstruct", "recover"} <= set(done.stdout.split())
