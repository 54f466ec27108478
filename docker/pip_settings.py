"""pip's settings on this machine as build secrets, so that a build uses the same package indexes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

PLACES = ("index-url", "extra-index-url", "find-links", "trusted-host")
CERTIFICATE = "/run/secrets/ca"


@contextmanager
def secrets() -> Iterator[list[str]]:
    """Yield the arguments of ``docker build`` for the secret 'pip' and, if pip has a certificate, 'ca'.

    Indexes and folders of wheels on this machine's disk are served on 127.0.0.1 while the block runs: the build
    uses the host's network but does not see its file system.
    """
    settings = pip_config()
    with ExitStack() as stack, TemporaryDirectory() as folder:
        lines = ["[global]"]
        for name in PLACES:
            values = [stack.enter_context(_reachable(value, name)) for value in settings.get(name, "").split()]
            if values:
                lines.append(f"{name} = {' '.join(values)}")
        arguments = []
        if certificate := settings.get("cert"):
            lines.append(f"cert = {CERTIFICATE}")
            arguments += ["--secret", f"id=ca,src={certificate}"]
        file = Path(folder) / "pip.conf"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield ["--secret", f"id=pip,src={file}", *arguments]


def pip_config() -> dict[str, str]:
    """Return ``pip config list`` by key without section; the environment takes precedence over files."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    config: dict[str, str] = {}
    for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        # pip prints repr(): newlines between several values are escaped there
        config[name.rpartition(".")[2]] = value.strip().strip("'\"").replace("\\n", " ")
    return config


@contextmanager
def _reachable(place: str, name: str) -> Iterator[str]:
    """Yield ``place`` itself, or the address at which a local one is served."""
    parts = urlsplit(place)
    local = Path(unquote(parts.path)) if parts.scheme in ("", "file") else None
    if local is None or name == "trusted-host":
        yield place
        return
    # the pages of an index link to files next to it
    root, path = (local, "") if name == "find-links" else (local.parent, local.name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{path}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing: only the build's own output matters."""
