"""The niceness of the server's session, which Linux looks at before that of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
YIELDS = """
from pathlib import Path
from analysis.archive.tiled_server import yield_session
yield_session(7)
print(Path({!r}).read_text())
"""

pytestmark = pytest.mark.skipif(not AUTOGROUP.exists(), reason="no sessions with a niceness here")


def after_yielding(*, own_session: bool) -> str:
    command = [sys.executable, "-c", YIELDS.format(str(AUTOGROUP))]
    return subprocess.run(command, start_new_session=own_session, capture_output=True, text=True, check=True).stdout.strip()


def test_a_service_makes_its_session_nice() -> None:
    assert after_yielding(own_session=True).endswith(" nice 7")


def test_the_session_of_somebody_else_is_left_alone() -> None:
    before = AUTOGROUP.read_text().strip()
    assert after_yielding(own_session=False) == before
    assert AUTOGROUP.read_text().strip() == before
