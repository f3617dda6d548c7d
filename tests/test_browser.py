"""The built book in headless Chromium: no error, no request to another host, legible on a phone and in the dark.

Run by `make test-browser` after `make book`. Screenshots go to book/_build/screenshots.
chromedriver is spoken to in its own protocol (W3C WebDriver, JSON over HTTP), which needs no package.
"""

from __future__ import annotations

import base64
import functools
import http.client
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from prismlib import theory

pytestmark = pytest.mark.browser

BOOK = Path(__file__).parents[1] / "book"
HTML = BOOK / "_build/html"
PAGES = [path.relative_to(HTML).as_posix() for path in sorted(HTML.rglob("*.html")) if "_static" not in path.parts]
VIEWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "light"), "dark": (1280, 900, "dark")}
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
# Everything that is wrong with the page as laid out, one sentence each.
PROBLEMS = r"""
const [width, theme] = arguments, problems = [], root = document.documentElement;
for (const image of document.images) {
    const name = image.getAttribute('src');
    if (!(image.complete && image.naturalWidth)) problems.push(`image not loaded: ${name}`);
    // where no text is given, Sphinx writes the file's name
    if (!image.alt.trim() || /\.(svg|png|jpe?g|gif)$/.test(image.alt)) problems.push(`image without alt text: ${name}`);
}
for (const math of document.querySelectorAll('.math'))
    if (!math.querySelector('mjx-container')) problems.push(`mathematics not set: ${math.textContent.slice(0, 60)}`);
for (const error of document.querySelectorAll('mjx-merror, [data-mjx-error]'))
    problems.push(`mathematics with an error: ${error.getAttribute('data-mjx-error') ?? error.textContent}`);
if (root.scrollWidth > width) {
    const wide = [...document.querySelectorAll('main *')].find(e => e.getBoundingClientRect().right > width + 1);
    problems.push(`${root.scrollWidth} px wide in a window of ${width} px, from ${wide?.outerHTML.slice(0, 100)}`);
}
if (root.dataset.theme !== theme) problems.push(`theme ${root.dataset.theme} where ${theme} is preferred`);
return problems;
"""


class Browser:
    """One window of a headless Chromium."""

    def __init__(self, port: int, chromium: str, profile: Path) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.session = ""
        options = {
            "binary": chromium,
            # a name that is not this machine's is not to be found: nothing can leave it
            "args": [*FLAGS, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "WARNING", "performance": "ALL"}}
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
        image = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("no chromium and chromedriver here: on Debian, apt-get install chromium chromium-driver")
    with subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        ports = (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout)
        port = next(int(match[1]) for match in ports if match)
        try:
            window = Browser(port, chromium, tmp_path_factory.mktemp("profile"))
            try:
                yield window
            finally:
                window.call("", method="DELETE")
                window.connection.close()
        finally:
            driver.terminate()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_book_is_built() -> None:
    assert "index.html" in PAGES, "no book in book/_build/html: `make book` first"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", PAGES)
def test_page(browser: Browser, site: str, page: str, view: str) -> None:
    width, height, theme = VIEWS[view]
    browser.look(width, height, theme)
    browser.open(site + page)
    browser.screenshot(BOOK / "_build/screenshots" / view / page.replace("/", "-").replace(".html", ".png"))
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(site)
    assert not problems, "\n".join([page, *problems])


@pytest.mark.parametrize("page", PAGES)
def test_page_opened_from_disk(browser: Browser, page: str) -> None:
    width, height, theme = VIEWS["desktop"]
    browser.look(width, height, theme)
    browser.open((HTML / page).as_uri())
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(HTML.as_uri())
    assert not problems, "\n".join([page, *problems])


def test_search_finds_a_word(browser: Browser, site: str) -> None:
    browser.open(site + "search.html?q=bibliography")
    found = """
    const done = arguments[0];
    const look = () => document.querySelector('#search-results li a') ? done(true) : setTimeout(look, 50);
    look();
    """
    assert browser.call("execute/async", script=found, args=[])
    assert not browser.logged(site)


@pytest.mark.skipif("pages/theory.html" not in PAGES, reason="no theory page in the built book")
def test_theory_map_moves_and_agrees_with_the_package(browser: Browser, site: str) -> None:
    browser.open(site + "pages/theory.html")
    move = """
    const map = document.querySelector('.theory-map');
    for (const [name, value] of Object.entries(arguments[0])) map.querySelector(`input[name=${name}]`).value = value;
    map.querySelector('input').dispatchEvent(new Event('input', {bubbles: true}));
    return [+map.dataset.change, map.querySelector('polyline').getAttribute('points')];
    """
    one, degree = torch.ones((), dtype=torch.float64), torch.tensor(1000.0, dtype=torch.float64)
    probability = theory.batch_membership(degree, 1, 100)  # what the map says before it is pointed at
    for eta, decay, cosine in ((-3, -4, 0.5), (-1, -1.5, -0.9), (-3, -2, 0.5)):
        shown, line = browser.script(move, {"eta": eta, "decay": decay, "cosine": cosine})
        expected = theory.expected_change(probability, one, one * cosine, 10**eta, 10**decay)
        assert shown == pytest.approx(float(expected), rel=1e-9)
        assert bool(line) == (theory.expected_change(one, one, one * cosine, 10**eta, 10**decay) > 0)
