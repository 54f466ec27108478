"""Signatures: by this key, about this file, in the form that other tools read."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from viker.core.errors import UserError
from viker.evidence.signature import encoded, sign_file, signature_file, verify_file


@pytest.fixture
def keys(tmp_path):
    """Two pairs of keys in PEM, as openssl writes them."""
    for name in ("mine", "other"):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(private)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub.pem").write_bytes(public)
    return tmp_path


@pytest.fixture
def signed(keys, monkeypatch):
    monkeypatch.setenv("VIKER_SIGNING_KEY", str(keys / "mine.pem"))
    path = keys / "evidence.zip"
    path.write_bytes(b"evidence")
    assert sign_file(path) == signature_file(path)
    return path


def test_it_is_a_dsse_envelope_around_an_in_toto_statement(signed):
    envelope = json.loads(signature_file(signed).read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["name"] == "evidence.zip"


def test_what_is_signed_is_dsses_encoding():
    """The example of the protocol's page."""
    assert encoded("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_right_key_verifies(signed, keys):
    assert len(verify_file(signed, keys / "mine.pub.pem")) == 16


def test_another_key_does_not(signed, keys):
    with pytest.raises(UserError, match="not signed with the key"):
        verify_file(signed, keys / "other.pub.pem")


def test_another_file_does_not(signed, keys):
    signed.write_bytes(b"evidencf")
    with pytest.raises(UserError, match="about another file"):
        verify_file(signed, keys / "mine.pub.pem")


def test_an_edited_statement_does_not(signed, keys):
    path = signature_file(signed)
    envelope = json.loads(path.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b"evidence.zip", b"evidence.zap")
    path.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    with pytest.raises(UserError, match="not signed with the key"):
        verify_file(signed, keys / "mine.pub.pem")


def test_without_a_key_an_old_signature_goes(signed, monkeypatch):
    monkeypatch.delenv("VIKER_SIGNING_KEY")
    assert sign_file(signed) is None and not signature_file(signed).exists()


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_said(signed, keys, content):
    (keys / "bad.pem").write_bytes(content)
    with pytest.raises(UserError, match="no private key"):
        sign_file(signed, keys / "bad.pem")
    with pytest.raises(UserError, match="no public key"):
        verify_file(signed, keys / "bad.pem")


@pytest.mark.parametrize("content", ["", "[]", '{"payload": "e30="}', '{"payload": "%"}'])
def test_what_is_no_envelope_is_said(signed, keys, content):
    signature_file(signed).write_text(content)
    with pytest.raises(UserError, match="no DSSE envelope"):
        verify_file(signed, keys / "mine.pub.pem")
