"""The page in a real Chromium, on runs of a technique that nothing of the page knows, with hostile words in every document."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from browser import Browser, needs_chromium
from PIL import Image
from servers import TiledServer

from analysis.archive.read_key import read_key
from analysis.documents.derived import DerivedRun, Standing, derived_start
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.status import StatusFile
from analysis.estimate import Estimate, Quantity

pytestmark = [pytest.mark.e2e, needs_chromium]

EVIL = "<img src=x onerror=document.title='taken'>"
RAMP = np.linspace(0.0, 255.0, 12, dtype="<f4").reshape(3, 4)
SHOWN = """[...document.querySelectorAll('figure')].map((figure) => {
  const canvas = figure.querySelector('canvas.pixels');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return [figure.dataset.array, canvas.width, canvas.height, [...pixels].filter((_, place) => place % 4 === 0)];
})"""


@dataclass
class Measured:
    """A run and its reconstruction, on their way into the log."""

    server: TiledServer
    sample: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        paths = log_paths(self.server.state_dir)
        self.raw, processed = LogWriter(paths.raw), LogWriter(paths.processed)
        self.start = {"uid": self.uid, "time": 1e9, "sample": self.sample, "plan_name": EVIL, "num_points": 10, "scan_id": 4}
        self.raw("start", self.start)
        shape, dims = (2,) * len(self.channels) + (3, 4), (*self.channels, "y", "x")
        quantities = {
            "tilt": Quantity(f"tilt {EVIL}", "mrad", "<f4", shape, dims),
            "doubt": Quantity("doubt", "mrad", "<f4", shape, dims),
            "misfit": Quantity(f"misfit {EVIL}", lower_is_better=True, useless_from=1.0),
        }
        metadata = {"image": {"pixel_size_um": 2.0}}
        recipe = Recipe(f"guess {EVIL}")
        told: dict[str, Any] = {"purpose": "replay", "rows": "guesses", "metadata": metadata, "remarks": [EVIL]}
        start = derived_start(self.start, recipe, uid=str(uuid.uuid4()), **told)
        self.derived = DerivedRun(processed, start, quantities, expected=10)

    def estimate(self, tilt: np.ndarray, used: int, *, misfit: float = 0.5, final: bool = False) -> None:
        estimate = Estimate({"tilt": tilt, "doubt": tilt[::-1]}, {"misfit": misfit})
        self.derived.estimate(estimate, Standing(used, used, used), final=final, elapsed_s=0.1)

    def end(self) -> None:
        self.derived.close()
        stop = {"uid": str(uuid.uuid4()), "time": 1e9 + 60, "run_start": self.uid, "exit_status": "abort", "reason": EVIL}
        self.raw("stop", {**stop, "num_events": {}})


@pytest.fixture
def archiver(tiled_server: TiledServer) -> Iterator[None]:
    command = [sys.executable, "-m", "analysis.archive.archiver", "--state-dir", str(tiled_server.state_dir)]
    with (tiled_server.state_dir / "archiver.log").open("ab") as log:
        process = subprocess.Popen([*command, "--uri", tiled_server.uri], stdout=log, stderr=log)
    yield
    process.terminate()
    process.wait(60)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def link(server: TiledServer, **more: str) -> str:
    return f"{server.uri}/custom/page/#key={read_key(server.state_dir)}" + "".join(f"&{key}={more[key]}" for key in more)


@pytest.mark.usefixtures("archiver")
def test_further_channels_of_an_array_are_chosen(tiled_server: TiledServer, browser: Browser) -> None:
    measured = Measured(tiled_server, "elements", channels=("element",))
    measured.estimate(np.stack([RAMP, RAMP[:, ::-1]]), 10, final=True)
    measured.end()
    browser.open(link(tiled_server, run=measured.uid))
    wait_for_estimate(browser, 1)
    first = browser.value(SHOWN)[0][3]
    assert "element 1 of 2" in browser.text()
    browser.value("[...document.querySelectorAll('.channels button')][1].click()")
    browser.wait("document.querySelector('.channels').textContent.includes('element 2 of 2')")
    assert browser.value(SHOWN)[0][3] == first[3::-1] + first[7:3:-1] + first[11:7:-1]


def test_runs_before_the_last_ones_are_listed_and_shown_when_asked_for(tiled_server: TiledServer, browser: Browser) -> None:
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    for number in range(50):
        start = {"uid": str(uuid.uuid4()), "time": 1e9 + number, "sample": f"sample {number}", "scan_id": number}
        writer("start", start)
        stop = {"uid": str(uuid.uuid4()), "time": 1e9 + 60, "run_start": start["uid"], "exit_status": "success", "reason": ""}
        writer("stop", {**stop, "num_events": {}})
    browser.open(link(tiled_server))
    listed = "[...document.querySelectorAll('#runs li a')].map((one) => one.textContent)"
    browser.wait(f"{listed}.length === 20")
    assert browser.value(listed)[-1] == "30 sample 30"
    browser.value("document.getElementById('older').click()")
    browser.wait(f"{listed}.length === 40")
    browser.value("[...document.querySelectorAll('#runs li a')].at(-1).click()")
    browser.wait("document.getElementById('sample').textContent === 'sample 10'")
    browser.reload()
    browser.wait("document.getElementById('sample').textContent === 'sample 10'")


def test_a_paused_scan_is_said_to_be_paused_with_what_is_read_now(tiled_server: TiledServer, browser: Browser) -> None:
    measured = Measured(tiled_server, "lens")
    status = StatusFile(tiled_server.state_dir, "session")
    said: dict[str, Any] = {"run": measured.uid, "state": "running", "waiting": []}
    status.write({**said, "conditions": [{"name": "ring current", "value": 399.52, "units": "mA"}]}, every_s=0)
    browser.open(link(tiled_server))
    browser.wait("document.getElementById('now-conditions').textContent === 'ring current400 mA'")
    status.write({**said, "state": "paused", "conditions": []}, every_s=0)
    browser.wait("document.getElementById('status').textContent === 'paused'")
    status.write({**said, "waiting": ["ring current below 20 mA"], "conditions": []}, every_s=0)
    browser.wait("document.getElementById('status').textContent === 'ring current below 20 mA'")
    measured.end()  # a page that follows the newest run shows one that is running first


def wait_for_estimate(browser: Browser, count: int) -> None:
    drawn = "[...document.querySelectorAll('canvas.pixels')].map((canvas) => Number(canvas.dataset.count ?? 0))"
    browser.wait(f"{drawn}.length === 2 && Math.min(...{drawn}) === {count}")


def wait_until_verified(browser: Browser) -> None:
    browser.wait("[...document.querySelectorAll('.mark')].some((mark) => mark.textContent === 'verified')")


@pytest.mark.usefixtures("archiver")
def test_images_come_and_change_while_they_are_made_and_a_reload_shows_the_same(
    tiled_server: TiledServer, browser: Browser
) -> None:
    measured = Measured(tiled_server, "lens")
    browser.open(link(tiled_server))
    browser.wait("document.getElementById('sample').textContent === 'lens'")
    measured.estimate(RAMP, 2)
    wait_for_estimate(browser, 1)
    (tilt, doubt) = browser.value(SHOWN)
    np.testing.assert_allclose(tilt[3], RAMP.ravel(), atol=1.0)
    assert (tilt[:3], doubt[:3]) == (["tilt", 4, 3], ["doubt", 4, 3])
    with_gap = RAMP[:, ::-1].copy()
    with_gap[0, 0] = np.nan
    measured.estimate(with_gap, 5)
    wait_for_estimate(browser, 2)
    assert browser.value(SHOWN)[0][3][1:] == tilt[3][3::-1][1:] + tilt[3][7:3:-1] + tilt[3][11:7:-1]
    assert browser.value(SHOWN)[0][3][0] not in tilt[3], "where there is no value there is no value's colour"
    browser.wait("document.querySelector('.mark').textContent === 'live'")
    browser.wait("document.querySelector('.ruler').textContent === '2 µm'")
    before = browser.value(SHOWN)
    browser.reload()
    wait_for_estimate(browser, 2)
    assert browser.value(SHOWN) == before
    measured.estimate(RAMP, 10, misfit=1.5, final=True)
    measured.end()
    wait_for_estimate(browser, 3)
    browser.wait("document.querySelector('.mark').textContent === 'final, no better than flat'")
    browser.wait("document.getElementById('status').textContent === 'aborted'")
    wait_until_verified(browser)
    browser.wait("document.querySelectorAll('.plot svg').length > 0")


@pytest.mark.usefixtures("archiver")
def test_what_stands_in_documents_is_shown_as_text(tiled_server: TiledServer, browser: Browser) -> None:
    measured = Measured(tiled_server, EVIL)
    measured.estimate(RAMP, 2)
    measured.estimate(RAMP, 10, final=True)
    measured.end()
    browser.open(link(tiled_server, run=measured.uid))
    browser.wait("document.getElementById('sample').textContent.startsWith('<img')")
    wait_for_estimate(browser, 2)
    wait_until_verified(browser)
    browser.wait("document.querySelectorAll('.plot svg').length > 0")
    browser.value("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    browser.wait(f"document.querySelector('.foot .tree').textContent.includes({EVIL!r})")
    text = browser.text()
    assert text.count(EVIL) >= 5, text
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.value("document.title") == "ghostbeam"


def test_wrong_key_shows_nothing(tiled_server: TiledServer, browser: Browser) -> None:
    Measured(tiled_server, "secret sample")
    for wrong in ("#key=wrong", "#key=" + read_key(tiled_server.state_dir)[:-4] + "AAAA", ""):
        browser.open(f"{tiled_server.uri}/custom/page/{wrong}")
        browser.wait("document.body.innerText.includes('ghostbeam page')")
        assert "secret" not in browser.text()


@pytest.mark.usefixtures("archiver")
def test_what_is_shown_can_be_had_as_files(tiled_server: TiledServer, browser: Browser, tmp_path: Path) -> None:
    measured = Measured(tiled_server, "lens")
    measured.estimate(RAMP, 10, final=True)
    measured.end()
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(link(tiled_server, run=measured.uid))
    wait_for_estimate(browser, 1)
    wait_until_verified(browser)
    for kind, suffix in (("TIFF", ".tiff"), ("HDF5", ".h5"), ("CSV", ".csv"), ("picture", ".png")):
        browser.value(f"[...document.querySelectorAll('button')].find((one) => one.textContent === '{kind}').click()")
        browser.wait(f"[...document.querySelectorAll('button')].find((one) => one.textContent === '{kind}').disabled === false")
        assert browser.value("document.querySelectorAll('button.failed').length") == 0, kind
        file = wait_for_file(tmp_path, suffix)
        check(kind, file)


def wait_for_file(folder: Path, suffix: str) -> Path:
    deadline = time.monotonic() + 30
    while not (found := list(folder.glob(f"*{suffix}"))):
        assert time.monotonic() < deadline, f"no {suffix}"
        time.sleep(0.05)
    return found[0]


def check(kind: str, file: Path) -> None:
    if kind == "TIFF":
        np.testing.assert_array_equal(tifffile.imread(file), RAMP)
    elif kind == "HDF5":
        with h5py.File(file) as content:
            np.testing.assert_array_equal(content["tilt"], RAMP)
            np.testing.assert_array_equal(content["doubt"], RAMP[::-1])
            assert (content["tilt"].attrs["units"], content["misfit"][()]) == ("mrad", 0.5)
            assert json.loads(content.attrs["start"])["sample"] == "lens"
    elif kind == "CSV":
        heading, row = file.read_text().splitlines()
        assert dict(zip(heading.split(","), row.split(","), strict=True))["misfit"] == "0.5"
    else:
        with Image.open(file) as image:
            assert image.height > 512 and len(set(image.convert("L").tobytes())) > 12


def test_page_needs_nothing_from_elsewhere(tiled_server: TiledServer, browser: Browser) -> None:
    browser.open(link(tiled_server))
    browser.wait("window.Plotly && document.getElementById('status').textContent !== '…'")
    loaded = browser.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded and all(address.startswith(tiled_server.uri) for address in loaded if not address.startswith("data:"))
