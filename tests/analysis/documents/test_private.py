"""Folders and files of a state directory: their owner's alone, unless a folder is shared with a group."""

from __future__ import annotations

import os

import pytest

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.private import private_file, private_folder


def mode(path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_a_log_is_its_owners_alone(tmp_path, umask):
    tmp_path.chmod(0o755)
    state_dir = tmp_path / "a" / "state"
    path = log_paths(state_dir).raw
    writer = LogWriter(path)
    assert {mode(folder) for folder in (state_dir.parent, state_dir, path.parent)} == {0o700}
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    writer.close()


def test_what_is_there_stays_as_it_is(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o751)
    file = folder / "file"
    file.write_text("text")
    file.chmod(0o644)
    assert private_folder(folder) == folder and private_file(file) == file
    assert (mode(folder), mode(file), file.read_text()) == (0o751, 0o644, "text")


def test_a_folder_that_is_shared_with_a_group_stays_shared(tmp_path, umask):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o2770)
    below = private_folder(folder / "log")
    assert mode(below) & 0o770 == 0o770 and not mode(below) & 0o007
    assert mode(private_file(below / "raw.db")) == 0o660
