"""What is generated from the settings: it must be up to date, and nothing else may be touched."""

import json

from lsp_server.settings import generated
from lsp_server.settings.declarations import CLIENT_KEYS, SECTION

MANIFEST = json.loads(generated.MANIFEST.read_text("utf-8"))


def properties() -> dict[str, dict[str, object]]:
    groups = MANIFEST["contributes"]["configuration"]
    return {name: entry for group in groups for name, entry in group["properties"].items()}


def test_what_is_generated_is_up_to_date():
    for path, text in generated.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `poe settings`"


def test_drift_is_found_and_mended():
    text = generated.MANIFEST.read_text("utf-8")
    stale = text.replace('"default": 48', '"default": 47')
    assert stale != text
    assert generated.with_properties(stale) == text


def test_vscode_declares_the_clients_own_settings_and_the_servers_alone():
    own = set(properties()) - set(generated.vscode_properties())
    assert {name.split(".")[1] for name in own} == CLIENT_KEYS


def test_places_on_a_machine_are_restricted_and_stay_on_it():
    trust = MANIFEST["capabilities"]["untrustedWorkspaces"]
    restricted = trust["restrictedConfigurations"]
    assert set(restricted) == {*generated.MACHINE_SETTINGS, f"{SECTION}.server.command"}
    assert {properties()[name]["scope"] for name in restricted} == {"machine-overridable"}


def test_where_code_goes_is_the_users_own_choice():
    assert {properties()[name]["scope"] for name in generated.USER_SETTINGS} == {"machine"}
    assert not {name.removeprefix(f"{SECTION}.") for name in generated.USER_SETTINGS} & set(
        generated.repository_settings()
    )
