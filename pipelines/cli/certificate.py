"""``viker certificate``: the page for the person who asked, as HTML and PDF."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import ImageFile

from components.contract.params import load_params
from components.privacy.receipt import find_receipt
from pipelines.cli.registry import open_registry, requests_folder
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError, did_you_mean
from viker.core.files import new_file, private_files
from viker.core.pseudonyms import privacy_folder, salt
from viker.data.requests import read_requests
from viker.report.certificate import Language
from viker.report.certificate import certificate as page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def certificate(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The ID of a request that is carried out.")],
    language: Annotated[Language, typer.Option(help="Of the page.")] = "en",
    out: Annotated[Path | None, typer.Option(help="The HTML file. Default: in privacy/certificates.")] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write one page for the person who asked: dates, what was removed, how it was tested, and how to verify it.

    It holds no private value. After `viker purge` it says what was removed; give it to the person alone, as it has the
    salt by which they can find themselves in the receipt. The PDF beside it is made by WeasyPrint, or, where that can't
    be loaded, by Chromium.
    """
    settings = load_params(params)
    requests = {one.id: one for one in read_requests(requests_folder(settings.prepare.requests)).values()}
    if request not in requests:
        raise UserError(f"no request '{request}' in {settings.prepare.requests}{did_you_mean(request, requests)}")
    asked = requests[request]
    if asked.carried_out is None:
        raise UserError(f"request '{request}' is not carried out yet; due on {asked.deadline}.")
    registry = open_registry(settings)
    number = registry.number(str(asked.carried_out.version))
    with registry.explained("the version can't be read"):
        record, tags = registry.record(number, with_adapter=False), registry.tags(number)
    receipt = find_receipt(request)
    html = page(language, asked, tags, record.metrics, record.gate, receipt, salt(request) if receipt else None)
    target = out or privacy_folder() / "certificates" / f"{request}.{language}.html"
    with private_files(), new_file(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    say(str(target))
    printed = target.with_suffix(".pdf")
    with private_files():
        said = write_pdf(target, printed)
    say(said)


def write_pdf(html: Path, target: Path) -> str:
    """Write the page as PDF, and return what to say of it: where it is and, if not by WeasyPrint, why."""
    try:
        html_of = load_weasyprint()
    except (ImportError, OSError) as error:  # its libraries are Debian's: Pango is found when it is loaded
        reason = f"WeasyPrint can't be loaded ({' '.join(str(error).split())[:120]})"
    else:
        with new_file(target) as temporary:
            html_of(string=html.read_text(encoding="utf-8"), url_fetcher=_nothing).write_pdf(temporary)
        return str(target)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return f"no PDF: {reason}, and there is no Chromium; print {html} in a browser"
    with tempfile.TemporaryDirectory() as folder, new_file(target) as temporary:
        options = ("--headless", "--no-sandbox", "--no-pdf-header-footer", f"--user-data-dir={folder}")
        command = [browser, *options, f"--print-to-pdf={temporary.resolve()}", html.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - Chromium as found on PATH, no shell
        if done.returncode or not temporary.is_file():
            raise UserError(f"{target}: Chromium did not print it ({done.stderr.strip()[-200:]}); {reason}.")
    return f"{target}, printed by Chromium: {reason}"


def load_weasyprint() -> Any:
    """Return WeasyPrint's ``HTML``, with Pillow as strict as before: importing it makes Pillow take cut-off pictures.

    Raises ImportError or OSError: it is not installed, or a library that it needs isn't there.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        from weasyprint import HTML
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    return HTML


def _nothing(url: str) -> dict[str, object]:
    raise ValueError(f"a certificate loads nothing, not {url}")
