"""What can be asked on the page: the registered versions and the work tree's adapter, one of them loaded at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from components.contract.params import Params
from pipelines.cli.ask import load_answerer
from pipelines.cli.registry import open_registry
from viker.core.errors import UserError
from viker.core.mlflow_store import database, tracking_uri
from viker.models.base_model import WEIGHTS, base_digest, check_adapter_base, need_adapter, resolve_model
from viker.registry.stored import fetch_adapter
from viker.registry.versions import CHAMPION, Registry

if TYPE_CHECKING:
    from viker.models.answering import Answerer

Result = TypeVar("Result")
TREE = "tree"
"""The key of the work tree's adapter; a registered version's is its number."""
_VERDICTS = {"pass": "passed", "fail": "failed"}


@dataclass(frozen=True)
class Choice:
    """Something to ask, and what it is called."""

    key: str
    label: str


class Versions:
    """Loads a base model once and switches its adapters; a version on another base model loads that one instead."""

    def __init__(self, settings: Params, adapter: Path, vanilla: Path, scratch: Path) -> None:
        """Take the work tree's adapter and vanilla model, and a folder for what is fetched; nothing is loaded yet."""
        self.settings, self.adapter, self.vanilla, self.scratch = settings, adapter, vanilla, scratch
        self.problem = ""
        self._lock = Lock()
        self._answerer: Answerer | None = None
        self._base = ""
        self._state: Any = None
        self._registry: Registry | None = None

    def choices(self) -> tuple[list[Choice], str]:
        """Return what can be asked, the newest version first, the work tree's adapter last, and the key to begin with.

        That is the champion's, else the first. A registry that can't be read offers nothing; ``problem`` says why.
        """
        self.problem, found, first = "", [], ""
        try:
            registry = self._open()
            if registry is not None:
                with registry.explained("the registry can't be read"):
                    aliases = registry.aliases()
                    for version in registry.versions() if aliases else []:
                        number = int(version.version)
                        names = [alias for alias, of in sorted(aliases.items(), reverse=True) if of == number]
                        verdict = _VERDICTS.get(version.tags.get("verdict", ""), "not judged")
                        found.append(Choice(str(number), f"version {number}: {', '.join([*names, verdict])}"))
                    first = str(aliases.get(CHAMPION, ""))
        except UserError as error:
            self.problem = str(error)
        if (self.adapter / WEIGHTS).is_file():
            found.append(Choice(TREE, f"the adapter in {self.adapter}"))
        return found, first or (found[0].key if found else "")

    def ask(self, key: str, question: Callable[["Answerer"], Result]) -> Result:
        """Call ``question`` with a version, one call at a time.

        Raises UserError: there is no such version, or it can't be loaded.
        """
        with self._lock:
            return question(self._load(key))

    def _open(self) -> Registry | None:
        """Return the registry; None where its database isn't there, which would be created."""
        path = database(tracking_uri())
        if self._registry is None and (path is None or path.exists()):
            self._registry = open_registry(self.settings)
        return self._registry

    def _load(self, key: str) -> "Answerer":
        number = None if key == TREE else self._number(key)
        state = number or (TREE, _changed(self.adapter))
        if self._answerer is not None and state == self._state:
            return self._answerer
        base = self._base_of(number)
        if self._answerer is not None and base == self._base:
            self._answerer.switch(self._fetched(number))
        else:
            self._answerer = None  # its memory is needed for the next base model
            wanted = str(number or self.adapter)
            self._answerer, _ = load_answerer(self.settings, wanted, self.vanilla)
            self._answerer.most = self.settings.evaluate.in_force().longest("generation")
        self._state, self._base = state, base
        return self._answerer

    def _number(self, key: str) -> int:
        registry = self._open()
        if registry is None:
            raise UserError(f"there is no version '{key}', nor a registry: 'viker register' creates both.")
        with registry.explained("the registry can't be read"):
            return registry.number(key)

    def _base_of(self, number: int | None) -> str:
        """Return what identifies the base model of a version, or of the work tree's adapter."""
        if number is None or self._registry is None:
            check_adapter_base(self.adapter, self.vanilla)
            return base_digest(resolve_model(self.vanilla), "vanilla model")
        with self._registry.explained("the version can't be read"):
            return self._registry.tags(number).get("base_model_digest", "")

    def _fetched(self, number: int | None) -> Path:
        if number is None or self._registry is None:
            return self.adapter
        with self._registry.explained("the version can't be fetched"):
            return fetch_adapter(self._registry, number, self.scratch / str(number))


def _changed(adapter: Path) -> int:
    """Return when an adapter was written, in nanoseconds. Raises UserError: it is missing."""
    need_adapter(adapter)
    return (adapter / WEIGHTS).stat().st_mtime_ns
