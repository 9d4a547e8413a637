"""What the bits of a reconstruction depend on besides its data: versions, the code itself, processor and linear algebra."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

import numpy as np  # noqa: F401  whose BLAS is asked for
from threadpoolctl import threadpool_info

_PACKAGE = Path(__file__).parents[1]
_THIS = "documents/software.py"


@cache
def software() -> dict[str, str]:
    """Versions of the libraries, a hash of ghostbeam's analysis code, its commit if it is a checkout, processor and BLAS."""
    versions = {name: importlib.metadata.version(name) for name in ("ghostbeam", "numpy", "scipy", "torch")}
    return {**versions, "code": _code_hash(), "commit": _commit(), "processor": _processor(), "blas": _blas()}


def _code_hash() -> str:
    """The identity of the code, committed or not: the beginning of the SHA-256 of all files of `analysis`."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _commit() -> str:
    git = ["git", "-C", str(_PACKAGE)]
    try:
        # An installed copy may be in a repository of something else, which does not track it.
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, timeout=5, check=False
        )
        if tracked.returncode:
            return "unknown"
        done = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _blas() -> str:
    # SciPy has its own, which is loaded sooner or later.
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]
    return f"{pools[0]['internal_api']} {pools[0]['version']} {pools[0].get('architecture', '')}".strip() if pools else "unknown"
