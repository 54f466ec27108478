"""The work tree on which the library's gate is tested serves the command's tests too."""

from tests.viker.gate.conftest import finished, tree  # noqa: F401 - fixtures, found here by pytest
