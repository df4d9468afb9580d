"""One browser for the tests of a module.

Playwright keeps an event loop running in its thread, so it ends before other tests start theirs.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from support.browser import Pages, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    with browser() as started:
        yield started


@pytest.fixture
def pages(chromium: "Browser") -> Iterator[Pages]:
    """Windows of the browser; their scripts must report nothing."""
    opened = Pages(chromium)
    yield opened
    opened.close()
    assert opened.problems == []
