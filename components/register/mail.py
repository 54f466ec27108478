"""E-mail by SMTP, encrypted wherever the server can, and always where there is a password."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from socket import getfqdn
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 587, "smtps": 465}


def send_mail(server: str, to: str, subject: str, text: str, sender: str | None, timeout: float) -> None:
    """Send a text.

    Args:
        server: ``smtp://[USER:PASSWORD@]HOST[:PORT]``, port 587 if none is named, encrypted by STARTTLS; or
            ``smtps://``, port 465, encrypted from the start. User and password are percent-encoded.
        to: addresses, separated by commas.
        sender: an address; None: viker at this machine.
        timeout: seconds.

    Raises:
        ValueError: ``server`` is no such address, or has a password for a server that doesn't encrypt.
        OSError: it doesn't answer, its certificate isn't valid, or it refuses the message.
    """
    url = urlsplit(server)
    if url.scheme not in PORTS or not url.hostname:
        raise ValueError("expected smtp://HOST or smtps://HOST")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender or f"viker@{getfqdn()}", to, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid()
    message.set_content(text)
    host, port, encrypted = url.hostname, url.port or PORTS[url.scheme], ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=timeout, context=encrypted)
        if url.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=timeout)
    ) as connection:
        connection.ehlo()
        if url.scheme == "smtp" and connection.has_extn("starttls"):
            connection.starttls(context=encrypted)
        elif url.scheme == "smtp" and url.password:
            raise ValueError("it offers no STARTTLS, so the password was not sent; use smtps:// or another server")
        if url.username:
            connection.login(unquote(url.username), unquote(url.password or ""))
        connection.send_message(message)
