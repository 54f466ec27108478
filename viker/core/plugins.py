"""Plug-ins: methods, attacks, metrics and formats, each registered by being there.

A plug-in is an instance of its kind at the top level of a module: of a module in the kind's own package (subpackages
hold what the plug-ins share and are not searched), or of one that an installed package names by an entry point of the
kind's group. Modules of plug-ins are also imported where torch is not installed, for their settings: they import torch
and what needs it inside the functions that compute.
"""

import pkgutil
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeVar

from viker.core.errors import UserError


class Named(Protocol):
    """What a plug-in must have: the name that parameter files give it."""

    @property
    def name(self) -> str:
        """Return the name."""


Plugin = TypeVar("Plugin", bound=Named)


def plugin_names(package: str, group: str | None = None) -> list[str]:
    """Return the names of the modules of ``package`` and of the group's entry points, without importing any.

    For kinds whose plug-ins are called as their module is: the names can then be checked in images where the modules
    can't be imported.
    """
    return _modules(package) + [entry.name for entry in _entry_points(group or package, tuple(sys.path))]


def _modules(package: str) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(import_module(package).__path__) if not module.ispkg]


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """Return a group's entry points by name. They are looked up once: that reads a file of each installed package."""
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def load_plugins(package: str, kind: type[Plugin], group: str | None = None) -> dict[str, Plugin]:
    """Return the plug-ins of a kind by name: those of ``package``, alphabetically, then those of entry points.

    ``group``: of the entry points; None: it is called as the package is.

    Raises UserError: two plug-ins have the same name, or an installed package's entry point can't be imported.
    """
    group = group or package
    modules = [import_module(f"{package}.{name}") for name in _modules(package)]
    for entry in _entry_points(group, tuple(sys.path)):
        try:
            modules.append(import_module(entry.module))
        except ImportError as error:
            raise UserError(
                f"entry point '{entry.name}' of the group {group} ({entry.value}) can't be imported: {error}. "
                "Repair or uninstall the package that declares it."
            ) from error
    plugins: dict[str, Plugin] = {}
    origins: dict[str, str] = {}
    for module_ in modules:
        for plugin in vars(module_).values():
            if not isinstance(plugin, kind) or plugins.get(plugin.name) is plugin:
                continue
            if plugin.name in plugins:
                raise UserError(
                    f"two plug-ins of {package} are called '{plugin.name}': in {origins[plugin.name]} and in "
                    f"{module_.__name__}. Rename one of them, or uninstall its package."
                )
            plugins[plugin.name], origins[plugin.name] = plugin, module_.__name__
    return plugins
