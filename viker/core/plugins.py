"""Plug-ins: methods, attacks, metrics and formats, each registered by being there.

A plug-in is an instance of its kind at the top level of a module: of a module in the kind's own package (subpackages
hold what the plug-ins share and are not searched), or of one that an installed package names by an entry point of the
kind's group. Modules of plug-ins are also imported where torch is not installed, for their settings: they import torch
and what needs it inside the functions that compute.
"""

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from viker.core.errors import UserError


class Named(Protocol):
    """What a plug-in must have: the name that parameter files give it."""

    @property
    def name(self) -> str:
        """Return the name."""


Plugin = TypeVar("Plugin", bound=Named)


def load_plugins(package: str, kind: type[Plugin]) -> dict[str, Plugin]:
    """Return the plug-ins of a kind by name: those of ``package``, alphabetically, then those of entry points.

    Args:
        package: such as ``viker.methods``; also the name of the group of entry points.
        kind: the class whose instances are the plug-ins.

    Raises:
        UserError: two plug-ins have the same name, or an installed package's entry point can't be imported.
    """
    modules = [
        import_module(f"{package}.{module.name}")
        for module in pkgutil.iter_modules(import_module(package).__path__)
        if not module.ispkg
    ]
    for entry in sorted(entry_points(group=package), key=lambda entry: entry.name):
        try:
            modules.append(import_module(entry.module))
        except ImportError as error:
            raise UserError(
                f"entry point '{entry.name}' of the group {package} ({entry.value}) can't be imported: {error}. "
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
