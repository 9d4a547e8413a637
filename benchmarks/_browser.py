"""A real headless Chromium, driven through its DevTools protocol: https://chromedevtools.github.io/devtools-protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Browser:
    """One Chromium with one page; a context manager that ends it."""

    def __init__(self, width: int = 1920, height: int = 1080) -> None:
        if CHROMIUM is None:
            raise RuntimeError("there is no Chromium here: `apt-get install chromium` brings it")
        self._folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={self._folder}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._last = 0
        self.complaints: list[str] = []
        """Errors that the page wrote to its console, and exceptions, including violations of its security policy."""
        self._stack = ExitStack()
        self._stack.callback(self._end)
        try:
            self._connection = self._connect()
        except BaseException:
            self._stack.close()
            raise
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Open a page."""
        self.call("Page.navigate", url="about:blank")  # otherwise a different fragment (#...) would not load a new page
        self.call("Page.navigate", url=address)

    def reload(self) -> None:
        """Reload the page."""
        self.call("Page.reload")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"].get("description", result["exceptionDetails"]["text"]))
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 60.0) -> None:
        """Wait until the expression is true; errors before the page is loaded are ignored."""
        deadline = time.monotonic() + seconds
        while not self.value(f"(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"):
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}\n{self.text()}\n{self.complaints}"
            time.sleep(0.05)

    def text(self) -> str:
        """All text of the page."""
        return str(self.value("document.body.innerText"))

    def screenshot(self, path: Path) -> None:
        """Write a screenshot, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        self._last += 1
        self._connection.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == self._last:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def close(self) -> None:
        """End it."""
        self._stack.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message["method"], message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["exception"].get("description", "an exception"))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

    def _connect(self) -> ClientConnection:
        announced = self._folder / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not announced.exists() or len(announced.read_text().split()) < 2:
            assert self._process.poll() is None and time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.05)
        port, path = announced.read_text().split()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as browser:
            browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(browser.recv(timeout=30))["result"]["targetInfos"]
        (page,) = [target["targetId"] for target in targets if target["type"] == "page"]
        return self._stack.enter_context(
            connect(f"ws://127.0.0.1:{port}/devtools/page/{page}", max_size=None, ping_interval=None)
        )
