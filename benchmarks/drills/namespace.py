"""A mount namespace for the whole benchmark: in it the wall clock can jump and a disk can fill, and nobody else notices.

The benchmark starts itself again below `unshare`, as root or in a user namespace. In there `/proc/stat`, from which the moment
of the machine's start is read (`psutil`), is a file of ours; every Python process takes the time from a clock that jumps
(`jumping_clock/sitecustomize.py`); and a small `tmpfs` holds the state directory.
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
    """Start this program again in a mount namespace of its own; returns only if that isn't permitted, and says why.

    Parameters
    ----------
    module : str
        The program, as `python -m` takes it; it gets the arguments of this one, and finds itself inside by `Namespace.inside`.
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
    """The namespace that this program was started in by `enter`; a context manager that removes what it made."""

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
        """Whether this program was started by `enter`."""
        return FOLDER_VARIABLE in os.environ

    def shift_clock(self, seconds: int) -> None:
        """Let the wall clock of all processes in here jump, and with it the moment at which the machine says that it started."""
        offset = self._folder / "offset"
        (now,) = struct.unpack("d", offset.read_bytes())
        _overwrite(offset, struct.pack("d", now + seconds))
        stat = self._stat.read_bytes()
        _overwrite(self._stat, re.sub(rb"btime (\d+)", lambda found: b"btime %d" % (int(found[1]) + seconds), stat))

    def fill_disk(self) -> None:
        """Leave no room on the disk."""
        used = shutil.disk_usage(self.disk).used
        _mount("-o", f"remount,size={used or 1}", str(self.disk))  # 0 would be no limit

    def free_disk(self) -> None:
        """Give the disk its room back."""
        _mount("-o", f"remount,size={_DISK_MB}m", str(self.disk))

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.disk)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _overwrite(path: Path, content: bytes) -> None:
    # In place and at once: others have the file mapped, or mounted, and read it meanwhile.
    with path.open("r+b", buffering=0) as file:
        file.write(content)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
