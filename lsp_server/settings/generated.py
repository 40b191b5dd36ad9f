"""Generate the table of docs/settings.md, a JSON schema and VS Code's manifest from the settings.

Usage: python -m lsp_server.settings.generated [--write]; without it, it only checks them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_server.settings.declarations import CLIENT_KEYS, SECTION, Settings
from lsp_server.settings.schemas import flat, json_schema, nested_schema, repository_settings
from lsp_server.settings.setting import declared

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
SCHEMA = Path(__file__).parent / "settings.schema.json"
MANIFEST = ROOT / "editor-client" / "vscode" / "package.json"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->\n"
MACHINE_SETTINGS = ("longllama.memory.cacheDir", "longllama.model.path")
"""Settings with paths of one machine, which VS Code does not sync to others."""
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Triggers": ("enable", "enableLanguages", "disabledGlobs", "trigger"),
    "Suggestions": ("completion",),
    "Memory": ("memory", "indexing"),
    "Model": ("model",),
    "Process": ("engine.shared", "engine.idleMs"),
    "Team Engine": ("engine",),
    "Statistics": ("statistics",),
    "Log": ("log",),
}
"""Title of each category in VS Code's list of settings, in order, and the settings or groups in it;
the first category that has a setting's group takes it."""
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
    """Return the settings as VS Code declares them, in the order of their declaration."""
    choices = {
        f"{SECTION}.{name}": item.metadata["choices"]
        for name, _, _, item in declared(Settings(), "")
    }
    properties: dict[str, Any] = {}
    for order, (name, schema) in enumerate(json_schema().items()):
        entry = {**schema, "scope": _scope(name), "order": order}
        if meanings := choices[name]:
            entry["enumDescriptions"] = [meanings[value] for value in schema["enum"]]
        properties[name] = entry
    return properties


def categories() -> list[dict[str, Any]]:
    """Return the server's settings by category, as VS Code lists them."""
    left, found = vscode_properties(), list[dict[str, Any]]()
    for order, (title, keys) in enumerate(CATEGORIES.items(), 1):
        names = [name for name in left if any(_is_in(name, key) for key in keys)]
        properties = {name: left.pop(name) for name in names}
        found.append({"title": title, "order": order, "properties": properties})
    assert not left, f"{', '.join(left)}: name a category in `CATEGORIES`"
    return found


def _is_in(name: str, key: str) -> bool:
    """Whether a setting is a key, or in the group that the key names."""
    return f"{name}.".startswith(f"{SECTION}.{key}.")


def _scope(name: str) -> str:
    if name in USER_SETTINGS:
        return "machine"
    return "machine-overridable" if name in MACHINE_SETTINGS else "window"


def with_properties(text: str) -> str:
    """Return VS Code's manifest with current settings of the server; the client's own stay."""
    manifest = json.loads(text)
    contributes = manifest["contributes"]
    own = [category for category in contributes["configuration"] if _is_of_client(category)]
    found = categories()
    for order, category in enumerate(own, len(found) + 1):
        found.append({**category, "order": order})
    contributes["configuration"] = found
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _is_of_client(category: dict[str, Any]) -> bool:
    """Whether a category has settings of the client, which are declared in the manifest alone."""
    return all(name.split(".")[1] in CLIENT_KEYS for name in category["properties"])


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
