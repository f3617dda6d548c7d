"""A headless Chromium, for the tests of the built book and for printing it.

chromedriver is spoken to in its own protocol (W3C WebDriver, JSON over HTTP), which needs no package.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
]

# Resolves when the page is set: mathematics typeset, fonts there.
SETTLED = """
const done = arguments[arguments.length - 1];
Promise.resolve(window.MathJax?.startup?.promise).then(() => document.fonts.ready).then(() => done(null));
"""


class NoBrowser(RuntimeError):
    """Chromium or its driver is not installed; the message says how to get them."""


class Browser:
    """One window of a headless Chromium."""

    def __init__(self, port: int, chromium: str, profile: Path) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.session = ""
        options = {
            "binary": chromium,
            # a name that is not this machine's is not to be found: nothing can leave it
            "args": [*FLAGS, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        }
        wanted = {
            "timeouts": {"script": 240_000, "pageLoad": 240_000},
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "WARNING", "performance": "ALL"},
        }
        self.session = self.call("", capabilities={"alwaysMatch": wanted})["sessionId"]
        self.open("about:blank")
        self.logged("")  # what Chromium's own first page did

    def call(self, command: str, method: str = "POST", **body: Any) -> Any:
        path = f"/session/{self.session}/{command}".rstrip("/")
        self.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        value = json.loads(self.connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{value['error']}: {value['message']}")
        return value

    def devtools(self, command: str, **params: Any) -> Any:
        return self.call("goog/cdp/execute", cmd=command, params=params)

    def script(self, script: str, *arguments: Any) -> Any:
        return self.call("execute/sync", script=script, args=arguments)

    def look(self, width: int, height: int, theme: str) -> None:
        """Take the size of a desktop or of a phone, and prefer light or dark."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, url: str) -> None:
        """Open a page as on a first visit, and wait until it is set."""
        self.devtools("Storage.clearDataForOrigin", origin=url.rpartition("/")[0], storageTypes="local_storage")
        self.call("url", url=url)
        self.call("execute/async", script=SETTLED, args=[])

    def logged(self, origin: str) -> list[str]:
        """Errors and warnings on the console, and requests to other places than ``origin``, since the last call."""
        console = [f"{entry['level']}: {entry['message']}" for entry in self.call("se/log", type="browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.call("se/log", type="performance")]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return console + [f"request to {url}" for url in urls if not url.startswith((origin, "data:", "blob:"))]

    def screenshot(self, path: Path) -> None:
        """The whole page, not only what is in the window."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "scale": 1}
        image = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip, optimizeForSpeed=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image["data"]))


def programs() -> tuple[str, str]:
    """Paths of Chromium and of its driver.

    Raises:
        NoBrowser: one of them is not there.
    """
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not (binary and driver):
        raise NoBrowser("no chromium and chromedriver here: on Debian, apt-get install chromium chromium-driver")
    return binary, driver


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own, ended and removed afterwards.

    Raises:
        NoBrowser: as :func:`programs`.
    """
    binary, chromedriver = programs()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, text=True) as driver,
    ):
        assert driver.stdout is not None
        ports = (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout)
        port = next(int(match[1]) for match in ports if match)
        try:
            window = Browser(port, binary, Path(profile))
            try:
                yield window
            finally:
                window.call("", method="DELETE")
                window.connection.close()
        finally:
            driver.terminate()
