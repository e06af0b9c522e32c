"""Run a query as Grafana's user, and describe its answer."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tests.servers import ClickHouse

# Types that the plugin turns into numbers, texts and times. A panel shows nothing for others (UUID, Array, Map, Bool).
NUMBER = re.compile(r"(U?Int(8|16|32|64)|Float(32|64))$")
TEXT = re.compile(r"(String|Enum\d+\(.*\)|FixedString\(\d+\))$")
TIME = re.compile(r"(Date|DateTime(\('[\w/]+'\))?|DateTime64\(\d(, '[\w/]+')?\))$")


class Answer(NamedTuple):
    """A result: columns with their ClickHouse types, and rows in their order."""

    columns: dict[str, str]
    rows: list[tuple[Any, ...]]

    def kind(self, column: str) -> str:
        """Return "number", "text" or "time", or the ClickHouse type if Grafana cannot show it."""
        bare = self.columns[column]
        while match := re.fullmatch(r"(?:LowCardinality|Nullable)\((.*)\)", bare):
            bare = match[1]
        kinds = {"number": NUMBER, "text": TEXT, "time": TIME}
        return next((kind for kind, pattern in kinds.items() if pattern.match(bare)), bare)

    def kinds(self) -> list[str]:
        """Return the kinds of all columns in their order."""
        return [self.kind(column) for column in self.columns]


def run(clickhouse: ClickHouse, sql: str, role: str = "dashboard") -> Answer:
    """Return the answer to an expanded query."""
    # The plugin's driver sends its own time limit with every query.
    settings = {"max_execution_time": 35} if role == "dashboard" else None
    result = clickhouse.client(role).query(sql, settings=settings)
    columns = [(name, kind.name) for name, kind in zip(result.column_names, result.column_types, strict=True)]
    if not columns:  # without rows, the client returns no columns
        described = clickhouse.client(role).query(f"DESCRIBE ({sql})", settings=settings)
        columns = [(row[0], row[1]) for row in described.result_rows]
    answer = Answer(dict(columns), [tuple(row) for row in result.result_rows])
    assert len(answer.columns) == len(columns), f"a name twice: {columns}"
    return answer
