"""Settings that are not used: named to the user until they are mended."""

import pytest
from lsprotocol import types

from tests.e2e.editor import capabilities

WRONG = {"trigger": {"mode": "aut"}, "triger": {"mode": "auto"}}
NAMED = {
    "longllama.trigger.mode": 'setting longllama.trigger.mode is "aut": choose one of',
    "longllama.triger.mode": 'setting longllama.triger.mode is "auto": there is no such setting',
}


def able(experimental):
    """Capabilities of a client that answers ``workspace/configuration`` and can do more."""
    can = capabilities(pull=True)
    can.experimental = experimental
    return can


async def configured(editor, section):
    """Have the user change the editor's settings, and wait until the server knows them."""
    editor.section = section
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))


def ignored_by(editor):
    """Names of the settings that the last status calls ignored; None before there is one."""
    if not editor.statuses:
        return None
    return [each["key"] for each in editor.statuses[-1]["ignored_settings"]]


async def test_a_client_that_shows_the_status_is_sent_no_message(start, settings):
    can = able({"longllama": {"ignoredSettings": True}})
    editor = await start(settings=settings, can=can, section={**settings, **WRONG})
    await editor.until(lambda: bool(editor.statuses))
    ignored = {each["key"]: each["message"] for each in editor.statuses[-1]["ignored_settings"]}
    assert ignored.keys() == NAMED.keys()
    assert all(ignored[key].startswith(said) for key, said in NAMED.items())
    assert editor.messages == []


async def test_what_is_mended_is_gone_and_what_is_wrong_again_is_named_again(start, settings):
    can = able({"longllama": {"ignoredSettings": True}})
    editor = await start(settings=settings, can=can, section=settings)
    for section, keys in [({**settings, **WRONG}, list(NAMED)), (settings, [])] * 2:
        await configured(editor, section)
        await editor.until(lambda keys=keys: ignored_by(editor) == keys)


@pytest.mark.parametrize(
    "experimental",
    [None, [], "longllama", {"longllama": None}, {"longllama": {"ignoredSettings": "yes"}}],
)
async def test_every_other_client_is_sent_a_message(start, settings, experimental):
    editor = await start(settings=settings, can=able(experimental), section={**settings, **WRONG})
    await editor.until(lambda: len(editor.messages) == len(NAMED))
    assert all(
        said.startswith(wanted)
        for said, wanted in zip(sorted(editor.messages), sorted(NAMED.values()), strict=True)
    ), editor.messages
    editor.messages.clear()
