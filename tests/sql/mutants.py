"""Make plausible mistakes in the views, one at a time, and check that a test fails: `make mutants-sql`.

The mistakes follow from the rules of mutations.py; mutations.yaml names those that change no answer. All are made on
one server: to start one for each mistake would take hours. Only tests that read the view run, first those that noticed
earlier mistakes in it, so most mistakes take a second.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.resources import folder
from otel_intel.schema import migrate
from otel_intel.schema.stages import STATEMENTS
from tests.servers import ClickHouse, one_server, run_clickhouse
from tests.sql.mutations import ELSEWHERE, Mutation, mutations

ROOT = Path(__file__).resolve().parents[2]
# In this order, what noticed no mistake yet.
TESTS = (
    "metrics",
    "refresh",
    "overviews",
    "windows",
    "health",
    "ingest",
    "spans",
    "typed_events",
    "rebuild",
    "dictionary",
)
# What the tests read of a materialized view's work is not seen in their queries; these notice most.
OF_ROWS = {
    "10_facts.sql": ("refresh", "typed_events", "ingest", "rebuild", "health", "metrics"),
    "20_typed_events.sql": ("typed_events", "ingest", "rebuild", "health"),
    "30_ingest.sql": ("ingest", "spans", "typed_events", "health"),
    **dict.fromkeys(STATEMENTS, ("metrics", "refresh", "rebuild", "windows", "overviews", "typed_events")),
}
# Not the comments of columns: a view that is replaced has lost them.
NOT_RUN = "test_the_database_has_each_columns_comment"
VALUES = {"Date": "'2026-01-01'", "String": "'v1'", "UInt16": "7"}
# Without --all, this share of the mistakes is made, always the same ones.
SHARE = 0.4


class Tests:
    """A plugin for pytest: runs what reads a view, first what noticed earlier mistakes in it, until something fails."""

    def __init__(self) -> None:
        self.reads: dict[str, set[str]] = {}  # the views that a test reads
        self.first: defaultdict[str, list[str]] = defaultdict(list)
        self.running = self.noticed = ""
        self.wanted: list[str] | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop what is not wanted, and sort what is."""
        items[:] = [item for item in items if NOT_RUN not in item.nodeid]
        if self.wanted is not None:
            place = {name: number for number, name in enumerate(self.wanted)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remember what runs."""
        self.running = nodeid
        self.reads.setdefault(nodeid, set())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what fails."""
        if report.failed:
            self.noticed = report.nodeid

    def learn(self) -> None:
        """Run all tests, and note which views each reads."""
        used = users()

        def noted(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(clickhouse: ClickHouse, sql: str, *arguments: Any, **named: Any) -> Any:
                for view in re.findall(r"metrics\.\w+", sql):
                    self.reads[self.running].update(used[view])
                return method(clickhouse, sql, *arguments, **named)

            return call

        with pytest.MonkeyPatch.context() as patch:
            for name in ("rows", "value"):
                patch.setattr(ClickHouse, name, noted(getattr(ClickHouse, name)))
            self._run([f"tests/sql/test_{name}.py" for name in TESTS])
        assert not self.noticed, f"{self.noticed} fails without a mistake"

    def notice(self, mutation: Mutation) -> str:
        """Return the test that fails, if one does."""
        if mutation.file in OF_ROWS:
            files = [f"tests/sql/test_{name}.py" for name in OF_ROWS[mutation.file]]
            names = [name for name in self.reads if name.split("::")[0] in files]
            names.sort(key=lambda name: files.index(name.split("::")[0]))
        else:
            names = [name for name, views in self.reads.items() if mutation.view in views]
        first = self.first[mutation.view]
        self.wanted = [*first, *(name for name in names if name not in first)]
        self._run(list(dict.fromkeys(name.split("::")[0] for name in self.wanted)))
        if self.noticed:
            first[:] = [self.noticed, *(name for name in first if name != self.noticed)]
        return self.noticed

    def _run(self, paths: list[str]) -> None:
        self.noticed = ""
        options = ["-q", "-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the modules are imported here already
        with contextlib.redirect_stdout(io.StringIO()):
            done = pytest.main([*options, *paths], plugins=[self])
        assert done in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done
        assert (done == pytest.ExitCode.TESTS_FAILED) == bool(self.noticed)


def users() -> dict[str, set[str]]:
    """Return for each view of metrics itself and the views that it reads, directly or not."""
    used: dict[str, set[str]] = {}
    for step in migrate.read_steps(folder("clickhouse") / "views"):
        if made := re.search(r"VIEW (metrics\.\w+)", step.statement):
            used[made[1]] = {made[1]}.union(
                *(used[name] for name in re.findall(r"metrics\.\w+", step.statement) if name in used)
            )
    return used


def apply(clickhouse: ClickHouse, statement: str) -> None:
    """Make the view what the statement says, as otel-intel migrate does."""
    if not statement.partition("\n\n")[2].startswith("INSERT"):  # the refresh reads its statements from STATEMENTS
        _make(clickhouse, statement)


def _make(clickhouse: ClickHouse, statement: str) -> None:
    for part in migrate._view_statements(statement):
        clickhouse.client("admin").command(part)


def check(clickhouse: ClickHouse, mutation: Mutation) -> None:
    """Raise if ClickHouse cannot read the view: one with parameters is not read when it is made."""
    if mutation.view.startswith("metrics."):
        parameters = sorted(set(re.findall(r"\{(\w+):(\w+)\}", mutation.right)))
        arguments = ", ".join(f"{name} = {VALUES[kind]}" for name, kind in parameters)
        source = f"{mutation.view}({arguments})" if arguments else mutation.view
        clickhouse.client("admin").query(f"DESCRIBE (SELECT * FROM {source})")


@contextlib.contextmanager
def made(clickhouse: ClickHouse, mutation: Mutation) -> Iterator[None]:
    """Make a mistake for a while; migrations that tests run in that time make it, too."""
    read_steps = migrate.read_steps

    def mistaken(directory: Path) -> list[migrate.Step]:
        return [
            replace(step, statement=mutation.wrong) if step.statement == mutation.right else step
            for step in read_steps(directory)
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "read_steps", mistaken)
        if mutation.file in STATEMENTS:
            patch.setitem(STATEMENTS, mutation.file, mutation.wrong)
        try:
            apply(clickhouse, mutation.wrong)
            check(clickhouse, mutation)
            yield
        finally:
            apply(clickhouse, mutation.right)


def equivalent() -> dict[tuple[str, str, str], str]:
    """Return the reasons of mutations.yaml by view, old and new lines."""
    listed = yaml.safe_load((ROOT / "tests" / "sql" / "mutations.yaml").read_text("utf-8"))
    return {(one["view"], one["old"], one["new"]): one["equivalent"] for file in listed.values() for one in file}


def is_chosen(mutation: Mutation) -> bool:
    """Tell whether a mistake is in the share; it does not depend on the other mistakes."""
    text = f"{mutation.view}\n{mutation.old}\n{mutation.new.replace(ELSEWHERE, '')}"
    return zlib.crc32(text.encode()) < SHARE * 2**32


def main() -> None:
    """Print the mistakes that no test noticed, and each file's score."""
    parser = argparse.ArgumentParser(prog="python -m tests.sql.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="such as 70_numbers; all by default")
    parser.add_argument("--all", action="store_true", help=f"make all mistakes, not the fixed {SHARE:.0%} of them")
    arguments = parser.parse_args()
    everything = mutations({f"{name.removesuffix('.sql')}.sql" for name in arguments.files})
    chosen = [mutation for mutation in everything if arguments.all or is_chosen(mutation)]
    sample = "" if arguments.all else f", always the same {SHARE:.0%}; --all makes all"
    print(f"{len(chosen)} of {len(everything)} mistakes{sample}", flush=True)
    reasons = equivalent()
    tests, started = Tests(), time.monotonic()
    total, refused, missed, harmless = (Counter[str]() for _ in range(4))
    with (
        tempfile.TemporaryDirectory() as name,
        run_clickhouse(Path(name) / "data") as clickhouse,
        one_server(clickhouse),
    ):
        tests.learn()
        for mutation in chosen:
            file, reason = mutation.file, reasons.get((mutation.view, mutation.old, mutation.new), "")
            try:
                with made(clickhouse, mutation):
                    noticed = tests.notice(mutation)
            except ClickHouseError:
                refused[file] += 1
                continue
            if noticed and reason:
                print(f"said to be equivalent, but noticed by {noticed}:\n{shown(mutation)}", flush=True)
            elif not noticed:
                print(f"{f'equivalent: {reason}' if reason else 'NOT NOTICED'}\n{shown(mutation)}", flush=True)
            total[file] += bool(noticed) or not reason
            missed[file] += not noticed and not reason
            harmless[file] += not noticed and bool(reason)
    for file in total:
        counts = f"{total[file] - missed[file]:3} of {total[file]:3} noticed"
        print(f"{file:20} {counts}, {harmless[file]} equivalent, {refused[file]} refused by ClickHouse")
    noticed_in_all = total.total() - missed.total()
    share = noticed_in_all / max(total.total(), 1)
    minutes = (time.monotonic() - started) / 60
    print(f"{'all':20} {noticed_in_all:3} of {total.total():3} noticed: {share:.0%}, in {minutes:.0f} minutes")
    sys.exit(bool(missed.total()))


def shown(mutation: Mutation) -> str:
    """Return a mistake as text."""
    return f"  {mutation.view}: {mutation.old!r}\n  -> {mutation.new!r}"


if __name__ == "__main__":
    main()
