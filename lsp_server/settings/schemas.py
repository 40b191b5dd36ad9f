"""JSON schemas and table rows of the settings."""

from typing import Any, Literal, get_args, get_origin

from lsp_server.settings.declarations import CLIENT_KEYS, SECTION, Settings
from lsp_server.settings.setting import Rule, declared


def json_schema() -> dict[str, Any]:
    """Return a JSON schema for each full dotted name, as VS Code declares settings."""
    return {
        f"{SECTION}.{name}": _value_schema(kind, item.metadata["rule"], default)
        | {"description": item.metadata["about"]}
        for name, kind, default, item in declared(Settings(), "")
    }


def nested_schema() -> dict[str, Any]:
    """Return a JSON schema of the section as one object, as in clients' messages and in TOML."""
    root: dict[str, Any] = _object_schema()
    for name, kind, default, item in declared(Settings(), ""):
        *groups, last = name.split(".")
        parent = root
        for group in groups:
            parent = parent["properties"].setdefault(group, _object_schema())
        schema = _value_schema(kind, item.metadata["rule"], default)
        parent["properties"][last] = schema | {"description": item.metadata["about"]}
    for key in sorted(CLIENT_KEYS):
        root["properties"][key] = {"description": "Setting of the client; the server ignores it."}
    return root


def _object_schema() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _value_schema(kind: Any, rule: Rule | None, default: object) -> dict[str, Any]:
    """Return the JSON schema of a value, as strict as ``layers`` is."""
    schema: dict[str, Any] = {"type": _json_type(kind), "default": default}
    if get_origin(kind) is Literal:
        schema["enum"] = list(get_args(kind))
    elif kind is int:
        schema["minimum"] = 0
    elif kind == list[str]:
        schema["items"] = {"type": "string"}
    elif kind == dict[str, bool]:
        schema["additionalProperties"] = {"type": "boolean"}
    return schema | {"pattern": f"^{rule.pattern}$"} if rule and rule.pattern else schema


def flat(group: Any, prefix: str) -> list[tuple[str, Any, Any, str]]:
    """Return name, type, default and description of every setting of a group."""
    return [
        (name, kind, default, item.metadata["about"])
        for name, kind, default, item in declared(group, prefix)
    ]


def repository_settings() -> list[str]:
    """Return the settings that a repository's own ``pyproject.toml`` may set."""
    every = declared(Settings(), "")
    return [name for name, _, _, item in every if item.metadata["by_repository"]]


def _json_type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "string"
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return names[get_origin(kind) or kind]
