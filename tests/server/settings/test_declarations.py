"""Settings: layers, strictness, and what is said of mistakes."""

import datetime
import time
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from lsp_server.settings.declarations import Settings
from lsp_server.settings.generated import generated
from lsp_server.settings.layers import MAX_NAMED, resolve
from lsp_server.settings.schemas import flat, json_schema, nested_schema
from lsp_server.settings.setting import camel


def test_without_layers_there_are_the_defaults():
    assert resolve([]) == resolve([None, {}, None]) == (Settings(), [])


def test_the_last_layer_that_names_a_value_wins():
    settings, problems = resolve(
        [
            {"completion": {"maxTokens": 1, "multiline": False}, "model": {"path": "a"}},
            {"completion": {"maxTokens": 2}},
            {"model": {"path": "b"}},
        ]
    )
    assert problems == []
    assert (settings.completion.max_tokens, settings.completion.multiline) == (2, False)
    assert settings.model.path == "b"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ([1], "setting longllama is [1]: give an object of settings."),
        ({"memory": 3}, "setting longllama.memory is 3: give an object of settings."),
        ({"enable": "no"}, 'setting longllama.enable is "no": give true or false.'),
        ({"enable": 1}, "setting longllama.enable is 1: give true or false."),
        (
            {"completion": {"maxTokens": -1}},
            "setting longllama.completion.maxTokens is -1: give a whole number, 0 or more.",
        ),
        (
            {"completion": {"maxTokens": True}},
            "setting longllama.completion.maxTokens is true: give a whole number, 0 or more.",
        ),
        ({"model": {"path": None}}, "setting longllama.model.path is null: give a string."),
        (
            {"trigger": {"mode": "always"}},
            'setting longllama.trigger.mode is "always": choose one of "auto", "manual".',
        ),
        (
            {"memory": {"include": "*.py"}},
            'setting longllama.memory.include is "*.py": give a list of strings.',
        ),
        (
            {"enableLanguages": {"python": "yes"}},
            'setting longllama.enableLanguages is {"python": "yes"}:'
            " give an object whose values are true or false.",
        ),
        (
            {"log": {"levle": "info"}},
            'setting longllama.log.levle is "info": there is no such setting; '
            "the nearest is longllama.log.level.",
        ),
        (
            {"log": {"colour": False}},
            "setting longllama.log.colour is false: there is no such setting; known: level.",
        ),
        (
            {"triger": {"mode": "auto"}},
            'setting longllama.triger.mode is "auto": there is no such setting; '
            "the nearest is longllama.trigger.mode.",
        ),
        (
            {"completion": {"max-tokns": {}}},
            "setting longllama.completion.max-tokns is {}: there is no such setting; "
            "the nearest is longllama.completion.maxTokens.",
        ),
        (
            {"log": {"level": datetime.date(2026, 11, 30)}},
            'setting longllama.log.level is "2026-11-30": '
            'choose one of "error", "warning", "info", "debug".',
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy_and_left_out(layer, message):
    settings, problems = resolve([{"model": {"path": "tiny"}}, layer])
    assert [str(problem) for problem in problems] == [message]
    assert settings == resolve([{"model": {"path": "tiny"}}])[0]


def test_a_mistake_costs_its_own_value_alone():
    settings, problems = resolve([{"enable": "no", "completion": {"maxTokens": 5, "x": 1}}])
    assert [problem.key for problem in problems] == ["enable", "completion.x"]
    assert (settings.enable, settings.completion.max_tokens) == (True, 5)


def test_an_unknown_group_is_named_setting_by_setting():
    _, problems = resolve([{"look": {"mode": 1, "deep": {"er": {"still": [None]}}}}])
    assert [(problem.name, problem.value) for problem in problems] == [
        ("longllama.look.mode", 1),
        ("longllama.look.deep.er", {"still": [None]}),
    ]


def test_a_repository_with_any_number_of_unknown_settings_is_read_at_once():
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"x": deep}
    many = {f"mode{number}": deep for number in range(20_000)}
    begun = time.process_time()
    _, problems = resolve([], {"enable": False, **many, "n" * 1_000_000: 1})
    assert time.process_time() - begun < 5
    assert len(problems) == MAX_NAMED
    assert "is an object of too many levels: there is no such setting" in str(problems[-1])


def test_keys_of_the_client_are_passed_over_at_the_top_alone():
    assert resolve([{"server": {"command": ["x"]}, "trace": {"server": "off"}}])[1] == []
    assert resolve([{"memory": {"server": 1}}])[1] != []


def test_languages():
    settings, _ = resolve([{"enableLanguages": {"*": False, "go": True}}])
    assert settings.language_enabled("go")
    assert not settings.language_enabled("python")
    settings, _ = resolve([{"enableLanguages": {"go": False}}])
    assert settings.language_enabled("python")


def names(group, prefix=""):
    for item in fields(group):
        value, name = getattr(group, item.name), prefix + camel(item.name)
        yield from names(value, f"{name}.") if is_dataclass(value) else [name]


def test_the_schema_covers_every_setting():
    schema = json_schema()
    assert set(schema) == {f"longllama.{name}" for name in names(Settings())}
    for name, _, default, about in flat(Settings(), ""):
        entry = schema[f"longllama.{name}"]
        assert (entry["default"], entry["description"]) == (default, about)
        kinds = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
        assert entry["type"] == kinds[type(default)]
    assert schema["longllama.trigger.mode"]["enum"] == ["auto", "manual"]


def test_the_defaults_are_valid_settings_themselves():
    for name, _, default, _ in flat(Settings(), ""):
        layer = default
        for part in reversed(name.split(".")):
            layer = {part: layer}
        assert resolve([layer]) == (Settings(), [])


def test_the_nested_schema_takes_what_resolve_takes():
    """The same values, nested: strict alike, with the same defaults."""
    schema = nested_schema()
    for name, _, default, about in flat(Settings(), ""):
        place = schema
        for part in name.split("."):
            assert place["additionalProperties"] is False
            place = place["properties"][part]
        assert (place["default"], place["description"]) == (default, about)
    assert "server" in schema["properties"]


def test_what_is_generated_is_up_to_date():
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, f"{path} is stale; run `poe settings`"


@pytest.mark.parametrize("spelling", ["maxTokens", "max-tokens", "max_tokens"])
def test_keys_may_be_spelt_as_toml_has_them(spelling):
    settings, problems = resolve([{"completion": {spelling: 7}}])
    assert (settings.completion.max_tokens, problems) == (7, [])


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", 3])
def test_an_ignore_file_is_a_name_alone(name):
    settings, (problem,) = resolve([{"memory": {"ignoreFile": name}}])
    assert settings.memory.ignore_file == ".longllamaignore"
    assert problem.remedy == "give the name of a file, without a folder."


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_pattern_that_is_none_is_named(key):
    _, (problem,) = resolve([{"memory": {key: ["ok/", "!"]}}])
    assert problem.key == f"memory.{key}"
    assert problem.remedy == '"!" is not a gitignore pattern; correct it.'


def test_an_empty_table_of_lua_is_an_empty_object():
    settings, problems = resolve([[], {"memory": []}])
    assert (settings, problems) == (Settings(), [])


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("", True),
        ("https://cluster.example/longllama", True),
        ("https://cluster.example:8443", True),
        ("http://127.0.0.1:8000/longllama", True),
        ("http://localhost/x", True),
        ("http://[::1]:8000/x", True),
        ("http://cluster.example/longllama", False),
        ("http://localhost.example/x", False),
        ("http://localhost@cluster.example/x", False),
        ("http://localhost:80@cluster.example/x", False),
        ("ftp://cluster.example", False),
        ("cluster.example", False),
    ],
)
def test_code_goes_to_other_machines_over_tls_alone(url, is_right):
    settings, problems = resolve([{"engine": {"url": url}}])
    assert settings.engine.url == (url if is_right else "")
    assert [problem.key for problem in problems] == ([] if is_right else ["engine.url"])


def test_a_repository_cannot_name_a_place_for_code():
    named = {"url": "https://a.b", "token_file": "x", "certificate": "x", "repository": "x"}
    settings, problems = resolve([], {"engine": named})
    assert settings.engine == Settings().engine
    assert len(problems) == len(named)
