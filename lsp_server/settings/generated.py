"""Generate the table of docs/settings.md, a JSON schema and VS Code's manifest from the settings.

Usage: python -m lsp_server.settings.generated [--write]; without it, it only checks them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lsp_server.settings.declarations import SECTION, Settings
from lsp_server.settings.schemas import flat, json_schema, nested_schema, repository_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
SCHEMA = Path(__file__).parent / "settings.schema.json"
MANIFEST = ROOT / "editor-client" / "vscode" / "package.json"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->\n"
MACHINE_SETTINGS = ("longllama.memory.cacheDir", "longllama.model.path")
"""Settings with paths of one machine, which VS Code does not sync to others."""
USER_SETTINGS = (
    "longllama.engine.url",
    "longllama.engine.tokenFile",
    "longllama.engine.certificate",
)
"""Settings that decide where source code is sent. VS Code reads them from the user's own settings
only, so no repository can change them."""


def table() -> str:
    """Return the settings as a Markdown table; a star marks those that a repository may set."""
    by_repository = set(repository_settings())
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, _, default, about in flat(Settings(), ""):
        star = " *" if name in by_repository else ""
        rows.append(f"| `{SECTION}.{name}`{star} | `{json.dumps(default)}` | {about} |")
    return "\n".join(rows) + "\n"


def schema() -> str:
    """Return the JSON schema of the section, for editors of JSON and TOML."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Settings of longllama-lsp (section {SECTION})",
        **nested_schema(),
    }
    return json.dumps(document, indent=2) + "\n"


def updated(text: str) -> str:
    """Return the page of settings with its table up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def vscode_properties() -> dict[str, Any]:
    """Return the settings as VS Code declares them."""
    return {name: {**schema, "scope": _scope(name)} for name, schema in json_schema().items()}


def _scope(name: str) -> str:
    if name in USER_SETTINGS:
        return "machine"
    return "machine-overridable" if name in MACHINE_SETTINGS else "window"


def with_properties(text: str) -> str:
    """Return VS Code's manifest with current settings of the server; the client's own stay."""
    manifest = json.loads(text)
    (server,) = (
        category
        for category in manifest["contributes"]["configuration"]
        if category["title"] == "Server"
    )
    server["properties"] = vscode_properties()
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Return the current text of every generated file."""
    return {
        PAGE: updated(PAGE.read_text("utf-8")),
        SCHEMA: schema(),
        MANIFEST: with_properties(MANIFEST.read_text("utf-8")),
    }


def main() -> int:
    """Check the generated files, or write them; return the exit code."""
    stale = [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--write" in sys.argv[1:]:
        for path in stale:
            path.write_text(generated()[path], "utf-8")
        return 0
    for path in stale:
        print(f"the settings in {path.name} are out of date; run `poe settings`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
