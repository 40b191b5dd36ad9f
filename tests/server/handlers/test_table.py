"""The table of handlers, as pygls reads it."""

import inspect
from typing import get_type_hints

import pytest

from lsp_server.handlers.table import COMMANDS, FEATURES, OPTIONS, new_server
from lsp_server.lsp_protocol import OWN_HANDLERS
from lsp_server.server import Server


@pytest.mark.parametrize("name", [*FEATURES, *COMMANDS])
def test_pygls_passes_the_server_to_every_handler(name):
    # pygls looks for the annotation, and passes no server, without an error, if it cannot be read.
    handler = FEATURES.get(name) or COMMANDS[name]
    first = next(iter(inspect.signature(handler).parameters))
    assert get_type_hints(handler)[first] is Server


def test_options_belong_to_features():
    assert OPTIONS.keys() <= FEATURES.keys()


def test_every_handler_of_pygls_that_is_removed_has_one_in_its_place():
    assert set(OWN_HANDLERS) <= FEATURES.keys()
    builtin = new_server().protocol.fm.builtin_features
    assert not set(OWN_HANDLERS) & builtin.keys()


def test_two_servers_in_a_process_have_handlers_of_their_own():
    first, second = new_server(), new_server()
    first.protocol.fm.features["exit"](None)
    assert first.stop_event.is_set()
    assert not second.stop_event.is_set()
