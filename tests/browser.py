"""The browser of the tests: a real Chromium, where there is one."""

import pytest

from benchmarks._browser import CHROMIUM, Browser

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: `apt-get install chromium` brings it")

__all__ = ["Browser", "needs_chromium"]
