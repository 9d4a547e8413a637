"""The page by plain HTTP, from a real Tiled: who may see what, and that nobody can change anything."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import pytest
from made_runs import MadeRun, mask_set
from servers import TiledServer

from analysis.archive.catalog import connect
from analysis.archive.read_key import read_key
from analysis.documents.log import LogWriter, log_paths


@pytest.fixture
def page(tiled_server: TiledServer):
    with httpx.Client(base_url=f"{tiled_server.uri}/custom/page/", timeout=30) as client:
        yield client


@pytest.fixture
def reading(tiled_server: TiledServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {read_key(tiled_server.state_dir)}"}


def test_page_is_served_with_a_policy_that_allows_no_foreign_script(page: httpx.Client) -> None:
    answer = page.get("")
    assert answer.status_code == 200 and "<title>ghostbeam" in answer.text
    assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "http" not in answer.text, "everything comes from this server"
    assert page.get("main.js").status_code == 200


def test_files_beside_the_page_are_not_served(page: httpx.Client) -> None:
    for name in ("..%2frouter.py", "%2e%2e/router.py", "router.py", "nothing.js"):
        assert page.get(name).status_code == 404, name


def test_state_needs_a_valid_key(page: httpx.Client, tiled_server: TiledServer, reading: dict[str, str]) -> None:
    assert page.get("state").status_code == 401
    wrong = read_key(tiled_server.state_dir)[:-5] + "AAAAA"
    assert page.get("state", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    assert page.get("state", headers=reading).status_code == 200
    assert page.get("state", headers={"Authorization": f"Apikey {tiled_server.key}"}).status_code == 200


def test_scan_is_told_while_it_runs_and_when_it_has_ended(
    page: httpx.Client, tiled_server: TiledServer, reading: dict[str, str]
) -> None:
    run = MadeRun(mask_set(), num=20, md={"sample": "<img src=x onerror=alert(1)>"})
    documents = run.documents()
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    for name, doc in documents[:-6]:
        writer(name, doc)
    scan = scan_with(15, page, reading)
    assert (scan["uid"], scan["expected"], scan["exit_status"]) == (run.uid, 20, None)
    assert scan["sample"] == "<img src=x onerror=alert(1)>"
    for name, doc in documents[-6:]:
        writer(name, doc)
    scan = scan_with(20, page, reading)
    assert (scan["exit_status"], scan["left_s"]) == ("success", None)
    writer.close()


def scan_with(rows: int, page: httpx.Client, reading: dict[str, str]) -> dict[str, Any]:
    """What the page says of the scan, once it says so many rows: browsers share a state for a moment."""
    deadline = time.monotonic() + 30
    while True:
        scan: dict[str, Any] | None = page.get("state", headers=reading).json()["scan"]
        if scan is not None and scan["rows"] == rows:
            return scan
        assert time.monotonic() < deadline, scan


def test_reading_key_reads_and_changes_nothing(tiled_server: TiledServer, reading: dict[str, str]) -> None:
    with connect(tiled_server.uri, tiled_server.key), httpx.Client(base_url=f"{tiled_server.uri}/api/v1", timeout=30) as client:
        assert client.get("/search/", headers=reading).status_code == 200
        new = {"structure_family": "container", "metadata": {}, "specs": [], "data_sources": []}
        assert client.post("/metadata/", json=new, headers=reading).status_code == 401
        assert client.patch("/metadata/raw", json={"metadata": {}}, headers=reading).status_code == 401
        assert client.delete("/metadata/raw?recursive=true", headers=reading).status_code == 401


def test_foreign_origin_is_told_nothing_and_may_write_nothing(tiled_server: TiledServer, reading: dict[str, str]) -> None:
    foreign = {"Origin": "http://elsewhere.example"}
    asked = {**foreign, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = httpx.options(f"{tiled_server.uri}/api/v1/metadata/", headers=asked, timeout=30)
    assert "access-control-allow-origin" not in preflight.headers
    answer = httpx.get(f"{tiled_server.uri}/custom/page/state", headers={**reading, **foreign}, timeout=30)
    assert "access-control-allow-origin" not in answer.headers
    # what a browser that was given the writing key as a cookie would send along
    cookie = {"tiled_api_key": tiled_server.key}
    with httpx.Client(cookies=cookie, timeout=30) as client:
        new = {"structure_family": "container", "metadata": {}, "specs": [], "data_sources": []}
        assert client.post(f"{tiled_server.uri}/api/v1/metadata/", json=new, headers=foreign).status_code == 403


def test_key_gets_into_no_log(page: httpx.Client, tiled_server: TiledServer, reading: dict[str, str]) -> None:
    page.get("state", headers=reading)
    page.get("nothing.js", headers=reading)
    assert reading["Authorization"].split()[1] not in (tiled_server.state_dir / "tiled.log").read_text()


def test_scan_in_the_dark_is_named(page: httpx.Client, tiled_server: TiledServer, reading: dict[str, str]) -> None:
    dark = {number: {"diode": 20.0, "diode_monitor": 10.0} for number in range(1, 31)}
    writer = LogWriter(log_paths(tiled_server.state_dir).raw)
    for name, doc in MadeRun(mask_set(), num=30, values=dark, seed=5).documents()[:-5]:
        writer(name, doc)
    writer.close()
    assert "no higher than without light" in scan_with(26, page, reading)["doubt"]


def test_newest_arrays_need_a_key_and_an_estimate(page: httpx.Client, reading: dict[str, str]) -> None:
    unknown = f"newest?run={uuid.uuid4()}"
    assert page.get(unknown).status_code == 401
    answer = page.get(unknown, headers=reading)
    assert answer.status_code == 404 and "the page shows no reconstruction" in answer.json()["detail"]
