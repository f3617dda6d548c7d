"""The description for a package index: README.md without its figure, which has no public address."""

import re
from pathlib import Path

from setuptools import setup

readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
setup(
    long_description=re.sub(r"^!\[.*\n\n\*.*\*\n\n", "", readme, flags=re.MULTILINE),
    long_description_content_type="text/markdown",
)
