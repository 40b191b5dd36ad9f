"""The settings of one client: the repository's say, and what is turned on and off by command."""

import json

import pytest

from lsp_server.settings.configuration import (
    MAX_FILE_BYTES,
    Configuration,
    RepositorySettings,
    repository_settings,
)
from lsp_server.settings.schemas import repository_settings as allowed_to_repositories


def write(root, text):
    root.mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text(text)
    return root


def test_the_layers_weakest_first():
    configuration = Configuration({"model": {"path": "d"}})
    configuration.set_repository({"completion": {"max-tokens": 1}, "trigger": {"mode": "manual"}})
    assert configuration.settings.completion.max_tokens == 1
    configuration.set_layer("configuration", {"completion": {"maxTokens": 3}})
    configuration.set_layer("options", {"completion": {"maxTokens": 2}, "model": {"path": "b"}})
    settings = configuration.settings
    assert settings.completion.max_tokens == 3
    assert settings.trigger.mode == "manual"
    assert settings.model.path == "d"
    assert configuration.problems == []


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("model", "path", "evil"),
        ("model", "threads", 64),
        ("memory", "cacheDir", "/tmp/elsewhere"),
        ("memory", "respectGitignore", False),
        ("memory", "ignoreFile", ".other"),
        ("memory", "maxFileBytes", 1 << 40),
        ("memory", "maxTokens", 1 << 40),
        ("memory", "persist", False),
        ("log", "level", "debug"),
    ],
)
def test_what_a_repository_may_not_set(group, key, value):
    configuration = Configuration()
    before = configuration.settings
    configuration.set_repository({group: {key: value}})
    assert configuration.settings == before
    (problem,) = configuration.problems
    assert str(problem) == (
        f"setting longllama.{group}.{key} is {json.dumps(value)}: "
        "a repository's pyproject.toml may not set it; set it in your editor."
    )


def test_a_repository_may_set_what_narrows_or_tunes_alone():
    assert set(allowed_to_repositories()) == {
        *("enable", "enableLanguages", "disabledGlobs"),
        *("trigger.mode", "trigger.debounceMs", "trigger.maxLineSuffix", "trigger.minConfidence"),
        *("trigger.insideWord", "trigger.afterClosingBracket"),
        *("completion.maxTokens", "completion.timeoutMs", "completion.multiline"),
        *("completion.candidates", "completion.ahead", "completion.disableInComments"),
        *("completion.definitionTokens", "completion.repositoryContext", "completion.shortFirst"),
        *("completion.existingNames", "completion.recentEdits"),
        "indexing.pauseOnBattery",
        *("memory.include", "memory.exclude"),
    }


def test_the_repository_is_read_from_the_first_folder_that_has_settings(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    other = write(tmp_path / "other", "[project]\n")
    one = write(tmp_path / "one", '[tool.longllama]\nmemory.exclude = ["a/"]\n')
    assert repository_settings([empty]).values == {}
    found = repository_settings([empty, other, one])
    assert (found.values, found.problem) == ({"memory": {"exclude": ["a/"]}}, None)


def test_folders_whose_settings_do_not_count_are_named(tmp_path):
    one = write(tmp_path / "one", "[tool.longllama]\nenable = true\n")
    same = write(tmp_path / "same", "[tool.longllama]\nenable = true\n")
    others = [write(tmp_path / name, "[tool.longllama]\nenable = false\n") for name in "ab"]
    found = repository_settings([one, same, *others])
    assert found.values == {"enable": True}
    for other in others:
        assert f"of {other / 'pyproject.toml'} is not used" in found.problem
    assert f"as that of {one / 'pyproject.toml'} holds" in found.problem
    assert str(same) not in found.problem


def test_a_folder_whose_file_cannot_be_read_hides_no_other(tmp_path):
    broken = write(tmp_path / "broken", "[tool.longllama\n")
    one = write(tmp_path / "one", "[tool.longllama]\nenable = false\n")
    found = repository_settings([broken, one])
    assert found.values == {"enable": False}
    assert f"{broken / 'pyproject.toml'} is not read" in found.problem


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path):
    root = write(tmp_path / "ws", "")
    (root / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.longllama]\nenable = false\n")
    assert repository_settings([root]) == RepositorySettings({"enable": False})


@pytest.mark.parametrize(
    ("text", "values"),
    [("", {}), ("tool = 3", {}), ("[tool]", {}), ("[tool.longllama]\nenable = 3", {"enable": 3})],
)
def test_files_of_other_contents(tmp_path, text, values):
    found = repository_settings([write(tmp_path / "ws", text)])
    assert (found.values, found.problem) == (values, None)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    broken = write(tmp_path / "broken", "[tool.longllama\n")
    assert "pyproject.toml is not read" in repository_settings([broken]).problem
    binary = tmp_path / "binary"
    binary.mkdir()
    (binary / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert "is not read" in repository_settings([binary]).problem
    large = write(tmp_path / "large", "#" * (MAX_FILE_BYTES + 1))
    assert "larger than 1 MiB" in repository_settings([large]).problem


def test_a_file_that_leads_out_of_its_folder_is_not_read(tmp_path):
    outside = write(tmp_path / "outside", "[tool.longllama]\nenable = false\n")
    root = tmp_path / "ws"
    root.mkdir()
    (root / "pyproject.toml").symlink_to(outside / "pyproject.toml")
    found = repository_settings([root])
    assert found.values == {}
    assert "links to a file outside its folder" in found.problem


def test_toggling():
    configuration = Configuration()
    configuration.toggle()
    assert not configuration.settings.enable
    configuration.set_layer("options", {"completion": {"maxTokens": 5}})
    assert not configuration.settings.enable
    configuration.toggle()
    assert configuration.settings.enable


def test_a_setting_that_changes_ends_what_was_toggled():
    configuration = Configuration()
    configuration.toggle()
    configuration.set_layer("configuration", {"enable": False})
    assert not configuration.settings.enable
    configuration.set_layer("configuration", {"enable": True})
    assert configuration.settings.enable


def test_toggling_a_language():
    configuration = Configuration()
    configuration.set_layer("options", {"enableLanguages": {"*": True, "go": False}})
    configuration.toggle_language("python")
    configuration.toggle_language("go")
    settings = configuration.settings
    assert not settings.language_enabled("python")
    assert settings.language_enabled("go")
    assert settings.language_enabled("rust")
    configuration.toggle_language("python")
    assert configuration.settings.language_enabled("python")
    configuration.toggle_language("*")
    assert not configuration.settings.language_enabled("rust")


def test_a_language_that_is_toggled_twice_leaves_nothing_behind():
    configuration = Configuration()
    before = configuration.settings
    configuration.toggle_language("python")
    assert configuration.settings.enable_languages == {"*": True, "python": False}
    configuration.toggle_language("python")
    assert configuration.settings == before
    configuration.toggle_language("*")
    configuration.toggle_language("python")
    assert configuration.settings.enable_languages == {"*": False, "python": True}
    configuration.toggle_language("*")
    configuration.toggle_language("python")
    assert configuration.settings.enable_languages == {"*": True, "python": False}
