"""The settings as others read them: JSON schemas, and rows of tables."""

from typing import Any, Literal, get_args, get_origin

from lsp_server.settings.declarations import OF_CLIENTS, SECTION, Rule, Settings, declared


def json_schema() -> dict[str, Any]:
    """A JSON schema of every setting, by its full dotted name, as VS Code declares them."""
    return {
        f"{SECTION}.{name}": _value_schema(kind, item.metadata["rule"], default)
        | {"description": item.metadata["about"]}
        for name, kind, default, item in declared(Settings(), "")
    }


def nested_schema() -> dict[str, Any]:
    """A JSON schema of the section as one object: what clients send, and what TOML holds."""
    root: dict[str, Any] = _object_schema()
    for name, kind, default, item in declared(Settings(), ""):
        *groups, last = name.split(".")
        place = root
        for group in groups:
            place = place["properties"].setdefault(group, _object_schema())
        schema = _value_schema(kind, item.metadata["rule"], default)
        place["properties"][last] = schema | {"description": item.metadata["about"]}
    for key in sorted(OF_CLIENTS):
        root["properties"][key] = {"description": "The client's own; the server passes it over."}
    return root


def _object_schema() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _value_schema(kind: Any, rule: Rule | None, default: object) -> dict[str, Any]:
    """What is strict in `setting_layers`, as JSON schema says it."""
    schema: dict[str, Any] = {"type": _json_type(kind), "default": default}
    if get_origin(kind) is Literal:
        schema["enum"] = list(get_args(kind))
    elif kind is int:
        schema["minimum"] = 0
    elif kind == list[str]:
        schema["items"] = {"type": "string"}
    elif kind == dict[str, bool]:
        schema["additionalProperties"] = {"type": "boolean"}
    return schema if rule is None else schema | {"pattern": f"^{rule.pattern}$"}


def flat(group: Any, prefix: str) -> list[tuple[str, Any, Any, str]]:
    """Name, type, default and meaning of every setting of a group."""
    return [
        (name, kind, default, item.metadata["about"])
        for name, kind, default, item in declared(group, prefix)
    ]


def repository_settings() -> list[str]:
    """The settings that a repository's own ``pyproject.toml`` may name."""
    every = declared(Settings(), "")
    return [name for name, _, _, item in every if item.metadata["by_repository"]]


def _json_type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "string"
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return names[get_origin(kind) or kind]
