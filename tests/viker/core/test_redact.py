"""Secrets are redacted by whole words of a variable's name; what merely contains such a word is left alone."""

import pytest

from viker.core.redact import has_credentials, is_secret, redacted, without_secrets

SECRET = [
    *("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD"),
    *("PGPASSWORD", "MYSQL_PWD", "DB_PASS", "API_KEY", "OPENAI_API_KEY_OLD", "TOKEN_2", "GITHUB_TOKEN", "BASIC_AUTH"),
    *("apiKey", "AWSAccessKeyId", "X-Amz-Security-Token", "password", "SECRET_KEY_BASE", "GOOGLE_CREDENTIALS"),
]
HARMLESS = [
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "SSH_KEY_NAME", "KEYMAP", "MONKEY", "SSH_AUTH_SOCK", "MAX_TOKENS"),
    *("TOKENIZERS_PARALLELISM", "SECRETARY", "KEYBOARD", "AUTHORITY", "COMPASS", "key_token_weight", "DVC_STAGE", "id"),
]


@pytest.mark.parametrize("name", SECRET)
def test_a_name_that_ends_in_a_word_for_secrets_holds_one(name, monkeypatch):
    assert is_secret(name)
    monkeypatch.setenv(name, "hunter2hunter2")
    assert redacted({"a": ["so hunter2hunter2!"]}) == {"a": ["so ***!"]}
    assert without_secrets(f"at x?a=1&{name}=abc&b=2") == f"at x?a=1&{name}=***&b=2"


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_merely_contains_such_a_word_changes_nothing(name, monkeypatch):
    assert not is_secret(name)
    monkeypatch.setenv(name, "unlearn")
    record = {"rule": "unlearned.forget.rouge_l <= 1", "retain": "unlearn", name: f"{name}=abc"}
    assert redacted(record) == record


def test_a_short_secret_is_no_part_of_another_word(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "retain")
    assert redacted(["retain_weight", "Bearer retain", "x:retain@y"]) == ["retain_weight", "Bearer ***", "x:***@y"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://AKIAZZ:SECRETZZ@bucket/p", "s3://***@bucket/p"),
        ("s3://AKIAZZ:SEC/RET+ZZ@bucket/p", "s3://***@bucket/p"),
        ("hf://user:SECRETZZ@x/y", "hf://***@x/y"),
        ("hf://SECRETZZ@x/y", "hf://***@x/y"),
        ("dvc+https://u:SECRETZZ@127.0.0.1:1/r.git#data", "dvc+https://***@127.0.0.1:1/r.git#data"),
        ("dvc+ssh://git:SECRETZZ@host/r.git#data", "dvc+ssh://***@host/r.git#data"),
        ("https://u:p@SECRETZZ@h/x", "https://***@h/x"),
        ("s3://bucket/p?X-Amz-Signature=SECRETZZ", None),
        ("s3://bucket/p?token=SECRETZZ", "s3://bucket/p?token=***"),
    ],
)
def test_credentials_in_an_address_are_found_and_not_shown(uri, shown):
    assert has_credentials(uri)
    assert shown is None or without_secrets(uri) == shown


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/photo@2x.png", "dvc+ssh://git@host/r.git#data", "hf://a/b", "dvc+git@host:r.git#a", "http://h:1/x"],
)
def test_an_at_sign_elsewhere_is_no_credential(uri):
    assert not has_credentials(uri)
