"""What a stage imports, from the import graph that import-linter checks the layers on."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGES = ("viker", "components", "pipelines")


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def imported(stage: str) -> set[str]:
    """The modules that a stage's program imports, at once or later, plug-ins included."""
    return closure({f"components.{stage}.__main__"})


def closure(modules: set[str]) -> set[str]:
    reached: set[str] = set()
    while todo := modules - reached:
        module = todo.pop()
        reached.add(module)
        modules = modules | graph().find_modules_directly_imported_by(module) | plugins_of(module)
    return reached


@cache
def plugins_of(module: str) -> frozenset[str]:
    """The modules that ``load_plugins`` brings where ``module`` calls it."""
    calls = (node for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))))
    packages = {
        node.args[0].value
        for node in calls
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_plugins"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    return frozenset(
        name
        for package in packages
        for name in graph().find_children(package)
        if not (ROOT / name.replace(".", "/")).is_dir()
    )


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def dependencies(stage: str) -> list[str]:
    """What dvc.yaml names as the code that a stage imports."""
    return paths_of(imported(stage))


def paths_of(imports: set[str]) -> list[str]:
    """The rooms of modules, for dvc.yaml: a room as a whole, or its files where most of it is not used."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for module in imports:
        parts = module.split(".")
        if len(parts) > 1:
            rooms[".".join(parts[:2])].add(module)
    paths = []
    for room, modules in rooms.items():
        files = {module for module in modules if file_of(module).name != "__init__.py"}
        whole = {module for module in {room, *graph().find_descendants(room)} if file_of(module).name != "__init__.py"}
        if file_of(room).name != "__init__.py" or 2 * len(files) >= len(whole):
            path = file_of(room)
            paths.append((path.parent if path.name == "__init__.py" else path).relative_to(ROOT).as_posix())
        else:
            paths += [file_of(module).relative_to(ROOT).as_posix() for module in files]
    return sorted(paths)
