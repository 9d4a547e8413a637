import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from soft_ioc import PORT, soft_ioc

from sims.__main__ import main, parser


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "sims", *arguments], capture_output=True, text=True, timeout=30)


def test_help_explains_every_option_and_every_pv(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    names = (
        "MASK:Y MASK:X SAMPLE:Y SHUTTER:Cmd:Opn-Cmd SHUTTER:Cmd:Cls-Cmd SHUTTER:Pos-Sts SHUTTER:Sts:FailOpn-Sts "
        "SHUTTER:Sts:FailCls-Sts BLADE:Close BLADE:Closed SCALER EM: SUM: "
        "RING:Current SIM:Ready FAULT:LostTrigger FAULT:LateTrigger FAULT:StalledAxis "
        "FAULT:ShutterStuck FAULT:BeamDump FAULT:DiodeSaturation PIX:cam1: PIX:HDF1: NumCaptured_RBV TRIG:PC_ GATE_START "
        "FAULT:MissedTrigger FAULT:DroppedFrame FAULT:PositionJitter FAULT:FileClosesEarly FAULT:FullDisk FAULT:WriterKilled "
        "DUAL:cam1: DUAL:HDF1: FAULT:DualOutOfFocus FAULT:DualLag"
    )
    for name in re.findall(r"\S+", names):
        assert name in text
    assert all(action.help for action in parser()._actions)
    assert max(len(line) for line in text.splitlines()) <= 118


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sample", "cat"], "there is no sample 'cat'"),
        (["--plate", "nowhere.npz"], "nowhere.npz"),
        (["--photons", "0"], "photons per second must be above 0"),
        (["--gain", "-1"], "the gain of a counter must be above 0"),
        (["--seed", "-1"], "--seed must be 0 or more"),
        (["--coherent-sample", "cat"], "there is no coherent sample 'cat': choose one of star, fibres"),
        (["--frames", "fast"], "there is no mode 'fast' of making frames"),
        (["--pair-scene", "cat"], "there is no scene 'cat' for frame pairs: choose one of flow, nuclei, bars, texture"),
        (["--pair-photons", "0"], "the photons per second and pixel must be above 0"),
        (["--dual-sensor", "0", "4"], "sensor must have at least 1 row and 2 columns"),
        (["--flux", "0"], "the flux must be above 0"),
        (["--source-um", "-1"], "the source's image must be 0 um or more"),
        (["--dead-pixels", "-1"], "the number of dead pixels must be 0 or more"),
        (["--hot-pixels", "40000"], "0 dead and 40000 hot pixels among 36864"),
        (["--pixel-dead-time", "-1"], "the dead time of a pixel must be 0 s or more"),
        (["--slope", "7"], "the slope of an edge must be 0 to 1 pixel"),
        (["--jitter-um", "-1"], "the jitter of the mask stage must be 0 um or more"),
        (["--speed", "0"], "the speed factor must be above 0"),
        (["--port", "70000"], "a port is a number from 1 to 65535"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, complaint, plate_file, capsys):
    assert main(["--plate", str(plate_file), "--port", str(PORT), *arguments]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.startswith("python -m sims: ") and len(error.splitlines()) == 1


def test_a_port_in_use_is_named(plate_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--plate", str(plate_file), "--port", str(port))
    assert ended.returncode == 2 and ended.stdout == ""
    assert re.search(
        rf"port {port} on 127.0.0.1 cannot be used: Address already in use. Choose another with --port", ended.stderr
    )
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.ioc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_quietly_in_the_middle_of_an_exposure(number, plate_file):
    command = [sys.executable, "-m", "sims", "--prefix", "T:", "--port", str(PORT), "--plate", str(plate_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == f"ready: T: on 127.0.0.1:{PORT}\n"
        # A put that waits for an exposure of 100 s.
        put = (
            "from caproto.sync.client import write; write('T:SCALER.TP', 100.0, notify=True); "
            "write('T:MASK:Y', 0.1); write('T:SCALER.CNT', 1)"
        )
        environment = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{PORT}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
        subprocess.run([sys.executable, "-c", put], env=environment, timeout=30, check=True)
        time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()


@pytest.mark.ioc
def test_only_the_loopback_interface_is_used_and_an_idle_simulation_rests(plate_file):
    import psutil

    with soft_ioc(plate=plate_file) as ioc:
        process = psutil.Process(ioc.process.pid)
        assert {connection.laddr.ip for connection in process.net_connections()} == {"127.0.0.1"}
        before = sum(process.cpu_times()[:2])
        time.sleep(1)
        assert sum(process.cpu_times()[:2]) - before < 0.1
