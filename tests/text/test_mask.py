"""Secrets stay out of logs and crash reports, and ordinary text stays readable."""

from __future__ import annotations

import pytest

from refusal_tui.text.mask import MASK, mask_secrets

# All made up; the shapes are those of real keys.
SECRETS = {
    "openai": "sk-proj-Ab12Cd34Ef56Gh78Ij90",
    "anthropic": "sk-ant-api03-Ab12Cd34Ef56Gh78_Ij90-AA",
    "hugging face": "hf_AbCdEfGhIjKlMnOpQrStUvWx",
    "google": "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "github": "ghp_Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56Qr78",
    "github fine-grained": "github_pat_11ABCDEFG0123456789_abcdefghij",
    "groq": "gsk_Ab12Cd34Ef56Gh78Ij90",
    "slack": "xoxb-1234567890-abcdefghij",
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_key_is_masked_wherever_it_stands(name: str) -> None:
    key = SECRETS[name]
    for line in (key, f"using {key}.", f'{{"k": "{key}"}}', f"401 for {key}\nnext line", f"url?x={key}&y=1"):
        masked = mask_secrets(line, {})
        assert key not in masked
        assert MASK in masked


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [masked]"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic [masked]'}"),
        ("sent bearer abc.def-123456 to it", "sent bearer [masked] to it"),
        ("postgresql://ann:p%40ss!w0rd@db:5432/x", "postgresql://ann:[masked]@db:5432/x"),
        ("proxy http://:tok3n@proxy:8080", "proxy http://:[masked]@proxy:8080"),
        ("OPENAI_API_KEY=whatever it is", "OPENAI_API_KEY=[masked] it is"),
        ("export DB_PASSWORD='two words'", "export DB_PASSWORD=[masked]"),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: [masked]"),
        ("Client(api_key='abc', model='m')", "Client(api_key=[masked], model='m')"),
        ('{"api_key": "abc", "model": "m"}', '{"api_key": [masked], "model": "m"}'),
        ("x-api-key: abc", "x-api-key: [masked]"),
        ("connect(password=hunter2)", "connect(password=[masked])"),
        ("GET /v1?access_token=a1b2c3d4e5&page=2", "GET /v1?access_token=[masked]&page=2"),
    ],
)
def test_an_assignment_keeps_its_name_and_loses_its_value(line: str, masked: str) -> None:
    assert mask_secrets(line, {}) == masked


def test_a_private_key_is_masked_to_its_end() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----"
    assert mask_secrets(f"before\n{block}\nafter", {}) == "before\n[masked]\nafter"
    assert mask_secrets(f"before\n{block[:40]}", {}) == "before\n[masked]"


def test_the_value_of_a_secret_environment_variable_is_masked_with_its_name() -> None:
    environ = {"JUDGE_TOKEN": "plainlookingvalue", "EDITOR": "plainlooking"}
    text = "sent plainlookingvalue with plainlooking"
    assert mask_secrets(text, environ) == "sent [masked JUDGE_TOKEN] with plainlooking"


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    environ = {"A_KEY": "abc12345", "B_KEY": "abc12345-and-more"}
    assert mask_secrets("abc12345-and-more", environ) == "[masked B_KEY]"


def test_an_assignment_of_an_environment_value_is_masked_once() -> None:
    assert mask_secrets("B_KEY=abc12345", {"B_KEY": "abc12345"}) == "B_KEY=[masked B_KEY]"


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "blorptanium-42")
    assert mask_secrets("it is blorptanium-42") == "it is [masked SOME_SECRET]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKENS", "131072"),
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("OPENAI_API_KEY", "ollama"),
        ("OPENAI_API_KEY", "EMPTY"),
        ("USE_KEY", "1"),
    ],
)
def test_environment_values_that_are_settings_are_left_in_the_log(name: str, value: str) -> None:
    assert mask_secrets(f"value {value} here", {name: value}) == f"value {value} here"


@pytest.mark.parametrize(
    "text",
    [
        "The bearer of this letter may pass.",
        "Choose a password: at least eight characters, and keep it secret.",
        "The token is the smallest unit; max_tokens=4096, pad_token='<pad>', eos_token_id=151643.",
        "sorted(rows, key=len) with primary key 12 and item key=item-3",
        "see https://example.org:8080/a@b and mail ann@example.org",
        "sk-learn is short for scikit-learn; ask-me-anything-about-it-12",
        "hf_hub_download, hf_transfer and task-sk-1 stay",
        "api_key=None, password=null",
        "Set it: export OPENAI_API_KEY=…   or write it into a .env file here.",
        "TOKEN: a word; KEY: what opens",
        "2026-08-25 12:00:01 INFO job 12: 400 rows, 3 failed, sha256=0123456789abcdef0123456789abcdef",
        "I'm sorry, but I can't help with the frindle ritual.",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert mask_secrets(text, {}) == text


def test_a_masked_text_has_nothing_more_to_mask() -> None:
    text = "\n".join(f"k={key}" for key in SECRETS.values())
    once = mask_secrets(text, {})
    assert mask_secrets(once, {}) == once
