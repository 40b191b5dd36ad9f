"""OpenAI's own client for Python."""

from collections.abc import Iterator

import openai
import pytest

from tests.deadline import DEADLINE_S
from tests.e2e.http_server import HttpServer, serving

TOKEN = "a token of some length"
ANSWERS = [
    {"text": "in_a()\nx = 1", "path": "a.py"},
    {"text": "first", "before": "several = ", "alternatives": ["second", "third"]},
    {"text": "answer()"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    folder = tmp_path_factory.mktemp("openai")
    (folder / "ws").mkdir()
    (folder / "ws" / "a.py").write_text("x = 0\n")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    env = {"LONGLLAMA_TOKEN": TOKEN}
    with serving(folder / "ws", folder, ANSWERS, env=env, headers=headers) as running:
        running.until_ready()
        yield running


def client_of(server: HttpServer, token: str = TOKEN) -> openai.OpenAI:
    direct = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=token,
        timeout=DEADLINE_S,
        max_retries=0,
        http_client=direct,
    )


@pytest.fixture(scope="module")
def client(server: HttpServer) -> Iterator[openai.OpenAI]:
    with client_of(server) as found:
        yield found


def test_models_are_listed(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert model.id.startswith("script:")


def test_a_text_between_two_others(client: openai.OpenAI) -> None:
    found = client.completions.create(model="any", prompt="x = ", suffix="\n", max_tokens=20)
    (choice,) = found.choices
    assert (choice.text, choice.finish_reason) == ("answer()", "stop")
    assert found.usage is not None
    assert found.usage.completion_tokens == len("answer()")


def test_a_stream(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="any",
        prompt="x = ",
        suffix="\n",
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"file": "a.py"},
    )
    chunks = list(stream)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.text for choice in choices) == "in_a()\nx = 1"
    assert [choice.finish_reason for choice in choices] == [None, "stop"]
    assert chunks[-1].usage is not None


def test_several_choices_and_a_stop(client: openai.OpenAI) -> None:
    found = client.completions.create(model="any", prompt="several = ", n=3)
    assert [choice.text for choice in found.choices] == ["first", "second", "third"]
    one = client.completions.create(model="any", prompt="x = ", stop=["("])
    assert one.choices[0].text == "answer"


def test_errors_are_those_of_the_client(server: HttpServer, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'max_tokens' is -3; send a number") as bad:
        client.completions.create(model="any", prompt="x = ", max_tokens=-3)
    assert bad.value.param == "max_tokens"
    with pytest.raises(openai.NotFoundError, match="is not served"):
        client.chat.completions.create(model="any", messages=[])
    with (
        client_of(server, "a wrong token of some length") as stranger,
        pytest.raises(openai.AuthenticationError, match="the token is missing or wrong"),
    ):
        stranger.models.list()
