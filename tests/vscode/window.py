"""A window of the workbench, as a person uses it: keys, clicks, and what is on screen."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.vscode.tools import chromium

WAIT_MS = 1000 * float(os.environ.get("LONGLLAMA_TEST_DEADLINE_S", "90"))
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
GHOST = ".view-lines .ghost-text-decoration"


class Window:
    """One page of the browser."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page = page
        self.pictures = pictures

    def open(self, url: str) -> None:
        """Load the workbench, and wait until it is drawn."""
        self.page.goto(url)
        self.page.locator(".monaco-workbench .part.statusbar").wait_for()

    @property
    def status(self) -> Locator:
        """Our item in the status bar."""
        return self.page.locator(".statusbar-item", has_text="LongLLaMA").first

    @property
    def ghost(self) -> Locator:
        """The ghost text on its first line."""
        return self.page.locator(GHOST).first

    def expect_status(self, text: str) -> None:
        """Wait until our status item says this."""
        expect(self.status).to_contain_text(text)

    def expect_status_detail(self, pattern: str) -> None:
        """Wait until our status item tells this to screen readers, and in its tooltip."""
        expect(self.status).to_have_attribute("aria-label", re.compile(pattern))

    def focus_end_of_file(self, shown: str) -> None:
        """Wait for a text of the file, then put the cursor behind the file's last character."""
        lines = self.page.locator(".editor-instance .view-lines").first
        expect(lines).to_contain_text(shown)
        lines.click()
        self.page.keyboard.press("Control+End")

    def open_at_end(self, path: str) -> None:
        """Open a file of the workspace by its name, and put the cursor behind its end."""
        self.press("Control+p")
        box = self.page.locator(".quick-input-box input")
        box.wait_for()
        box.fill(path)
        # A file with a longer name may be listed before it.
        name = PurePosixPath(path).name
        rows = self.page.locator(".quick-input-list .monaco-list-row .label-name")
        rows.filter(has_text=re.compile(f"^{re.escape(name)}$")).first.click()
        self.page.locator(f'.tab.active[data-resource-name="{name}"]').wait_for()
        self.page.locator(".editor-instance .view-lines").first.click()
        self.press("Control+End")

    def type(self, text: str) -> None:
        """Type as a person does, one key after the other."""
        self.page.keyboard.type(text, delay=40)

    def press(self, key: str) -> None:
        """Press a key."""
        self.page.keyboard.press(key)

    def run(self, title: str) -> None:
        """Run a command of the palette."""
        self.page.keyboard.press("F1")
        box = self.page.locator(".quick-input-box input")
        box.wait_for()
        box.fill(f">{title}")
        self.choose(title)

    def choose(self, label: str) -> None:
        """Pick an entry of the list that is open."""
        self.page.locator(".quick-input-list .monaco-list-row", has_text=label).first.click()

    def activation_ms(self) -> tuple[int, int]:
        """How long VS Code waited for the extension: for its code, and for its ``activate``."""
        size = self.page.viewport_size
        assert size is not None
        # The editor draws the lines that fit.
        self.page.set_viewport_size({"width": size["width"], "height": 4000})
        self.run("Developer: Startup Performance")
        row = self.page.locator(".view-line", has_text="longllama.longllama-code").first
        row.wait_for()
        columns = row.inner_text().replace("\xa0", " ").split("|")
        load, call = int(columns[3]), int(columns[4])
        self.run("View: Close Editor")
        self.page.set_viewport_size(size)
        return load, call

    def row(self, view: str, text: str) -> Locator:
        """A row of one of our views, by the view's title and a text of the row."""
        pane = self.page.locator(".pane", has=self.page.locator(".pane-header", has_text=view))
        return pane.locator(".monaco-list-row", has_text=text).first

    def picture(self, name: str) -> None:
        """Keep what is on screen, once nothing moves any more."""
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")


@contextmanager
def browse(pictures: Path) -> Iterator[Window]:
    """A browser with one page; it reaches this machine alone.

    A thread can have one at a time: `beside` opens another page of it.

    Args:
        pictures: folder of screenshots.
    """
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", LOOPBACK_ONLY]
        )
        with _page(browser, pictures) as window:
            yield window
        browser.close()


@contextmanager
def beside(window: Window, user_agent: str) -> Iterator[Window]:
    """Another page of a window's browser, which shares nothing with it.

    Args:
        window: the first.
        user_agent: what it says to be; the workbench has the keys of that system.
    """
    browser = window.page.context.browser
    assert browser is not None
    with _page(browser, window.pictures, user_agent) as other:
        yield other


@contextmanager
def _page(browser: Browser, pictures: Path, user_agent: str | None = None) -> Iterator[Window]:
    page = browser.new_page(viewport={"width": 1100, "height": 620}, user_agent=user_agent)
    page.set_default_timeout(WAIT_MS)
    yield Window(page, pictures)
    page.close()
