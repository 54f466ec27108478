"""What follows a run: evidence signed and verified, the person's page, the audit log, the look for a relapse."""

import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from components.privacy.search import files_below
from pipelines.cli.audit import verify as verify_audit
from pipelines.cli.certificate import certificate
from pipelines.cli.purge import purge
from pipelines.cli.recheck import recheck
from pipelines.cli.sign import sign
from pipelines.cli.verify import verify
from tests.components.privacy.canaries import CANARY, FORGOTTEN
from viker.core.errors import UserError

pytestmark = pytest.mark.slow
FIRST, SECOND = FORGOTTEN
LOADS = re.compile(
    r"""<(?:script|img|iframe|video|audio|source|embed)[^>]*\ssrc=["']?(?:https?:)?//"""
    r"""|<link[^>]*\shref=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import|fetch\(|XMLHttpRequest"""
)
"""What makes a browser ask another host."""


def test_no_page_of_a_run_asks_a_foreign_host(finished, browser):
    pages = [path for path in files_below([finished]) if path.suffix == ".html" and ".git" not in path.parts]
    own = [path for path in pages if path.relative_to(finished).parts[0] in ("report", "validation", "mlartifacts")]
    assert len(own) >= 4
    for path in own:
        asked = []
        tab = browser.new_page()
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.goto(path.as_uri())
        tab.close()
        assert not LOADS.search(path.read_text()) and [url for url in asked if not url.startswith("file:")] == [], path


def test_the_audit_log_has_the_run_and_is_whole(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    monkeypatch.delenv("VIKER_PRIVACY_DIR", raising=False)
    events = [json.loads(line)["event"] for line in Path("privacy/audit.jsonl").read_text().splitlines()]
    assert events == ["verdict", "promotion", "carried out", "carried out"]
    verify_audit()
    last = capsys.readouterr().out.split()[-1]
    verify_audit(last=last)
    with pytest.raises(UserError, match="cut off or written anew"):
        verify_audit(last="0" * 64)


def test_a_signed_bundle_is_verified_by_its_key_alone(project, tmp_path, capsys):
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    bundle = Path("report/evidence.zip")
    verify(bundle)
    assert "a digest proves no author" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"'viker sign report/evidence\.zip' makes the signature"):
        verify(bundle, key=public)
    sign(bundle, private)
    verify(bundle, key=public)
    assert "signed with the key" in capsys.readouterr().out


def test_after_a_purge_the_person_gets_a_page_and_the_champion_is_asked_again(project):
    with pytest.raises(UserError, match="no guard set"):
        recheck()
    purge([FIRST], yes=True)

    certificate(FIRST, "de")
    text = Path(f"privacy/certificates/{FIRST}.de.html").read_text()
    receipt = json.loads(next(Path("privacy/receipts").glob("*.json")).read_text())
    assert receipt["digest"] in text and receipt["requests"][0]["people"][0] in text
    assert not re.search(CANARY, text.casefold()) and SECOND not in text
    assert Path(f"privacy/certificates/{FIRST}.de.pdf").stat().st_mode & 0o077 == 0

    recheck()
    measured = json.loads(Path("metrics/recheck.json").read_text())["requests"][FIRST]
    assert measured["questions"] >= 6 and measured["leaked"] == 0
