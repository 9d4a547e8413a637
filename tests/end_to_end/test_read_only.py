"""A state folder that nobody can write to: every command says so in one line, and ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CONFIGURATION = 'simulated = true\nstate_dir = "state"\n'
UNSHARE = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]


@pytest.mark.parametrize("command", ["up", "recover"])
def test_a_command_that_must_write_names_the_folder(tmp_path, command):
    (tmp_path / "beamline.toml").write_text(CONFIGURATION)
    state = tmp_path / "state"
    state.mkdir()
    mount = f"mount -t tmpfs -o ro tmpfs {state} || exit 77; "
    ghostbeam = f"{sys.executable} -m ghostbeam --config {tmp_path / 'beamline.toml'} {command}"
    try:
        done = subprocess.run([*UNSHARE, "sh", "-c", mount + ghostbeam], capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("there is no program unshare")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mount namespace is permitted here ({done.stderr.strip()})")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and str(state) in done.stderr and "Read-only" in done.stderr, done.stderr
