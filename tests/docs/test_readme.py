"""The README's code runs, and its statements are true."""

from __future__ import annotations

import clickhouse_connect
from django.test import override_settings

from otel_intel.testing import CapturedEvents
from tests.docs.markdown import blocks as all_blocks
from tests.docs.markdown import read
from tests.servers import ClickHouse

README = read("README.md")


def blocks(language: str) -> list[str]:
    return [block.code for block in all_blocks(README) if block.language == language]


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 200
    assert [line for line in README.splitlines() if len(line) > 120] == []


def test_python_blocks_run_in_order(clickhouse: ClickHouse, otel_intel_events: CapturedEvents) -> None:
    namespace: dict[str, object] = {}
    with override_settings(OTEL_INTEL={"ENGINE_VERSION": "2.0", "CLICKHOUSE_URL": clickhouse.url("reader")}):
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), namespace)  # noqa: S102
    assert [event.name.removeprefix("intel.") for event in otel_intel_events] == [
        "recommendation.viewed",
        "recommendation.accepted",
        "signal.outcome_recorded",
        "recommendation.overridden",
        "signal.detail_opened",
    ]


def test_python_examples_without_a_namespace_are_python() -> None:
    for block in blocks("py"):
        compile(block, "README.md", "exec")


def test_sql_blocks_run_as_the_reader(clickhouse: ClickHouse) -> None:
    for statement in "".join(blocks("sql")).split(";"):
        if statement.strip():
            clickhouse.client("reader").query(statement)


def test_the_stated_clickhouse_version_is_the_tested_one(clickhouse: ClickHouse) -> None:
    version = clickhouse_connect.get_client(dsn=clickhouse.url("reader"), autogenerate_session_id=False).server_version
    assert version
    assert f"ClickHouse {'.'.join(version.split('.')[:2])}" in README
