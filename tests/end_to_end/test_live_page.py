"""The live page in a real browser during a scan of the simulated beamline, with all services."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Browser, needs_chromium

from benchmarks._services import Services
from benchmarks._session import SessionProcess
from ghostbeam.services import page_link

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), needs_chromium]

COUNTS = "[...document.querySelectorAll('canvas.pixels')].map((canvas) => Number(canvas.dataset.count ?? 0))"
PIXELS = "document.querySelector('canvas.pixels').toDataURL()"


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services(methods=["differential", "tv"], num_masks=256, speed=10.0) as services:
        services.start("repeater", "simulation", "tiled", "archiver", "worker")
        yield services


def test_images_appear_and_grow_during_a_real_scan(services: Services) -> None:
    session = SessionProcess(services.config_file)
    scan = threading.Thread(target=lambda: session.scan(num=200, exposure=0.1, logged=True))
    try:
        with Browser() as browser:
            browser.open(page_link(services.config))
            browser.wait("document.getElementById('status').textContent === 'no scan yet'")
            scan.start()
            browser.wait("document.getElementById('status').textContent === 'scanning'", 240)
            browser.wait(f"{COUNTS}.length === 4 && Math.min(...{COUNTS}) > 0", 240)
            early = browser.value(PIXELS)
            browser.wait("document.querySelectorAll('.mark.done, .mark.waiting').length >= 2", 240)
            browser.wait("document.getElementById('rows').textContent === '200'")
            browser.wait(f"{PIXELS} !== '{early}'")
            browser.wait("document.querySelectorAll('.plot svg').length > 0")
            assert "realizations" in browser.text() and "held-out loss" in browser.text()
            assert "worker running" in browser.text()
            browser.wait(
                "[...document.querySelectorAll('.mark')].filter((one) => one.textContent === 'verified').length === 2", 120
            )
            late: Any = browser.value(PIXELS)
            browser.reload()
            browser.wait(f"{COUNTS}.length === 4 && Math.min(...{COUNTS}) > 0")
            assert browser.value(PIXELS) == late
    finally:
        session.kill()
        scan.join()


def test_command_prints_the_link_and_opens_it(services: Services, tmp_path: Any) -> None:
    opened = tmp_path / "opened"
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    opener.chmod(0o755)
    command = [sys.executable, "-m", "ghostbeam", "--config", str(services.config_file), "page"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "BROWSER": f"{opener} %s"}, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{services.uri}/custom/page/#key=")
    assert opened.read_text() == done.stdout
