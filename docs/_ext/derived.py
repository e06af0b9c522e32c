"""Pages that are derived from the package: the events, the settings and the command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Final

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from otel_intel import events
from otel_intel.conf import Settings

[_command] = entry_points(group="console_scripts", name="otel-intel")
main: Final = _command.load()
"""The command ``otel-intel``, wherever it is defined."""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def helpers() -> Iterator[str]:
    """Yield a table of the helpers, their arguments and their events."""
    yield _row("helper", "arguments", "event", "waits for the commit")
    yield _row("---", "---", "---", "---")
    for event in events.CATALOGUE.values():
        if event.helper:
            arguments = [f"`{attribute.argument}`" for attribute in event.required]
            arguments += [f"`{attribute.argument}`?" for attribute in event.optional]
            waits = "yes" if event.state_change else ""
            yield _row(f"`{event.helper}`", ", ".join(arguments), f"`{event.name}`", waits)


def attributes() -> Iterator[str]:
    """Yield a table of the attributes that the helpers' arguments become."""
    declared = (attribute for event in events.CATALOGUE.values() for attribute in event.attributes)
    yield _row("attribute", "type", "argument", "column")
    yield _row("---", "---", "---", "---")
    for key, attribute in {attribute.key: attribute for attribute in declared}.items():
        yield _row(f"`{key}`", attribute.type, f"`{attribute.argument}`", f"`{attribute.column}`")


def settings() -> Iterator[str]:
    """Yield a table of the settings, out of the docstring of Settings."""
    text = inspect.getdoc(Settings) or ""
    described = dict(re.findall(r"^    ([A-Z_]+): (.+(?:\n {8}.+)*)", text, re.MULTILINE))
    yield _row("key", "default", "what it does")
    yield _row("---", "---", "---")
    for field in fields(Settings):
        default = f"`{field.default!r}`" if field.default != "" else ""
        yield _row(f"`{field.name}`", default, re.sub(r"\s+", " ", described[field.name]))


def drop_reasons() -> Iterator[str]:
    """Yield a table of the reasons for which an event is dropped."""
    yield _row("dropped as", "because")
    yield _row("---", "---")
    yield from (_row(f"`{reason}`", meaning) for reason, meaning in events.DROP_REASONS.items())


TABLES: Final = {"helpers": helpers, "attributes": attributes, "settings": settings, "drop-reasons": drop_reasons}


class Derived(SphinxDirective):
    """Show one of the tables of this module: ``{derived} helpers``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table's nodes."""
        return self.parse_text_to_nodes("\n".join(TABLES[self.arguments[0]]()))


def _show_examples(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Show the examples of a help text as code: sphinx-click keeps their lines, but not their columns."""
    shown: list[str] = []
    for line in lines:
        if line.startswith("| "):
            if not shown or not shown[-1].startswith("    "):
                shown += ["", ".. code-block:: text", ""]
            shown.append(f"    {line.removeprefix('| ')}")
        else:
            shown.append(line)
    lines[:] = shown


def _show_defaults(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Show a path as it is typed, not as Python's object."""
    lines[:] = [re.sub(r"\w*Path\('(.*?)'\)", r"\1", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("derived", Derived)
    app.connect("sphinx-click-process-description", _show_examples)
    app.connect("sphinx-click-process-options", _show_defaults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
