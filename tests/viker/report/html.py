"""A page of the report, taken apart."""

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "path", "use", "rect"}


class Page(HTMLParser):
    """Elements with their attributes and, for leaves, their text; complains where tags don't match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(text for tag, text in self.texts if tag not in ("style", "pre")))


def cells(html: str, heading: str, nth: int = 0) -> list[str]:
    found = re.findall(rf'<tr><th scope="row">{heading}(?:<small>[^<]*</small>)?</th>(.*?)</tr>', html, re.DOTALL)
    texts = re.findall(r"<td[^>]*>(.*?)</td>", found[nth])
    return [re.sub(r"<[^>]+>", " ", text).strip() for text in texts]
