"""The book as PDF, printed by Chromium.

python book/print_pdf.py                        the whole book, from book/_build/singlehtml (`make pdf`)
python book/print_pdf.py --page pages/report    one page, from book/_build/html (`make report`)
python book/print_pdf.py --check                only says whether there is a Chromium to print with
"""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path

from browser import Browser, NoBrowser, chromium, programs

BUILD = Path(__file__).parent / "_build"
PAGE = BUILD / "singlehtml/index.html"
PDF = BUILD / "prism.pdf"
WIDTH = 1100
FOOTER = (
    '<div style="font-size: 8px; width: 100%; text-align: center"><span class="pageNumber"></span> of '
    '<span class="totalPages"></span></div>'
)


def pdf(browser: Browser, url: str, scale: float = 0.8) -> bytes:
    """The page at ``url`` on A4, with page numbers and an outline, once its mathematics and fonts are set.

    A browser that a reader prints with has the scale 1.
    """
    browser.look(WIDTH, 1400, "light")
    browser.open(url)
    printed = browser.devtools(
        "Page.printToPDF",
        paperWidth=8.27,  # inches
        paperHeight=11.69,
        scale=scale,
        printBackground=True,
        displayHeaderFooter=True,
        headerTemplate="<span></span>",
        footerTemplate=FOOTER,
        generateDocumentOutline=True,
    )
    return base64.b64decode(printed["data"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the built book, or one page of it, as PDF.")
    parser.add_argument("--check", action="store_true", help="only say whether there is a Chromium to print with")
    parser.add_argument("--page", help="one page, by its place in the book, e.g. pages/report; default: the whole book")
    given = parser.parse_args()
    source = PAGE if given.page is None else BUILD / f"html/{given.page}.html"
    target = PDF if given.page is None else BUILD / f"{Path(given.page).name}.pdf"
    try:
        if given.check:
            programs()
            return
        if not source.exists():
            sys.exit(f"no {source}: `make {'pdf' if given.page is None else 'book'}` builds it first")
        with chromium() as browser:
            # one page is printed as from a reader's browser
            content = pdf(browser, source.as_uri(), 0.8 if given.page is None else 1.0)
    except NoBrowser as error:
        sys.exit(f"The book cannot be printed: {error}")
    target.write_bytes(content)
    print(f"Printed {target} ({len(content) / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
