"""The whole book as one PDF: its single page, book/_build/singlehtml, printed by Chromium (`make pdf`).

With --check it only says whether there is a Chromium to print with.
"""

from __future__ import annotations

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


def pdf(browser: Browser, url: str) -> bytes:
    """The page at ``url`` on A4, with page numbers and an outline, once its mathematics and fonts are set."""
    browser.look(WIDTH, 1400, "light")
    browser.open(url)
    printed = browser.devtools(
        "Page.printToPDF",
        paperWidth=8.27,  # inches
        paperHeight=11.69,
        scale=0.8,
        printBackground=True,
        displayHeaderFooter=True,
        headerTemplate="<span></span>",
        footerTemplate=FOOTER,
        generateDocumentOutline=True,
    )
    return base64.b64decode(printed["data"])


def main() -> None:
    try:
        if sys.argv[1:] == ["--check"]:
            programs()
            return
        if not PAGE.exists():
            sys.exit(f"no {PAGE}: `make pdf` builds it first")
        with chromium() as browser:
            content = pdf(browser, PAGE.as_uri())
    except NoBrowser as error:
        sys.exit(f"The book cannot be printed: {error}")
    PDF.write_bytes(content)
    print(f"Printed {PDF} ({len(content) / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
