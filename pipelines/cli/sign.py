"""``viker sign``: sign a file of evidence."""

from pathlib import Path
from typing import Annotated

import typer

from viker.core.console import say
from viker.core.errors import UserError
from viker.evidence.signature import MAKE, VARIABLE, sign_file


def sign(
    file: Annotated[Path, typer.Argument(help="evidence.zip, a receipt, or any other file.")],
    key: Annotated[
        Path | None, typer.Option(help="The private key: Ed25519, in PEM. Default: the file in VIKER_SIGNING_KEY.")
    ] = None,
) -> None:
    """Write the signature of a file beside it: a DSSE envelope around an in-toto statement, FILE.dsse.json.

    `viker verify --key` checks that of an evidence bundle. Keep the private key where neither the pipeline nor who
    trains can read it, if the signature is to say that somebody else looked at the evidence.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file. Expected what 'viker report' or 'viker purge' writes.")
    written = sign_file(file, key)
    if written is None:
        raise UserError(f"no key to sign with: --key KEY.pem, or its path in {VARIABLE}. {MAKE} make a pair.")
    say(str(written))
