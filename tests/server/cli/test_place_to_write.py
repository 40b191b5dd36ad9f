"""A cache folder means the same for the server, the engine, and every working directory."""

from argparse import Namespace

import pytest

from longllama_code import paths
from longllama_code.errors import ConfigError
from lsp_server.cli.main import main
from lsp_server.cli.options import model_arguments, settings_from
from lsp_server.engine.team.selection import engine_choice
from lsp_server.settings.layers import resolve


def test_a_relative_folder_is_made_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = str(tmp_path / "mycache")
    options = Namespace(model=None, cache_dir="mycache")
    assert settings_from(options)["memory"]["cacheDir"] == whole
    assert model_arguments(options) == ["--cache-dir", whole]
    settings, _ = resolve([{"memory": {"cacheDir": "mycache"}}])
    assert str(settings.memory.folder) == whole
    assert str(engine_choice(settings, []).local.engine.cache_dir) == whole
    monkeypatch.setenv("LONGLLAMA_CACHE", "mycache")
    assert str(paths.cache_path()) == whole


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\0b"])
def test_a_folder_of_nobody_is_refused_with_a_remedy(path):
    with pytest.raises(ConfigError):
        paths.expanded(path)
    for group, key in (("memory", "cacheDir"), ("engine", "tokenFile"), ("engine", "certificate")):
        settings, (problem,) = resolve([{group: {key: path}}])
        assert "home folder" in problem.remedy
        assert settings == resolve([])[0]


def test_the_commands_name_it(capsys):
    assert main(["cache", "--cache-dir", "~nosuchuser/x"]) == 1
    assert "~nosuchuser" in capsys.readouterr().err


def test_the_folder_of_a_user_without_a_home_is_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(paths.platformdirs, "user_cache_path", lambda _: paths.Path("~/.cache"))
    monkeypatch.delenv("LONGLLAMA_CACHE", raising=False)
    folder = paths.cache_root()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(paths.os, "getuid", lambda: 12345)
    (tmp_path / "longllama-cache-12345").mkdir()
    with pytest.raises(ConfigError, match="not this user's own"):
        paths.cache_root()
