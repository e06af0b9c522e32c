"""The queries that the views with parameters are made of: asked directly, a number costs a third less than its view."""

from __future__ import annotations

import time
from typing import Final

from otel_intel.conf import get_settings
from otel_intel.exceptions import TelemetryUnavailable

from .reader import Reader

REMEMBERED: Final = 60.0
"""Seconds until the database is asked for a definition again: ``otel-intel migrate`` may have changed it."""

definitions: Final[dict[tuple[str, str], tuple[float, str]]] = {}
"""By ClickHouse's URL and the view: when it was asked, and what it said."""


def definition(reader: Reader, view: str) -> str:
    """Return the SELECT of a view of ``metrics``, with the view's parameters; ClickHouse is asked once a minute.

    ClickHouse needs some 4 ms to plan a view with parameters within a query, whatever it reads. So ask it the
    definition itself, as ``SELECT … FROM (definition)``. Its tables are among those that readers may read.

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer, or has no such view.
    """
    key = get_settings().CLICKHOUSE_URL, view
    asked, select = definitions.get(key, (-REMEMBERED, ""))
    if not select or time.monotonic() - asked >= REMEMBERED:
        asked = time.monotonic()
        found = reader.rows(
            dict[str, str],
            "SELECT as_select FROM system.tables WHERE database = 'metrics' AND name = {view:String}",
            {"view": view},
        )
        if not found:
            raise TelemetryUnavailable(f"ClickHouse has no metrics.{view}: run `otel-intel migrate`.")
        select = found[0]["as_select"]
        definitions[key] = asked, select
    return select
