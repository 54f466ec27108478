"""Signatures: a DSSE envelope around an in-toto statement about a file, signed with Ed25519.

Sources: DSSE v1.0 (secure-systems-lab/dsse, protocol.md), in-toto Attestation Framework, Statement v1, and RFC 8032.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_bytes, sha256_path, write_json

VARIABLE = "VIKER_SIGNING_KEY"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:viker:evidence:v1"
MAKE = "'openssl genpkey -algorithm ed25519 -out key.pem' and 'openssl pkey -in key.pem -pubout -out key.pub.pem'"


def signature_file(path: Path) -> Path:
    """Return where the signature of a file lies: beside it."""
    return path.with_name(f"{path.name}.dsse.json")


def sign_file(path: Path, key: Path | None = None) -> Path | None:
    """Sign a file with the private key in ``key``, or else in VIKER_SIGNING_KEY; return the signature's file.

    None: there is no key; a signature of an earlier file is removed, as it would no longer fit.

    Raises UserError: the key can't be read, or is no private key of Ed25519 in PEM without a passphrase.
    """
    place = key or (Path(named) if (named := os.environ.get(VARIABLE)) else None)
    target = signature_file(path)
    if place is None:
        target.unlink(missing_ok=True)
        return None
    private = _private_key(place)
    subject = {"name": path.name, "digest": {"sha256": sha256_path(path)}}
    statement = {"_type": STATEMENT, "subject": [subject], "predicateType": PREDICATE, "predicate": {"of": path.name}}
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    signed = {"keyid": key_id(private.public_key()), "sig": _base64(private.sign(encoded(PAYLOAD, payload)))}
    write_json(target, {"payloadType": PAYLOAD, "payload": _base64(payload), "signatures": [signed]})
    return target


def verify_file(path: Path, key: Path, signature: Path | None = None) -> str:
    """Return the ID of the public key in ``key`` if the signature of a file is by it and about this very file.

    Raises UserError: a file is missing or no key or envelope, the signature is by another key, or about another file.
    """
    place = signature or signature_file(path)
    public = _public_key(key)
    try:
        envelope = json.loads(place.read_text(encoding="utf-8"))
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind, signatures = envelope["payloadType"], [base64.b64decode(one["sig"]) for one in envelope["signatures"]]
    except FileNotFoundError:
        raise UserError(f"{place}: no such file. 'viker sign {path}' makes the signature of {path}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place}: no DSSE envelope ({type(error).__name__}: {error}).") from None
    if kind != PAYLOAD or not any(_is_by(public, one, encoded(kind, payload)) for one in signatures):
        raise UserError(f"{place}: not signed with the key {key} (ID {key_id(public)}). Don't rely on {path}.")
    statement = json.loads(payload)
    digests = [one.get("digest", {}).get("sha256") for one in statement.get("subject", ())]
    if statement.get("_type") != STATEMENT or sha256_path(path) not in digests:
        raise UserError(f"{place}: signed, but about another file than {path} as it is now. Don't rely on it.")
    return key_id(public)


def encoded(kind: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding, which is what is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def key_id(public: Any) -> str:
    """Return the ID of a public key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return sha256_bytes(public.public_bytes_raw())[:16]


def _is_by(public: Any, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _private_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: no private key ({' '.join(str(error).split())[:120]}). {MAKE} make a pair.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path}: a key of another kind than Ed25519. {MAKE} make a pair.")
    return key


def _public_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no public key ({' '.join(str(error).split())[:120]}). {MAKE} make a pair.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(f"{path}: a key of another kind than Ed25519. {MAKE} make a pair.")
    return key


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
