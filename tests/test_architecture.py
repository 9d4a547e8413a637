"""Imports point one way, and importing is free."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Run in a process of its own: imports a module, then tells what that opened and loaded.
PROBE = """
import importlib, json, os, sys, threading
import psutil
importlib.import_module(sys.argv[1])
process = psutil.Process()
print(json.dumps({
    "files": [file.path for file in process.open_files()],
    "sockets": len(process.net_connections()),
    "children": len(process.children()),
    "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
    "torch": "torch" in sys.modules,
    "tiled": "tiled" in sys.modules,
    "libca": getattr(sys.modules.get("epics.ca"), "libca", None) is not None,
    "made": os.listdir("."),
}))
"""


def probe(module: str, folder: Path) -> dict:
    import json

    command = [sys.executable, "-c", PROBE, module]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_arrows_between_packages_hold():
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# The modules of devices are not here: ophyd itself loads libca when it is imported.
PACKAGES = ["beamline", "plans", "analysis", "sims", "ghostbeam"]
MODULES = ["beamline.config", "beamline.plates", "analysis.views.live", "analysis.ghost", "sims.ioc", "ghostbeam.cli"]


@pytest.mark.parametrize("module", PACKAGES + MODULES)
def test_importing_opens_nothing_and_loads_no_torch(module, tmp_path):
    found = probe(module, tmp_path)
    assert not found.pop("tiled")  # its client alone takes more than a second
    assert found == {"files": [], "sockets": 0, "children": 0, "threads": [], "torch": False, "libca": False, "made": []}


@pytest.mark.parametrize("module", ["ghostbeam.supervisor", "ghostbeam.status_table", "ghostbeam.session", "analysis.views.runs"])
def test_commands_that_need_no_client_of_tiled_do_not_load_it(module, tmp_path):
    assert not probe(module, tmp_path)["tiled"]


def test_no_torch_in_the_interpreter_of_a_session(tmp_path):
    # What profile_collection/startup.py imports from ghostbeam and analysis.
    for module in ("ghostbeam.control", "ghostbeam.reprocess", "analysis.archive.catalog"):
        assert not probe(module, tmp_path)["torch"]
