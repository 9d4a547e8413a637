"""Folders and files that are accessible only to their owner."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path


def private_folder(path: Path | str) -> Path:
    """Make a folder and its missing parents, accessible only to its owner (0700); an existing folder stays as it is.

    A folder that its group may write to is shared with that group, and so is everything made in it: make the state directory
    yourself, with `chmod g+rwxs`, if several people are to use it.
    """
    path = Path(path)
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        if shared := _shared(path.parent):
            path.chmod(stat.S_IMODE(path.stat().st_mode) | shared)
    return path


def private_file(path: Path | str) -> Path:
    """Make an empty file for its owner only (0600; see `private_folder` for a group); an existing file stays as it is."""
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path
    try:
        os.fchmod(descriptor, 0o600 | (_shared(path.parent) & 0o060))  # whatever the umask
    finally:
        os.close(descriptor)
    return path


def private_secret(path: Path | str) -> str:
    """64 random hexadecimal digits in a file that only its owner can read; made on first use and never changed."""
    path = Path(path)
    if not path.exists():
        private_folder(path.parent)
        # The complete file is linked into place: a process that comes at the same moment reads one secret or the other, never
        # half of one.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(secrets.token_hex(32))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text().strip()


def _shared(folder: Path) -> int:
    """The rights of the group in a folder that is shared with it; otherwise 0."""
    mode = folder.stat().st_mode
    return mode & stat.S_IRWXG if mode & stat.S_IWGRP else 0
