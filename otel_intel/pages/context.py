"""The context of each template: documented, because a site may override every template."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Context:
    """A part of a template's context: each field becomes a variable with the field's name."""

    def variables(self) -> dict[str, object]:
        """Return the variables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
