"""What is generated from the settings: it must be up to date, and nothing else may be touched."""

import json

from lsp_server import settings_docs
from lsp_server.settings import OF_CLIENTS, SECTION

MANIFEST = json.loads(settings_docs.MANIFEST.read_text("utf-8"))


def properties() -> dict[str, dict[str, object]]:
    groups = MANIFEST["contributes"]["configuration"]
    return {name: entry for group in groups for name, entry in group["properties"].items()}


def test_what_is_generated_is_up_to_date():
    for path, text in settings_docs.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `poe settings`"


def test_drift_is_found_and_mended():
    text = settings_docs.MANIFEST.read_text("utf-8")
    stale = text.replace('"default": 48', '"default": 47')
    assert stale != text
    assert settings_docs.with_properties(stale) == text


def test_vscode_declares_the_clients_own_settings_and_the_servers_alone():
    own = set(properties()) - set(settings_docs.vscode_properties())
    assert {name.split(".")[1] for name in own} == OF_CLIENTS


def test_places_on_a_machine_are_restricted_and_stay_on_it():
    trust = MANIFEST["capabilities"]["untrustedWorkspaces"]
    restricted = trust["restrictedConfigurations"]
    assert set(restricted) == {*settings_docs.OF_THE_MACHINE, f"{SECTION}.server.command"}
    assert {properties()[name]["scope"] for name in restricted} == {"machine-overridable"}


def test_where_code_goes_is_the_users_own_choice():
    assert {properties()[name]["scope"] for name in settings_docs.OF_THE_USER} == {"machine"}
    assert not {name.removeprefix(f"{SECTION}.") for name in settings_docs.OF_THE_USER} & set(
        settings_docs.repository_settings()
    )
