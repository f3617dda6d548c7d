"""The built book in headless Chromium: no error, no request to another host, legible on a phone and in the dark.

Run by `make test-browser` after `make book`. Screenshots go to book/_build/screenshots.
"""

from __future__ import annotations

import functools
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import torch
from test_english import check_sentences
from test_pages import OF_THE_LEDGER, check_verdicts

from prismbook.claims import ledger, statements
from prismbook.pages import frontier, marks, verdict_explorer
from prismbook.runs.records import default_results, scan
from prismbook.tables.rules import Rules
from prismlib import theory

BOOK = Path(__file__).parents[1] / "book"
sys.path.insert(0, str(BOOK))
import print_pdf  # noqa: E402
from browser import Browser, NoBrowser, chromium  # noqa: E402

pytestmark = pytest.mark.browser

HTML = BOOK / "_build/html"
RENDERED = sorted((BOOK / "pages").glob("*.ipynb"))
PAGES = [path.relative_to(HTML).as_posix() for path in sorted(HTML.rglob("*.html")) if "_static" not in path.parts]
# Pages of source all look alike: one module and one file of tests stand for them.
SHOWN = ("_modules/prismlib/train.html", "_modules/tests/test_train.html")
LOOKED_AT = [page for page in PAGES if not page.startswith("_modules/") or page in SHOWN]
# Generated lists, which nobody looks through, are the longest pages: to picture them would take most of the time.
NOT_PICTURED = ("api/", "genindex", "py-modindex")
VIEWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "light"), "dark": (1280, 900, "dark")}
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
if (width > 600)
    for (const part of document.querySelectorAll('main :is(pre, div.cell_output table)')) {
        const box = part.closest('.text_html, .pst-scrollable-table-container') ?? part;
        const text = part.textContent.slice(0, 60);
        if (box.scrollWidth > box.clientWidth + 1) problems.push(`cut off at the right: ${text}`);
    }
else
    for (const table of document.querySelectorAll('article table'))
        if (table.checkVisibility() && table.getBoundingClientRect().right > width
            && !table.matches('.scroll-hint + *'))
            problems.push(`wider than a phone, and nothing says so: ${table.textContent.slice(0, 60)}`);
if (root.dataset.theme !== theme) problems.push(`theme ${root.dataset.theme} where ${theme} is preferred`);
return problems;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as window:
            yield window
    except NoBrowser as error:
        pytest.skip(str(error))


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


@pytest.mark.skipif(not RENDERED, reason="the book is not built")
def test_the_text_of_the_built_pages_is_that_of_the_ledger_and_in_english() -> None:
    """Here, since the pages are rendered after the other tests: their outputs are not those of the notebooks."""
    for path in RENDERED:
        check_sentences(path)
        if path.stem not in OF_THE_LEDGER:
            check_verdicts(path)


def test_the_book_is_built() -> None:
    assert "index.html" in PAGES, "no book in book/_build/html: `make book` first"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", LOOKED_AT)
def test_page(browser: Browser, site: str, page: str, view: str) -> None:
    width, height, theme = VIEWS[view]
    # the desktop's from disk, as `make book` says to open a page, the other two from a server
    place = HTML.as_uri() + "/" if view == "desktop" else site
    browser.look(width, height, theme)
    browser.open(place + page)
    if not page.startswith(NOT_PICTURED):
        browser.screenshot(BOOK / "_build/screenshots" / view / page.replace("/", "-").replace(".html", ".png"))
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(place)
    assert not problems, "\n".join([page, *problems])


class Anchors(HTMLParser):
    """What a page links to, and the fragments that others can link to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids = {""}
        self.feed((HTML / page).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids |= {attributes["id"]} if attributes.get("id") else set()
        if tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))


@pytest.fixture(scope="module")
def anchors() -> dict[str, Anchors]:
    return {page: Anchors(page) for page in PAGES}


def test_links_within_the_book_lead_somewhere(anchors: dict[str, Anchors]) -> None:
    dead = []
    for page, page_anchors in anchors.items():
        for link in page_anchors.links:
            target, fragment = urljoin(page, link).partition("#")[::2]
            if urlsplit(link).scheme:
                continue
            there = anchors[target].ids if target in anchors else {""} if (HTML / unquote(target)).is_file() else ()
            if unquote(fragment) not in there:
                dead.append(f"{page}: {link}")
    assert not dead, "\n".join(dead)


def test_links_to_other_hosts_are_whole_and_https(anchors: dict[str, Anchors]) -> None:
    links = {link for page_anchors in anchors.values() for link in page_anchors.links if urlsplit(link).scheme}
    wrong = [link for link in links if not re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[^\s<>\"]*)?", link)]
    assert links and not wrong, "\n".join(wrong)


def test_page_times_are_those_of_the_rendered_pages() -> None:
    text = (HTML / "environment.html").read_text(encoding="utf-8")
    rendered = sorted((BOOK / "pages").glob("*.ipynb"))
    assert rendered
    for path in rendered:
        seconds = json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"]["duration"]
        row = rf'href="pages/{path.stem}\.html".*?</td>\s*<td><p>{seconds:.1f}</p>'
        assert re.search(row, text, re.DOTALL), path.stem


def test_the_book_is_printed(browser: Browser) -> None:
    # without `--all`, so that no page is read again
    build = ["build", str(BOOK), "--builder", "singlehtml", "-W", "-n", "--keep-going"]
    print_pdf.PAGE.unlink(missing_ok=True)
    command = Path(sys.executable).with_name("jupyter-book")
    done = subprocess.run([command, *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    content = print_pdf.pdf(browser, print_pdf.PAGE.as_uri())
    # what was printed was whole
    assert not [said for said in browser.script(PROBLEMS, print_pdf.WIDTH, "light") if "px wide" not in said]
    # the theme's menu script trips over the one page's fragments ("document-pages/..."), and no menu is printed
    logged = browser.logged(print_pdf.PAGE.parent.as_uri())
    assert not [said for said in logged if "is not a valid selector" not in said]
    # Chromium writes both without compression: one object a sheet, and the outline, with the headings of every page
    assert len(re.findall(rb"/Type /Page\b", content)) > len(PAGES)
    headings = b" ".join(re.findall(rb"/Title \((.*?)\)", content))
    for heading in (b"Datasets and their identity", b"Two corollaries", b"Glossary", b"Bibliography"):
        assert heading in headings, heading


@pytest.mark.skipif("index.html" not in PAGES, reason="no start page in the built book")
def test_the_first_screen_answers_and_advises(browser: Browser, site: str) -> None:
    browser.look(1300, 1000, "light")
    browser.open(site + "index.html")
    script = """
    const advice = [...document.querySelectorAll('main p')].find(p => p.textContent.startsWith('Should you use it?'));
    const answers = document.querySelector('main table.answers');
    const list = advice.nextElementSibling;
    return [answers.querySelectorAll('tbody tr').length, answers.getBoundingClientRect().bottom,
            advice.getBoundingClientRect().top, list.matches('ul') ? list.getBoundingClientRect().bottom : Infinity];
    """
    rows, table_ends, advice_begins, advice_ends = browser.script(script)
    assert rows in (6, 7) and table_ends <= advice_begins < advice_ends <= 1000


@pytest.mark.parametrize(("page", "sheets", "scale"), [("report", 1, 1.0), ("report", 1, 0.8), ("ledger", 2, 0.8)])
def test_a_page_is_printed_on_its_sheets(browser: Browser, page: str, sheets: int, scale: float) -> None:
    if f"pages/{page}.html" not in PAGES:
        pytest.skip(f"no {page} in the built book")
    content = print_pdf.pdf(browser, (HTML / f"pages/{page}.html").as_uri(), scale)
    assert len(re.findall(rb"/Type /Page\b", content)) == sheets


@pytest.mark.skipif("pages/report.html" not in PAGES, reason="no report in the built book")
def test_the_report_prints_itself_in_light_colours(browser: Browser, site: str) -> None:
    browser.look(*VIEWS["dark"])
    browser.open(site + "pages/report.html")
    script = """
    const said = [], note = name => said.push([name, document.documentElement.dataset.theme]);
    window.print = () => {
        dispatchEvent(new Event('beforeprint'));
        note('printing');
        dispatchEvent(new Event('afterprint'));
    };
    document.querySelector('main button.print-page').click();
    note('reading');
    return said;
    """
    assert browser.script(script) == [["printing", "light"], ["reading", "dark"]]


TABBED = [page for page in PAGES if "sd-tab-set" in (HTML / page).read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", TABBED)
def test_a_tab_shows_its_own_content_and_hides_the_others(browser: Browser, site: str, page: str) -> None:
    browser.look(*VIEWS["desktop"])
    browser.open(site + page)
    click = """
    const [tabs] = document.getElementsByClassName('sd-tab-set');
    const shown = () => [...tabs.querySelectorAll(':scope > .sd-tab-content')].map(tab => tab.offsetHeight > 0);
    const before = shown();
    tabs.querySelectorAll(':scope > .sd-tab-label')[1].click();
    return [before, shown()];
    """
    before, after = browser.script(click)
    others = [False] * (len(before) - 2)
    assert (before, after) == ([True, False, *others], [False, True, *others])


ON_A_PHONE = [f"{page}.html" for page in ("recipes", "pages/should_i_use", "pages/reproduce", "pages/rq1_weight_decay")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", [page for page in ON_A_PHONE if page in PAGES])
def test_on_a_phone_the_rows_of_a_wide_table_are_cards(browser: Browser, site: str, page: str, theme: str) -> None:
    browser.look(390, 844, theme)
    browser.open(site + page)
    script = """
    const ground = getComputedStyle(document.body).backgroundColor;
    return [...document.querySelectorAll('article table.cards')].map(table => {
        const cells = [...table.tBodies].flatMap(body => [...body.rows]).flatMap(row => [...row.cells].slice(1));
        const names = [...table.tHead.rows].map(row => row.textContent).join();
        return [cells.length, Math.max(...cells.map(cell => cell.getBoundingClientRect().right)),
                cells.every(cell => names.includes(cell.dataset.label)),
                getComputedStyle(cells.at(-1), '::before').content, table.tHead.offsetHeight,
                cells.filter(cell => getComputedStyle(cell).color === ground).length];
    });
    """
    tables = browser.script(script)
    assert tables, "no table is wider than a phone"
    for cells, right, named, label, head, unseen in tables:
        assert cells and right <= 390 and named and len(label) > 3 and not head and not unseen


@pytest.mark.skipif("pages/rq1_weight_decay.html" not in PAGES, reason="no such page in the built book")
def test_a_figure_that_is_wider_than_a_phone_says_that_it_scrolls(browser: Browser, site: str) -> None:
    browser.look(390, 844, "light")
    browser.open(site + "pages/rq1_weight_decay.html")
    script = """
    const done = arguments[0];
    const wide = [...document.querySelectorAll('article div.cell_output')]
        .filter(output => output.querySelector('img')?.width > output.clientWidth + 1);
    const say = output => output.previousElementSibling?.matches('.scroll-hint');
    const look = () => wide.length && wide.every(say) ? done(wide.length) : setTimeout(look, 50);
    setTimeout(() => done(0), 5000);
    look();
    """
    assert browser.call("execute/async", script=script, args=[]) > 0


@pytest.mark.skipif("pages/should_i_use.html" not in PAGES, reason="no such page in the built book")
def test_a_folded_table_fits_a_phone_when_it_opens(browser: Browser, site: str) -> None:
    browser.look(390, 844, "light")
    browser.open(site + "pages/should_i_use.html")
    script = """
    const done = arguments[0];
    document.querySelectorAll('article details').forEach(fold => fold.open = true);
    const fits = table => table.matches('.cards, .scroll-hint + *') || table.getBoundingClientRect().right <= 390;
    const look = () => [...document.querySelectorAll('article table')].every(fits) ? done(true) : setTimeout(look, 50);
    setTimeout(() => done(false), 5000);
    look();
    """
    assert browser.call("execute/async", script=script, args=[])


def test_search_finds_a_word(browser: Browser, site: str) -> None:
    browser.logged(site)  # what other tests have left
    browser.open(site + "search.html?q=bibliography")
    script = """
    const done = arguments[0];
    const look = () => document.querySelector('#search-results li a') ? done(true) : setTimeout(look, 50);
    look();
    """
    assert browser.call("execute/async", script=script, args=[])
    assert not browser.logged(site)


@pytest.mark.parametrize("word", ["reproduced", "verdict", "patience", "ReLU"])
def test_search_has_the_table_of_all_claims_first_and_modules_last(browser: Browser, site: str, word: str) -> None:
    browser.open(f"{site}search.html?q={word}")
    script = """
    const [place, done] = arguments;
    const look = () => {
        if (!document.querySelector('.search-summary')?.innerText.startsWith('Search finished')) setTimeout(look, 50);
        else done([...document.querySelectorAll('#search-results li > a')].map(a => a.href.replace(place, '')));
    };
    look();
    """
    found = browser.call("execute/async", script=script, args=[site])
    assert re.match(r"pages/ledger\.html", found[0])
    modules = [page.startswith(("api/", "changelog")) for page in found]
    assert modules == sorted(modules)
    assert not any(page.startswith("pages/statements") for page in found)


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


def alone(folder: Path, body: str, theme: str) -> Path:
    """A page of nothing but figures to move."""
    head = f'<!doctype html><html data-theme="{theme}"><meta name="viewport" content="width=device-width">'
    style = '<meta charset="utf-8"><link rel="icon" href="data:,"><style>html { color-scheme: light dark }</style>'
    page = folder / "page.html"
    page.write_text(f"{head}{style}<main>{body}</main>", encoding="utf-8")
    return page


# Sets the margin, a single seed and the protocol of the verdicts to move, as a reader does; gives the marks by claim.
SET = """
const [margin, seed, protocol] = arguments, root = document.querySelector('.verdict-explorer');
root.querySelector(`[value="${seed}"]`).click();
root.querySelector(`.cases [value="${protocol}"]`).click();
const knob = root.querySelector('[type=range]');
knob.value = margin;
knob.dispatchEvent(new Event('input', {bubbles: true}));
return [...root.querySelectorAll('td')].map(td => [td.dataset.claim, td.dataset.dataset, td.textContent]);
"""


@pytest.mark.parametrize("view", VIEWS)
def test_verdicts_to_move_are_those_of_the_rules(browser: Browser, tmp_path: Path, view: str) -> None:
    width, height, theme = VIEWS[view]
    rows = [ledger.row(claim, "movielens1m") for claim in ("C8", "C9", "C17")]
    page = alone(tmp_path, verdict_explorer.explorer(rows), theme)
    browser.look(width, height, theme)
    browser.logged("")  # what other tests have opened
    browser.open(page.as_uri())
    for margin, one_seed, case in ((2.5, True, ""), (0.5, True, ""), (2.5, False, ""), (5, True, "the released code")):
        rules = Rules(margin / 100, one_seed, case)
        judged = [statements.under(row.statements, rules) for row in rows]
        expected = [marks.mark(statements.verdict_phrase(each)) if each else "" for each in judged]
        shown = browser.script(SET, margin, "yes" if one_seed else "no", case)
        found = {claim: mark for claim, dataset, mark in shown if dataset == "MovieLens1M"}
        assert [found[row.claim.id] for row in rows] == expected
        count = sum(mark != marks.mark(row.phrase) for mark, row in zip(expected, rows, strict=True) if mark)
        said = browser.script("return document.querySelector('.verdict-explorer .said').textContent")
        assert said == f"{count} of {sum(map(bool, expected))} marks differ from the ledger's."
    browser.script("document.querySelector('.verdict-explorer button').click()")
    assert browser.script("return document.querySelectorAll('.verdict-explorer td.changed').length") == 0
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(page.parent.as_uri())
    assert not problems, problems


def test_verdicts_to_move_obey_the_keyboard_and_say_so_without_javascript(browser: Browser, tmp_path: Path) -> None:
    page = alone(tmp_path, verdict_explorer.explorer([ledger.row("C8", "movielens1m")]), "light").as_uri()
    browser.open(page)
    browser.script("document.querySelector('.verdict-explorer [type=range]').focus()")
    for kind in ("rawKeyDown", "keyUp"):
        browser.devtools(
            "Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39
        )
    assert browser.script("return document.querySelector('.verdict-explorer output').textContent") == "3 %"
    names = browser.script(
        "return [...document.querySelectorAll('.verdict-explorer input')].map(i => i.labels[0].textContent)"
    )
    assert all(name.strip() for name in names) and names
    display = "return getComputedStyle(document.querySelector('.verdict-explorer')).display"
    assert browser.script(display) == "block"
    browser.devtools("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.script(display) == "none"
    finally:
        browser.devtools("Emulation.setEmulatedMedia", media="")
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("url", url=page)
        said = browser.script("return document.querySelector('.verdict-explorer').innerText").strip()
        assert said == "These verdicts move with JavaScript only; the table below has them under some other rules."
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("view", VIEWS)
def test_every_run_can_be_pointed_at_and_reached_by_keys(browser: Browser, tmp_path: Path, view: str) -> None:
    width, height, theme = VIEWS[view]
    runs = frontier.runs_of(scan(default_results())[0])
    page = alone(tmp_path, frontier.widget(runs), theme)
    browser.look(width, height, theme)
    browser.logged("")  # what other tests have opened
    browser.open(page.as_uri())
    choose = """
    const [dataset] = arguments, root = document.querySelector('.frontier'), svg = root.querySelector('.plot');
    root.querySelector(`[value="${dataset}"]`).click();
    const whole = root.querySelector('.axis input');
    if (whole.checked) whole.click();
    const said = [svg.querySelectorAll('.mark').length];
    whole.click();
    for (const mark of svg.querySelectorAll('.mark')) {
        svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
        said.push(root.querySelector('.said').textContent);
    }
    return said;
    """
    for dataset in dict.fromkeys(run["dataset"] for run in runs):
        here = sorted((run for run in runs if run["dataset"] == dataset), key=lambda run: run["ratio"])
        above, *said = browser.script(choose, dataset)
        assert len(said) == len(here)
        # before the axis goes down to 0, the lower ones are left out
        assert above == sum(run["ndcg"] >= frontier.axis_starts(here)[dataset] for run in here) < len(here)
        assert {re.search(r"record (\w+)\.$", text)[1] for text in said} == {run["id"] for run in here}  # type: ignore[index]
        for text, run in zip(said, here, strict=True):
            found = re.search(r"NDCG@20 ([\d.]+), unpopular / popular ([\d.]+),", text)
            assert found is not None and float(found[2]) == pytest.approx(run["ratio"], abs=5.1e-4)
    alone_shown = """
    const [way] = arguments, root = document.querySelector('.frontier'), shown = [];
    const others = [...root.querySelectorAll('.kind input')].filter(input => input.value !== way);
    for (const input of others) input.click();
    shown.push(root.querySelectorAll('.mark').length);
    for (const input of others) input.click();
    shown.push(root.querySelectorAll('.mark').length);
    return shown;
    """
    for way in dict.fromkeys(run["kind"] for run in runs):  # the axis still goes down to 0
        assert browser.script(alone_shown, way) == [sum(run["kind"] == way for run in here), len(here)]
    point = """
    const root = document.querySelector('.frontier'), mark = root.querySelector('.mark').getBoundingClientRect();
    const place = {clientX: mark.x + mark.width / 2, clientY: mark.y + mark.height / 2, bubbles: true};
    root.querySelector('.plot').dispatchEvent(new PointerEvent('pointermove', place));
    return root.querySelector('.said').textContent;
    """
    assert "record" in browser.script(point)
    problems = browser.script(PROBLEMS, width, theme) + browser.logged(page.parent.as_uri())
    assert not problems, problems
