"""Expand a query as Grafana does: the front end fills in variables, then plugin 4.20.0 expands macros.

Written from the behaviour of the plugin and its macro engine, quirks included: the engine ignores
backslashes in strings, and also expands macros inside strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::(\w+))?\}")


class MacroError(ValueError):
    """The plugin would refuse the query."""


@dataclass(frozen=True)
class Context:
    """A request's time range, its interval ($__interval in panels) and the values of the variables."""

    start: datetime
    end: datetime
    interval: timedelta = timedelta(minutes=1)
    variables: Mapping[str, str] = field(default_factory=dict)


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in values as the front end does: unknown names stay, $name becomes the value without quotes."""

    def value(match: re.Match[str]) -> str:
        name, how = match[1] or match[2], match[3]
        if name not in variables:
            return match[0]
        match how:
            case None | "raw":
                return variables[name]
            case "singlequote":
                return "'" + variables[name].replace("'", "\\'") + "'"
            case "sqlstring":
                return "'" + variables[name].replace("'", "''").replace('"', '\\"') + "'"
            case _:
                raise MacroError(f"{match[0]}: no panel uses the format {how}")

    return _VARIABLE.sub(value, text)


def expand(sql: str, context: Context) -> str:
    """Return the query of a panel as ClickHouse gets it."""
    interval_ms = round(context.interval.total_seconds() * 1000)
    # The front end replaces these two itself; in a dashboard, the plugin never sees them.
    scoped = {"__interval": _duration(interval_ms), "__interval_ms": str(interval_ms)}
    return expand_macros(interpolate(sql, {**context.variables, **scoped}), context)


def expand_macros(sql: str, context: Context) -> str:
    """Expand only macros, as for an alert, which has no front end and no variables."""
    sql = strip_comments(sql)
    macros = _macros(context)
    for name in sorted(macros, key=lambda name: (-len(name), name)):
        sql = _replace(sql, f"$__{name}", macros[name])
    return sql


def strip_comments(sql: str) -> str:
    """Replace comments (-- and /* */) outside of strings by blanks."""
    result, at = "", 0
    while at < len(sql):
        if sql[at] in "'\"":
            end = _string_end(sql, at)
            result += sql[at:end]
        elif sql.startswith("--", at):
            end = next((i for i in range(at, len(sql)) if sql[i] in "\r\n"), len(sql))
            result += " " * (end - at)
        elif sql.startswith("/*", at):
            closed = sql.find("*/", at + 2)
            end = len(sql) if closed < 0 else closed + 2
            result += " " * (end - at)
        else:
            end = at + 1
            result += sql[at]
        at = end
    return result


def _replace(sql: str, token: str, macro: Callable[[list[str]], str]) -> str:
    result = ""
    while (at := sql.find(token)) >= 0:
        after = at + len(token)
        if re.match(r"\w", sql[after:], re.ASCII):  # a longer name
            result, sql = result + sql[:after], sql[after:]
            continue
        result, sql, raw = result + sql[:at], sql[after:], ""
        if sql.startswith("(") and (end := _closing(sql)) > 0:
            raw, sql = sql[1:end], sql[end + 1 :]
        try:
            result += macro(_arguments(raw))
        except MacroError as error:
            raise MacroError(f"{token}({raw}): {error}") from None
    return result + sql


def _string_end(text: str, start: int) -> int:
    quote, at = text[start], start + 1
    while at < len(text):
        if text[at] == quote:
            if text[at + 1 : at + 2] != quote:
                return at + 1
            at += 1
        at += 1
    return len(text)


def _split(text: str) -> list[tuple[int, str, int]]:
    """Return (position, character, depth before it) for each character outside of strings."""
    found, at, depth = [], 0, 0
    while at < len(text):
        if text[at] in "'\"":
            at = _string_end(text, at)
            continue
        found.append((at, text[at], depth))
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return found


def _closing(text: str) -> int:
    return next((at for at, char, depth in _split(text) if (char, depth) == (")", 1)), -1)


def _arguments(raw: str) -> list[str]:
    if not raw.strip():
        return []
    commas = [at for at, char, depth in _split(raw) if (char, depth) == (",", 0)]
    return [raw[a + 1 : b].strip() for a, b in zip([-1, *commas], [*commas, len(raw)], strict=True)]


def _macros(context: Context) -> dict[str, Callable[[list[str]], str]]:
    start, end = context.start.astimezone(UTC), context.end.astimezone(UTC)
    date = {at: f"toDate('{at:%Y-%m-%d}')" for at in (start, end)}
    second = {at: f"toDateTime({int(at.timestamp())})" for at in (start, end)}
    milli = {at: f"fromUnixTimestamp64Milli({int(at.timestamp() * 1000)})" for at in (start, end)}
    interval_ms = round(context.interval.total_seconds() * 1000)
    seconds = max(interval_ms // 1000, 1)

    def between(kind: dict[datetime, str]) -> Callable[[str], str]:
        return lambda column: f"{column} >= {kind[start]} AND {column} <= {kind[end]}"

    def takes(count: int, macro: Callable[..., str]) -> Callable[[list[str]], str]:
        def checked(arguments: list[str]) -> str:
            if len(arguments) != count:
                raise MacroError(f"expected {count} arguments, received {len(arguments)}")
            return macro(*arguments)

        return checked

    def date_time(day: str, time: str) -> str:
        return f"({between(date)(day)}) AND ({between(second)(time)})"

    return {
        "timeFilter": takes(1, between(second)),
        "timeFilter_ms": takes(1, between(milli)),
        "dateFilter": takes(1, between(date)),
        "dateTimeFilter": takes(2, date_time),
        "dt": takes(2, date_time),
        "fromTime": lambda _: second[start],
        "toTime": lambda _: second[end],
        "fromTime_ms": lambda _: milli[start],
        "toTime_ms": lambda _: milli[end],
        "timeFrom": takes(1, lambda column: f"{column} >= {second[start]}"),
        "timeTo": takes(1, lambda column: f"{column} <= {second[end]}"),
        "timeInterval": takes(1, lambda c: f"toStartOfInterval(toDateTime({c}), INTERVAL {seconds} second)"),
        "timeInterval_ms": takes(
            1, lambda c: f"toStartOfInterval(toDateTime64({c}, 3), INTERVAL {max(interval_ms, 1)} millisecond)"
        ),
        "timeGroup": takes(
            2, lambda c, length: f"toStartOfInterval(toDateTime({c}), INTERVAL {_go_seconds(length)} second)"
        ),
        "interval_s": lambda _: str(seconds),
        "interval": lambda _: _duration(interval_ms),
        "interval_ms": lambda _: str(interval_ms),
    }


def _duration(milliseconds: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds >= size and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _go_seconds(length: str) -> int:
    parts = re.findall(r"(\d+)(h|m|s)", length)
    if not parts or "".join(number + unit for number, unit in parts) != length:
        raise MacroError(f"{length} is no duration of Go")
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)
