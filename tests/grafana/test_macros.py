"""The expansion of macros agrees with the plugin's own tests and source code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.grafana.macros import Context, MacroError, expand, expand_macros, interpolate, strip_comments
from tests.servers import ClickHouse

START = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
END = datetime(2026, 1, 3, 0, 0, 0, 1_000, tzinfo=UTC)
F, T = 1767323045, 1767398400
CONTEXT = Context(START, END, timedelta(minutes=5), {"version": "v2'0", "version_a": "v1", "empty": ""})


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(c)", f"c >= toDateTime({F}) AND c <= toDateTime({T})"),
        (
            "$__timeFilter_ms(c)",
            f"c >= fromUnixTimestamp64Milli({F}678) AND c <= fromUnixTimestamp64Milli({T}001)",
        ),
        ("$__dateFilter(c)", "c >= toDate('2026-01-02') AND c <= toDate('2026-01-03')"),
        (
            "$__dateTimeFilter(d, c)",
            "(d >= toDate('2026-01-02') AND d <= toDate('2026-01-03'))"
            f" AND (c >= toDateTime({F}) AND c <= toDateTime({T}))",
        ),
        ("[$__fromTime, $__toTime]", f"[toDateTime({F}), toDateTime({T})]"),
        ("$__fromTime_ms $__toTime_ms", f"fromUnixTimestamp64Milli({F}678) fromUnixTimestamp64Milli({T}001)"),
        ("$__timeFrom(c) $__timeTo(c)", f"c >= toDateTime({F}) c <= toDateTime({T})"),
        ("$__timeInterval(c)", "toStartOfInterval(toDateTime(c), INTERVAL 300 second)"),
        ("$__timeInterval_ms(c)", "toStartOfInterval(toDateTime64(c, 3), INTERVAL 300000 millisecond)"),
        ("$__timeGroup(c, 1h30m)", "toStartOfInterval(toDateTime(c), INTERVAL 5400 second)"),
        ("$__interval $__interval_ms $__interval_s", "5m 300000 300"),
        ("toDate($__fromTime, 'UTC')", f"toDate(toDateTime({F}), 'UTC')"),
        ("$__timeFilter(f(a, (b)))", f"f(a, (b)) >= toDateTime({F}) AND f(a, (b)) <= toDateTime({T})"),
        ("$__timeFilter(toDate($__fromTime))", f"toDate(toDateTime({F})) >= toDateTime({F})"
         f" AND toDate(toDateTime({F})) <= toDateTime({T})"),
        ("$__unknown($__fromTimes)", "$__unknown($__fromTimes)"),
        ("'$__fromTime'", f"'toDateTime({F})'"),
    ],
)  # fmt: skip
def test_macro(sql: str, expanded: str) -> None:
    assert expand(sql, CONTEXT) == expanded


@pytest.mark.parametrize(
    "sql", ["$__timeFilter()", "$__timeFilter(a, b)", "$__dateTimeFilter(a)", "$__timeGroup(c, 1d)"]
)
def test_wrong_arguments_are_refused(sql: str) -> None:
    with pytest.raises(MacroError):
        expand(sql, CONTEXT)


def test_comments_are_blanked_before_macros_are_looked_for() -> None:
    block, line = "/* $__timeFilter() */", "-- $__timeFilter()"
    blanked = f"SELECT '--', {' ' * len(block)} 1 {' ' * len(line)}\n, 2"
    assert expand(f"SELECT '--', {block} 1 {line}\n, 2", CONTEXT) == blanked
    assert strip_comments("1 /* open") == "1        "


def test_strings_end_at_an_escaped_apostrophe_for_the_engine() -> None:
    assert strip_comments(r"'a\' -- b' 1") == r"'a\' " + " " * len("-- b' 1")


@pytest.mark.parametrize(
    ("text", "interpolated"),
    [
        ("${version:singlequote}", r"'v2\'0'"),
        ("${version:sqlstring}", "'v2''0'"),
        ("${empty:singlequote}", "''"),
        ("$version_a ${version_a} ${version_a:raw}", "v1 v1 v1"),
        ("$other ${other:singlequote} $__from", "$other ${other:singlequote} $__from"),
    ],
)
def test_variables(text: str, interpolated: str) -> None:
    assert interpolate(text, CONTEXT.variables) == interpolated


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(MacroError, match="lucene"):
        interpolate("${version:lucene}", CONTEXT.variables)


def test_alerts_have_no_variables() -> None:
    assert expand_macros("$version_a ${version_a} $__toTime", CONTEXT) == f"$version_a ${{version_a}} toDateTime({T})"


@pytest.mark.parametrize("value", ["v2'0", 'v2"0', "v -- 2", "$__fromTimes"])
@pytest.mark.parametrize("how", ["singlequote", "sqlstring"])
def test_clickhouse_reads_the_original_value(clickhouse_server: ClickHouse, how: str, value: str) -> None:
    context = Context(START, END, variables={"v": value})
    assert clickhouse_server.value(expand(f"SELECT ${{v:{how}}} AS v", context)) == value


def test_in_single_quotes_the_engine_reads_a_value_as_a_comment() -> None:
    context = Context(START, END, variables={"v": "v'--2"})
    assert expand("[${v:singlequote}]", context).rstrip() == r"['v\'"
    assert expand("[${v:sqlstring}]", context) == "['v''--2']"
