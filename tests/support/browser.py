"""Pages in Chromium, driven by Playwright; a test fails if its page reports an error."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

SECONDS = 60  # until an expected event is missed; a busy machine is slow
Theme = Literal["light", "dark"]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def browser() -> Iterator["Browser"]:
    """Starts Chromium; without it or Playwright the test is skipped, or fails where CI is set."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright

        problem = "" if program else "no Chromium is installed"
    except ImportError:
        problem = "Playwright is not installed (extra 'browser')"
    if problem:
        pytest.fail(problem) if os.environ.get("CI") else pytest.skip(problem)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


class Pages:
    """Opens pages, and keeps what they report and request."""

    def __init__(self, started: "Browser") -> None:
        self._browser = started
        self._contexts: list[Any] = []
        self.problems: list[str] = []
        """Messages of the console and errors of scripts."""
        self.requests: list[str] = []
        """URLs of all requests."""

    def open(
        self,
        url: str,
        width: int = 1280,
        height: int = 860,
        theme: Theme = "light",
    ) -> "Page":
        """Opens a page in a new window."""
        size: ViewportSize = {"width": width, "height": height}
        context = self._browser.new_context(viewport=size, color_scheme=theme)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        return page

    def close(self) -> None:
        """Closes all windows."""
        for context in self._contexts:
            context.close()


def wait_until(page: "Page", expression: str, value: object = True) -> None:
    """Waits until an expression of JavaScript has a value.

    Playwright's own function for this evaluates text in the page, which our pages forbid.
    """
    deadline = time.monotonic() + SECONDS
    while (found := page.evaluate(expression)) != value:
        assert time.monotonic() < deadline, f"{expression} is {found!r}, not {value!r}"
        page.wait_for_timeout(20)
