"""Imports go in one direction, and modules stay small enough to read."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_intel

PACKAGE = Path(otel_intel.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)

_SETTINGS = {"conf", "events", "exceptions", "values"}
_CALLER = {*_SETTINGS, "delivery", "telemetry"}
# The imports that each folder, and each module beside the folders, may have.
MAY_IMPORT = {
    "exceptions": set(),
    "resources": set(),
    "transactions": set(),
    "site": set(),
    "values": set(),
    "events": {"exceptions", "values"},
    "presentation": {"events"},
    "conf": {"exceptions"},
    "delivery": _SETTINGS,
    "checks": {*_SETTINGS, "delivery", "site"},
    "reading": {*_SETTINGS, "delivery", "checks", "schema"},
    "telemetry": {*_SETTINGS, "delivery", "reading", "transactions"},
    "decorators": {*_CALLER, "site"},
    "clicks": {*_CALLER, "site"},
    "templatetags": _CALLER,
    "testing": _CALLER,
    "pytest_plugin": {"testing"},
    "__init__": {"exceptions", "telemetry", "decorators"},
    "pages": {*_SETTINGS, "presentation", "reading", "site"},
    "urls": {"clicks", "pages"},
    "apps": {*_CALLER, "checks"},
    "schema": {"conf", "exceptions", "resources"},
    "server": {"exceptions", "resources"},
    "commands": {*_SETTINGS, "resources", "reading", "schema", "server"},
    "__main__": {"commands"},
}


def _folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> Iterator[str]:
    """Yield the folders of the package, or the modules beside them, that a module imports anywhere in it."""
    package = ["otel_intel", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            parts += node.module.split(".") if node.module else []
            if parts[:1] == ["otel_intel"]:
                yield from parts[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("otel_intel."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    folder = _folder(path)
    assert set(_imported(path)) - {folder} <= MAY_IMPORT[folder]


def test_imports_have_no_cycle() -> None:
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
