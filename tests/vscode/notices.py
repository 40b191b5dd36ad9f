"""Messages of the workbench, their buttons, and its clipboard."""

from playwright.sync_api import Locator, expect

from tests.vscode.window import Window


def notice(window: Window, text: str) -> Locator:
    """The message that says this, once it is there."""
    found = window.page.locator(".notification-toast", has_text=text).first
    expect(found).to_be_visible()
    return found


def press(message: Locator, label: str) -> None:
    """Press a button of a message."""
    message.get_by_role("button", name=label, exact=True).click()


def labels(message: Locator) -> list[str]:
    """What the buttons of a message say."""
    return message.locator(
        ".notification-list-item-buttons-container .monaco-button"
    ).all_inner_texts()


def clipboard(window: Window) -> str:
    """What was copied."""
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return str(window.page.evaluate("navigator.clipboard.readText()"))


def text_of_editor(window: Window) -> Locator:
    """The lines of the editor in front."""
    return window.page.locator(".editor-instance .view-lines").last
