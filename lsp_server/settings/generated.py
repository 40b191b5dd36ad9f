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
OF_THE_MACHINE = ("longllama.memory.cacheDir", "longllama.model.path")
"""Settings that name places on a machine: VS Code does not carry them to another one."""
OF_THE_USER = ("longllama.engine.url", "longllama.engine.tokenFile", "longllama.engine.certificate")
"""Settings that say where code goes: VS Code takes them from the user's own settings alone, so that
no repository can name another place."""


def table() -> str:
    """The settings as a Markdown table; a star marks what a repository may set."""
    by_repository = set(repository_settings())
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, _, default, about in flat(Settings(), ""):
        star = " *" if name in by_repository else ""
        rows.append(f"| `{SECTION}.{name}`{star} | `{json.dumps(default)}` | {about} |")
    return "\n".join(rows) + "\n"


def schema() -> str:
    """The section as editors of JSON and TOML check it."""
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
    """The settings as VS Code declares them."""
    return {name: {**schema, "scope": _scope(name)} for name, schema in json_schema().items()}


def _scope(name: str) -> str:
    if name in OF_THE_USER:
        return "machine"
    return "machine-overridable" if name in OF_THE_MACHINE else "window"


def with_properties(text: str) -> str:
    """VS Code's manifest with the server's settings as they should be; the client's own stay."""
    manifest = json.loads(text)
    (server,) = (
        category
        for category in manifest["contributes"]["configuration"]
        if category["title"] == "Server"
    )
    server["properties"] = vscode_properties()
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Every generated file, as it should be."""
    return {
        PAGE: updated(PAGE.read_text("utf-8")),
        SCHEMA: schema(),
        MANIFEST: with_properties(MANIFEST.read_text("utf-8")),
    }


def main() -> int:
    """Check what is generated, or write it; the exit code."""
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
