"""The page as a web application: it loads nothing from elsewhere, is cached nowhere and answers this machine alone."""

import base64
import binascii
import json
import logging
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipelines.demo_page.people import SPLITS, People, Question
from pipelines.demo_page.versions import Versions
from viker.core.errors import UserError
from viker.core.redact import without_secrets
from viker.core.system_errors import system_error
from viker.data.records import as_png, open_picture
from viker.metrics.leakage import leaks
from viker.report.answers import visible
from viker.report.tokens import LEVELS, level
from viker.teacher.side_by_side import MODELS, side_by_side

if TYPE_CHECKING:
    import pandas as pd

LARGEST_PICTURE = 20_000_000
"""Bytes of an uploaded picture, at most."""
LONGEST_QUESTION = 2_000
"""Characters of a question, at most."""
_LARGEST_BODY = LARGEST_PICTURE * 4 // 3 + 6 * LONGEST_QUESTION + 1_000
_THUMBNAIL = 192
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FILES = {
    "report.css": ("viker.report", "text/css"),
    "page.css": ("pipelines.demo_page", "text/css"),
    "page.js": ("pipelines.demo_page", "text/javascript"),
}
"""What the page loads besides pictures: the package whose templates have it, and its type."""

log = logging.getLogger(__name__)


def application(
    versions: Versions, people: People, notes: Sequence[str], threshold: float, hosts: Sequence[str]
) -> Starlette:
    """Return the application.

    Args:
        versions: what can be asked.
        people: whom to try.
        notes: sentences to show above the form.
        threshold: nats; tokens of a higher entropy are key tokens.
        hosts: the names by which alone a browser may call this machine, so that no foreign page can give it a name of
            its own and read it; none: other machines may call it, by any name.
    """
    page = _Page(versions, people, notes, threshold, bool(hosts))
    routes = [
        Route("/", page.form),
        Route("/people/{picture}", page.picture),
        Route("/answer", page.answer, methods=["POST"]),
        *(Route(f"/{name}", _file(*_FILES[name], name)) for name in _FILES),
    ]
    app = Starlette(routes=routes, exception_handlers={Exception: _failed})
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts) or ["*"], www_redirect=False)
    return app


class _Page:
    def __init__(self, versions: Versions, people: People, notes: Sequence[str], threshold: float, local: bool) -> None:
        self.versions, self.people, self.notes, self.threshold = versions, people, notes, threshold
        self.local = local
        self.templates = Environment(
            loader=PackageLoader("pipelines.demo_page", "templates"),
            autoescape=True,  # replies, questions and IDs come from outside: nothing in them may become markup
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def form(self, request: Request) -> Response:
        """Return the page, with the versions that are there now."""
        choices, first = self.versions.choices()
        questions = {key: [q.text for q in person.questions] for key, person in self.people.by_key.items()}
        return _html(
            self.templates.get_template("page.html.j2").render(
                choices=choices,
                first=first,
                groups=[(split, self.people.of(split)) for split in SPLITS],
                started=next(iter(self.people.by_key.values()), None),
                questions=questions,
                local=self.local,
                notes=[*self.notes, *filter(None, [self.versions.problem])],
                largest=LARGEST_PICTURE,
                longest=LONGEST_QUESTION,
            )
        )

    def picture(self, request: Request) -> Response:
        """Return a small copy of a picture of the people to try."""
        content = self.people.pictures.get(request.path_params["picture"])
        if content is None:
            return _sentence("There is no such picture.", 404)
        image = open_picture(content, draft=(_THUMBNAIL, _THUMBNAIL))
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        return Response(as_png(image), media_type="image/png", headers=_HEADERS)

    async def answer(self, request: Request) -> Response:
        """Return both replies and their tokens as HTML, or a sentence that says why not."""
        try:
            wanted = _wanted(request, await _body(request))
            return _html(await run_in_threadpool(self._answered, wanted))
        except UserError as error:
            return _sentence(without_secrets(str(error)), 400)
        except Exception as error:  # system_error decides: out of memory is said on the page, a bug is raised again
            if (problem := system_error(error)) is None:
                raise
            return _sentence(without_secrets(str(problem)), 500)

    def _answered(self, wanted: Mapping[str, str]) -> str:
        question, key = wanted["question"].strip(), wanted["person"]
        person = self.people.by_key.get(key)
        known = next((one for one in person.questions if one.text == question), None) if person else None
        shown = known or (person.questions[0] if person else None)
        image = _picture(wanted, shown, self.people)
        truth, secrets = (known.answer, known.secrets) if known else ("", ())
        result = self.versions.ask(
            wanted["version"], lambda answerer: side_by_side(answerer, question, image, truth, self.threshold)
        )
        top = max(float(table["entropy"].max()) for table in result.tokens.values())
        return self.templates.get_template("answer.html.j2").render(
            question=question,
            picture=shown.picture if shown and not wanted["picture"] else "",
            models=MODELS,
            replies={name: visible(reply) for name, reply in result.replies.items()},
            leaked={name: leaks(reply, secrets) for name, reply in result.replies.items()},
            to_forget=person is not None and person.split == "forget",
            tokens={name: _tokens(table, top) for name, table in result.tokens.items()},
            truth=truth,
            top=top,
            levels=LEVELS,
            threshold=self.threshold,
        )


def _tokens(table: "pd.DataFrame", top: float) -> list[dict[str, Any]]:
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return [row | {"text": visible(row["text"]), "level": level(row["entropy"], top)} for row in rows]


def _picture(wanted: Mapping[str, str], question: Question | None, people: People) -> bytes:
    """Return the picture to ask about: the uploaded one, else that of the question."""
    if wanted["picture"]:
        try:
            picture = base64.b64decode(wanted["picture"], validate=True)
        except binascii.Error:
            raise UserError("the picture was not sent as base64: load the page again.") from None
        if len(picture) > LARGEST_PICTURE:
            raise _too_large()
        return picture
    if question is None:
        raise UserError("no picture is chosen; choose a person, or a picture of your own.")
    return people.pictures[question.picture]


def _too_large() -> UserError:
    return UserError(f"the picture has more than {LARGEST_PICTURE // 1_000_000} MB; make it smaller.")


async def _body(request: Request) -> bytes:
    """Return what was sent, all of it read. Raises UserError: it is larger than a question and a picture."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= _LARGEST_BODY:
            parts.append(part)
    if size > _LARGEST_BODY:
        raise _too_large()
    return b"".join(parts)


def _wanted(request: Request, body: bytes) -> dict[str, str]:
    """Return version, question, person and picture, each a text. Raises UserError: they aren't what the page sends."""
    names = ("version", "question", "person", "picture")
    try:
        content = json.loads(body)
        wanted = {name: content[name] for name in names}
    except (ValueError, LookupError, TypeError, RecursionError):
        wanted = {}
    of_page = request.headers.get("content-type") == "application/json"  # which no foreign page can send unasked
    if not of_page or not wanted or not all(isinstance(value, str) for value in wanted.values()):
        raise UserError(f"expected JSON with the texts {', '.join(names)}: load the page again.")
    if len(wanted["question"]) > LONGEST_QUESTION:
        raise UserError(f"the question has more than {LONGEST_QUESTION:,} characters; shorten it.")
    if not wanted["version"]:
        raise UserError(
            "no version is chosen. 'viker repro' makes an adapter and registers it; then load the page again."
        )
    return wanted


def _file(package: str, kind: str, name: str) -> Any:
    content = (resources.files(package) / "templates" / name).read_bytes()
    return lambda request: Response(content, media_type=kind, headers=_HEADERS)


def _html(text: str) -> Response:
    return HTMLResponse(text, headers=_HEADERS)


def _sentence(text: str, status: int) -> Response:
    return PlainTextResponse(text[:1].upper() + text[1:], status, headers=_HEADERS)


def _failed(request: Request, error: Exception) -> Response:
    """Answer a defect with a sentence; Starlette raises the error again, and uvicorn shows it in the terminal."""
    return _sentence("Something failed that should not have; the terminal says what.", 500)
