"""Options of ``longllama-lsp bench``."""

import argparse

import pytest

from lsp_server.benchmarks.commands.infilling import add_options
from lsp_server.benchmarks.commands.options import merged


def test_settings_from_the_command_line_count_within_their_groups():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}) == {
        "a": {"b": 1, "c": 4},
        "d": 3,
        "e": 5,
    }


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        (
            "--conditions",
            "file,prompt",
            "'prompt' is no condition; known: file, repository, memory, similar, llama.cpp, all",
        ),
        ("--part", "2/2", "'2/2' is no part"),
        ("--limit", "0", "'0' is no number from 1"),
        ("--limit", "-1", "'-1' is no number from 1"),
        ("--part", "x", "'x' is no part"),
        ("--settings", "[]", "'[]' is no JSON object"),
        ("--settings", "{", "'{' is no JSON"),
    ],
)
def test_options_that_are_wrong_say_what_is_right(option, value, said, capsys):
    parser = argparse.ArgumentParser()
    add_options(parser, "crosscodeeval")
    with pytest.raises(SystemExit):
        parser.parse_args(["data", option, value])
    assert said in capsys.readouterr().err
