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

import pandas as pd
import pytest
import torch

from prismlib import theory
from prismlib.analysis import LOSS_NAMES
from prismlib.config import RunConfig
from prismlib.experiments import rq1_configs
from prismlib.metrics import GROUPS
from prismlib.records import Record
from prismlib.runs import get_records
from prismlib.widgets import norms_widget, tradeoff_widget

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


# Moves the first figure to move of the page to a loss and a setting, as a reader does; gives what it says and draws.
MOVE = """
const [loss, at] = arguments, root = document.querySelector('.explorer'), knob = root.querySelector('[type=range]');
root.querySelector(`[value="${loss}"]`).click();
knob.value = at;
knob.dispatchEvent(new Event('input', {bubbles: true}));
return {
    said: root.querySelector('.said').textContent.replace(/\\s+/g, ' ').trim(),
    label: knob.getAttribute('aria-valuetext'),
    bar: [...root.querySelectorAll('.bar i')].map(part => part.getBoundingClientRect().width),
    points: [...root.querySelectorAll('.plot .mark')].length,
    lines: [...root.querySelectorAll('.plot path:not(.mark)')].map(path => path.getAttribute('d')),
    notRun: [...root.querySelectorAll('.plot text')].filter(text => text.textContent === 'not run').length,
};
"""


def rq1_runs() -> list[tuple[RunConfig, Record | None]]:
    configs = rq1_configs("movielens1m", ["bpr", "ssm", "directau"], seeds=123)
    return list(zip(configs, get_records(configs, train=False), strict=True))


@pytest.mark.parametrize("view", VIEWS)
def test_tradeoff_on_the_start_page_says_and_draws_what_the_records_say(browser: Browser, site: str, view: str) -> None:
    browser.look(*VIEWS[view])
    browser.open(site + "index.html")
    runs = rq1_runs()
    decays = list(dict.fromkeys(config.weight_decay for config, _ in runs))
    longest = max(record["test"]["dot"]["ndcg"] for _, record in runs if record is not None)
    for config, record in runs:
        loss = LOSS_NAMES[config.loss]
        shown = browser.script(MOVE, loss, decays.index(config.weight_decay))
        made = sum(other is not None for c, other in runs if c.loss == config.loss)
        assert shown["notRun"] == len(decays) - made and shown["points"] == 3 * made
        assert float(shown["label"]) == config.weight_decay
        if record is None:
            assert shown["said"] == f"{loss} at weight decay λ = {shown['label']}: not run" and shown["bar"] == []
            continue
        score = record["test"]["dot"]
        numbers = [float(number) for number in re.findall(r"0\.\d+", shown["said"].partition(":")[2])]
        expected = [score[group] for group in GROUPS] + [score["ndcg"]]
        assert numbers[:4] == pytest.approx(expected, abs=5.1e-4)
        assert numbers[4] == pytest.approx(score["unpopular"] / score["popular"], abs=5.1e-3)
        full = browser.script("return document.querySelector('.explorer .bar').getBoundingClientRect().width")
        assert shown["bar"] == pytest.approx([full * score[group] / longest for group in GROUPS], abs=0.5)
    assert not browser.logged(site)


def test_a_setting_that_was_not_run_is_a_gap_in_the_curve(browser: Browser, site: str) -> None:
    browser.open(site + "index.html")
    runs = [record is not None for config, record in rq1_runs() if config.loss == "ssm"]
    stretches = sum(now and not before for before, now in zip([False, *runs], runs, strict=False))
    lines = browser.script(MOVE, "SSM", 0)["lines"]
    assert len(lines) == 3 and all(line.count("M") == stretches for line in lines)


def alone(folder: Path, body: str, theme: str) -> Path:
    """A page of nothing but figures to move."""
    head = f'<!doctype html><html data-theme="{theme}"><meta name="viewport" content="width=device-width">'
    style = '<meta charset="utf-8"><link rel="icon" href="data:,"><style>html { color-scheme: light dark }</style>'
    page = folder / "page.html"
    page.write_text(f"{head}{style}<main>{body}</main>", encoding="utf-8")
    return page


@pytest.mark.parametrize("view", VIEWS)
def test_norms_say_and_draw_what_the_records_say(browser: Browser, tmp_path: Path, view: str) -> None:
    width, height, theme = VIEWS[view]
    curves: dict[str, dict[float | str, Record | None]] = {}
    for config, record in rq1_runs():
        curves.setdefault(LOSS_NAMES[config.loss], {})[config.weight_decay] = record
    page = alone(tmp_path, norms_widget(curves, "weight decay λ", "length against popularity"), theme)
    browser.look(width, height, theme)
    browser.logged("")  # what other tests have opened
    browser.open(page.as_uri())
    for loss, curve in curves.items():
        for at, record in enumerate(curve.values()):
            shown = browser.script(MOVE, loss, at)
            if record is None:
                assert shown["said"].endswith(": not run") and shown["points"] == 0 and shown["notRun"] == 1
                continue
            norms = record["norms"]["item"]
            assert f"popularity {norms['pearson_log']:.2f};".replace("-", "\N{MINUS SIGN}") in shown["said"]
            assert shown["said"].endswith(f"NDCG@20 {record['test']['dot']['ndcg']:.3f}")
            assert shown["points"] == len(norms["bins"]) and shown["lines"][0].count("M") == 1
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(page.parent.as_uri())
    assert not problems, problems


def test_figures_of_runs_that_are_all_missing_say_so_and_two_on_a_page_move_alone(
    browser: Browser, tmp_path: Path
) -> None:
    none = pd.DataFrame(float("nan"), index=[0.0, 1e-6], columns=list(GROUPS))
    tradeoff = tradeoff_widget({"BPR": none, "SSM": none}, "weight decay λ", "first")
    norms = norms_widget({loss: {0.0: None, 1e-6: None} for loss in ("BPR", "SSM")}, "weight decay λ", "second")
    browser.logged("")  # what other tests have opened
    browser.open(alone(tmp_path, tradeoff + norms, "light").as_uri())
    shown = browser.script(MOVE, "SSM", 1)
    assert shown["said"] == "SSM at weight decay λ = 1e-06: not run" and shown["notRun"] == 2
    said = browser.script("return [...document.querySelectorAll('.said')].map(p => p.textContent.trim())")
    assert said == ["SSM at weight decay λ = 1e-06: not run", "BPR at weight decay λ = 0: not run"]
    assert "NaN" not in browser.script("return document.body.innerHTML")
    assert not browser.logged(tmp_path.as_uri())


def test_figures_to_move_obey_the_keyboard_and_have_names(browser: Browser, site: str) -> None:
    browser.open(site + "index.html")
    browser.script("document.querySelector('.explorer [type=range]').focus()")
    before = browser.script("return document.querySelector('.explorer .said').textContent")
    for kind in ("rawKeyDown", "keyUp"):
        browser.devtools(
            "Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39
        )
    assert browser.script("return document.querySelector('.explorer .said').textContent") != before
    names = browser.script("return [...document.querySelectorAll('.explorer input')].map(i => i.labels[0].textContent)")
    assert all(name.strip() for name in names) and names


def test_figures_to_move_are_not_printed_and_say_so_without_javascript(browser: Browser, site: str) -> None:
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("url", url=site + "index.html")
        said = "return document.querySelector('.explorer').innerText"
        assert (
            browser.script(said).strip()
            == "This figure moves with JavaScript only; the figure above shows the same numbers."
        )
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
    browser.open(site + "index.html")
    display = "return getComputedStyle(document.querySelector('.explorer')).display"
    assert browser.script(display) == "block"
    browser.devtools("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.script(display) == "none"
    finally:
        browser.devtools("Emulation.setEmulatedMedia", media="")
