"""A mount namespace for the whole benchmark: the wall clock can jump and a disk can fill up without effects outside.

The benchmark starts itself again with `unshare`, as root or in a user namespace. In the namespace, `/proc/stat`, from which
the boot time of the machine is read (`psutil`), is replaced by a file; every Python process takes the time from a clock that
jumps (`jumping_clock/sitecustomize.py`); and a small `tmpfs` holds the state directory.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER_VARIABLE = "DRILLS_NAMESPACE"
_DISK_MB = 1024
_CLOCK = Path(__file__).parent / "jumping_clock"


def enter(module: str) -> str | None:
    """Start this program again in a separate mount namespace; returns only if that is not permitted, with the reason.

    Parameters
    ----------
    module : str
        The program, as for `python -m`; it receives the arguments of this one, and `Namespace.inside` is true in it.
    """
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    try:
        subprocess.run(
            [*command, "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()], check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        return "there is no program unshare"
    except subprocess.CalledProcessError as error:
        return f"no mount namespace is permitted here ({error.stderr.strip()})"
    folder = Path(tempfile.mkdtemp(prefix="ghostbeam-drills-"))
    (folder / "offset").write_bytes(struct.pack("d", 0.0))
    path = [str(_CLOCK), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, FOLDER_VARIABLE: str(folder), "PYTHONPATH": os.pathsep.join(path)}
    os.execvpe(command[0], [*command, sys.executable, "-m", module, *sys.argv[1:]], environment)


class Namespace:
    """The namespace in which `enter` started this program; a context manager that removes everything it made."""

    def __init__(self) -> None:
        self._folder = Path(os.environ[FOLDER_VARIABLE])
        self._stat = self._folder / "stat"
        self._stat.write_bytes(Path("/proc/stat").read_bytes())
        _mount("--bind", str(self._stat), "/proc/stat")
        self.disk = self._folder / "disk"
        self.disk.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(self.disk))

    @staticmethod
    def inside() -> bool:
        """Whether `enter` started this program."""
        return FOLDER_VARIABLE in os.environ

    def shift_clock(self, seconds: int) -> None:
        """Let the wall clock of all processes in the namespace jump, and with it the reported boot time of the machine."""
        offset = self._folder / "offset"
        (now,) = struct.unpack("d", offset.read_bytes())
        _overwrite(offset, struct.pack("d", now + seconds))
        stat = self._stat.read_bytes()
        _overwrite(self._stat, re.sub(rb"btime (\d+)", lambda found: b"btime %d" % (int(found[1]) + seconds), stat))

    def fill_disk(self) -> None:
        """Fill the disk completely."""
        used = shutil.disk_usage(self.disk).used
        _mount("-o", f"remount,size={used or 1}", str(self.disk))  # 0 would mean no limit

    def free_disk(self) -> None:
        """Free the space on the disk."""
        _mount("-o", f"remount,size={_DISK_MB}m", str(self.disk))

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.disk)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _overwrite(path: Path, content: bytes) -> None:
    # In place and at once: other processes have the file mapped or mounted, and read it meanwhile.
    with path.open("r+b", buffering=0) as file:
        file.write(content)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
