"""Debian's Chromium without a window: what opens reports in the tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

import netadapt_tf

CHROMIUM = Path("/usr/bin/chromium")

_BUILD = Path(netadapt_tf.__path__[0]).parent / "build"

SCREENSHOTS = Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", _BUILD)) / "screenshots"
"""Where pictures for people are kept; Bazel names a place of its own."""


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A browser; where there is none a test is skipped with the reason, in continuous integration that is a failure."""
    if not CHROMIUM.exists():
        missing = f"no browser: {CHROMIUM} is not there (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()
