"""Failures of processes: killed, stopped for some time, or all of them gone at once as when the machine restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks._session import SessionProcess
from benchmarks.drills.chain import NUM, RECIPES, SCAN_S, SERVICES, Chain
from ghostbeam.control import supervisor_status

TARGETS = ("worker", "archiver", "tiled", "session")
_RESTART_S = {"worker": 0.5, "archiver": 0.5, "tiled": 30.0}
_QUICK_OUTAGE_S = 4.0
_STOPPED_S, _QUICK_STOPPED_S = 120.0, 8.0
_AFTER_SCAN_S = 5.0  # a service may be killed until this long after the scan: reconstructions end, and runs are read back


def killed(chain: Chain) -> str:
    """`kill -9` of one process, each of the four in turn; a service is restarted, the session is not."""
    target = TARGETS[len(chain.runs) % len(TARGETS)]
    if target == "session":
        return _session_killed(chain)
    outage_s = _QUICK_OUTAGE_S if target == "tiled" and chain.quick else _RESTART_S[target]
    return _service_gone(chain, target, f"{target} killed", outage_s, chain.services.kill, chain.services.start)


def stopped(chain: Chain) -> str:
    """SIGSTOP of one process during a scan, and SIGCONT two minutes later."""
    target = TARGETS[len(chain.runs) % len(TARGETS)]
    outage_s = _QUICK_STOPPED_S if chain.quick else _STOPPED_S
    if target != "session":
        what = f"{target} stopped for {outage_s:.0f} s"
        return _service_gone(chain, target, what, outage_s, chain.services.stop, chain.services.resume)
    session = SessionProcess(chain.services.config_file)
    delay = chain.random.uniform(0.0, 2.0)
    try:
        session.order(num=NUM, exposure=0.1, logged=True, recipes=RECIPES)
        time.sleep(delay)
        session.signal(signal.SIGSTOP)
        time.sleep(outage_s)
        session.signal(signal.SIGCONT)
        uid = session.answer()["uid"]
    finally:
        session.kill()
    chain.runs[uid] = RECIPES
    return f"session stopped for {outage_s:.0f} s {delay:.1f} s after its scan had begun; {chain.settle(uid)}"


def reboot(chain: Chain) -> str:
    """Session, supervisor and all services are killed at once during a scan, then `ghostbeam up`."""
    services = chain.services
    services.end(*SERVICES)
    _ghostbeam(chain, "up")
    session = SessionProcess(services.config_file)
    delay = chain.random.uniform(0.5, 3.0)
    before = len(chain.raw.runs())
    try:
        session.order(num=10 * NUM, exposure=0.1, logged=True, recipes=RECIPES)
        while len(chain.raw.runs()) == before:
            time.sleep(0.05)
        time.sleep(delay)
        _kill_everything(chain)
    finally:
        session.kill()
    uid = chain.raw.runs()[-1].uid
    chain.runs[uid] = RECIPES
    _ghostbeam(chain, "up")
    settled = chain.settle(uid)
    _ghostbeam(chain, "down")
    services.start(*SERVICES)
    return f"everything killed at once {delay:.1f} s after the scan had begun, then `up`; {settled}"


def down(chain: Chain) -> str:
    """`ghostbeam down` during a scan, and `ghostbeam up` after it."""
    chain.services.end(*SERVICES)
    _ghostbeam(chain, "up")
    moment = chain.random.uniform(0.0, SCAN_S)
    with chain.meanwhile(moment, lambda: _ghostbeam(chain, "down")):
        uid = chain.scan()
    chain.services.start(*SERVICES)
    return f"`down` {moment:.1f} s after the scan had begun, services started again after it; {chain.settle(uid)}"


def _service_gone(
    chain: Chain,
    target: str,
    what: str,
    outage_s: float,
    go: Callable[[str], None],
    come_back: Callable[[str], None],
) -> str:
    moment = chain.random.uniform(0.0, SCAN_S + _AFTER_SCAN_S)

    def act() -> None:
        go(target)
        time.sleep(outage_s)
        come_back(target)

    with chain.meanwhile(moment, act):
        uid = chain.scan()
    return f"{what} {moment:.1f} s after the scan of {SCAN_S:.1f} s had begun; {chain.settle(uid)}"


def _session_killed(chain: Chain) -> str:
    session = SessionProcess(chain.services.config_file)
    delay = chain.random.uniform(0.0, 1.0)
    try:
        session.order(num=NUM, exposure=0.1, logged=True, hold=True, recipes=RECIPES)
        session.answer()
        time.sleep(delay)
    finally:
        session.kill()
    uid = chain.raw.runs()[-1].uid
    chain.runs[uid] = RECIPES
    return f"session killed {delay:.2f} s after its last event; {chain.settle(uid)}"


def _ghostbeam(chain: Chain, command: str) -> None:
    config = str(chain.services.config_file)
    subprocess.run([sys.executable, "-m", "ghostbeam", "--config", config, command], check=True, stdout=subprocess.DEVNULL)


def _kill_everything(chain: Chain) -> None:
    status = supervisor_status(chain.services.state_dir)
    assert status is not None, "the supervisor runs"
    os.kill(status["pid"], signal.SIGKILL)  # first, otherwise it would restart the services
    for figures in status["services"].values():
        if figures["pid"]:
            os.killpg(figures["pid"], signal.SIGKILL)
