"""What a run came to, by e-mail: over real SMTP, plain and encrypted."""

import socket
import ssl
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.contract.ended import GATE_FAILED, NOTHING
from components.register.notify import tell
from viker.data.requests import ForgetRequest

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LATE = ForgetRequest.model_validate(
    {"id": "late", "date": date(2026, 10, 1), "people": ["secret"], "reason": "erasure", "deadline": date(2026, 11, 1)}
)


class Inbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # aiosmtpd looks for this name
        mail = message_from_bytes(envelope.content, policy=default)
        self.mails.append((envelope.rcpt_tos, session.ssl is not None, mail))
        return "250 OK"


def certificate(folder):
    """A certificate of 127.0.0.1 by itself, as a context for the server and a file for the client."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def clerk(server, session, envelope, mechanism, auth_data):
    accepted = isinstance(auth_data, LoginPassword) and (auth_data.login, auth_data.password) == (b"clerk", b"p@ss")
    return AuthResult(success=accepted)


@pytest.fixture
def serve():
    started = []

    def start(**options):
        with socket.socket() as free:  # the controller calls its port once, so it must know it
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(Inbox(), hostname="127.0.0.1", port=port, server_hostname="localhost", **options)
        controller.start()
        started.append(controller)
        return controller.handler, port

    yield start
    for one in started:
        one.stop()


def test_everybody_named_gets_what_there_is_to_tell_and_nothing_to_do_is_silent(serve, monkeypatch):
    inbox, port = serve()
    monkeypatch.setenv("VIKER_SMTP", f"smtp://127.0.0.1:{port}")
    monkeypatch.setenv("VIKER_MAIL_TO", "privacy@example.org, ops@example.org")
    monkeypatch.setenv("VIKER_MAIL_FROM", "viker@example.org")
    tell("run-1", NOTHING, [], [], NOW)
    assert inbox.mails == []
    tell("run-1", GATE_FAILED, [], [LATE], NOW)
    ((to, _, mail),) = inbox.mails
    assert to == ["privacy@example.org", "ops@example.org"] and mail["From"] == "viker@example.org"
    assert mail["Subject"] == "ViKeR: GateFailed, Overdue"
    assert "the gate failed" in mail.get_content() and "not carried out: late" in mail.get_content()
    assert "secret" not in mail.as_string()


def test_a_password_goes_over_an_encrypted_connection(serve, monkeypatch, tmp_path):
    public, context = certificate(tmp_path)
    inbox, port = serve(tls_context=context, authenticator=clerk, auth_required=True)
    monkeypatch.setenv("VIKER_SMTP", f"smtp://clerk:p%40ss@localhost:{port}")
    monkeypatch.setenv("VIKER_MAIL_TO", "privacy@example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    tell("run-1", GATE_FAILED, [], [], NOW)
    assert [encrypted for _, encrypted, _ in inbox.mails] == [True]


@pytest.mark.parametrize(
    ("encrypts", "said"),
    [(False, "offers no STARTTLS, so the password was not sent"), (True, "certificate verify failed")],
    ids=["plain server", "unknown certificate"],
)
def test_a_password_goes_nowhere_else_and_is_not_logged(serve, monkeypatch, tmp_path, caplog, encrypts, said):
    options = {"tls_context": certificate(tmp_path)[1]} if encrypts else {}
    inbox, port = serve(authenticator=clerk, auth_require_tls=False, **options)
    monkeypatch.setenv("VIKER_SMTP", f"smtp://clerk:hunter2@localhost:{port}")
    monkeypatch.setenv("VIKER_MAIL_TO", "privacy@example.org")
    tell("run-1", GATE_FAILED, [], [], NOW)
    assert inbox.mails == [] and said in caplog.text and "hunter2" not in caplog.text


def test_nobody_to_mail_to_and_no_server_are_logged_and_fail_nothing(monkeypatch, caplog):
    monkeypatch.setenv("VIKER_SMTP", "smtp://127.0.0.1:9")
    tell("run-1", GATE_FAILED, [], [], NOW)
    assert "VIKER_MAIL_TO names nobody" in caplog.text
    monkeypatch.setenv("VIKER_MAIL_TO", "privacy@example.org")
    tell("run-1", GATE_FAILED, [], [], NOW)
    assert "127.0.0.1:9 was not told" in caplog.text
