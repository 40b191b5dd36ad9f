"""The README's table of settings, generated from their declaration.

Usage: python -m lsp_server.settings_docs [--write]; without it, it only checks the table.
"""

import json
import sys
from pathlib import Path

from lsp_server.settings import SECTION, Settings, flat

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->\n"


def table() -> str:
    """The settings as a Markdown table."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, _, default, about in flat(Settings(), ""):
        rows.append(f"| `{SECTION}.{name}` | `{json.dumps(default)}` | {about} |")
    return "\n".join(rows) + "\n"


def updated(text: str) -> str:
    """The README with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Check the table, or write it."""
    text = README.read_text("utf-8")
    if "--write" in sys.argv[1:]:
        README.write_text(updated(text), "utf-8")
        return 0
    if text == updated(text):
        return 0
    print("the settings in README.md are out of date; run `poe settings`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
