"""The queries that the views with parameters are made of: asked directly, a number costs a third less than its view."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from otel_intel.conf import get_settings
from otel_intel.exceptions import TelemetryUnavailable

from .reader import Reader

REMEMBERED: Final = 60.0
"""Seconds until the database is asked for a definition again: ``otel-intel migrate`` may have changed it."""

definitions: Final[dict[tuple[str, str], tuple[float, str]]] = {}
"""By ClickHouse's URL and the view: when it was asked, and what it said."""


def definition(reader: Reader, view: str) -> str:
    """Return a SELECT that answers as a view of ``metrics`` does, with its parameters; it is asked for once a minute.

    ClickHouse needs some 4 ms to plan a view with parameters within a query, whatever it reads. So this is what the
    view consists of, where the user may read the tables of numbers (``intel_reader`` may), else the view.

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer, or has no such view.
    """
    key = get_settings().CLICKHOUSE_URL, view
    asked, select = definitions.get(key, (-REMEMBERED, ""))
    if not select or time.monotonic() - asked >= REMEMBERED:
        asked = time.monotonic()
        found = reader.rows(_View, _ASK, {"view": view})
        if not found:
            raise TelemetryUnavailable(f"ClickHouse has no metrics.{view}: run `otel-intel migrate`.")
        select = found[0].select if found[0].tables == 2 else _through(view, found[0].parameters)
        definitions[key] = asked, select
    return select


class _View(NamedTuple):
    select: str
    parameters: list[Mapping[str, str]]
    tables: int


# A user sees the tables that it may read.
_ASK: Final = """
SELECT
    as_select AS select,
    parameterized_view_parameters AS parameters,
    (SELECT count() FROM system.tables WHERE database = 'intel' AND name IN ('days', 'days_admins')) AS tables
FROM system.tables
WHERE database = 'metrics' AND name = {view:String}
"""


def _through(view: str, parameters: Iterable[Mapping[str, str]]) -> str:
    arguments = ", ".join(f"{one['name']} = {{{one['name']}:{one['type']}}}" for one in parameters)
    return f"SELECT * FROM metrics.{view}({arguments})"
