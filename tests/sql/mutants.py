"""Make plausible mistakes in the views, one at a time, and check that a test fails: `make mutants-sql`.

The mistakes follow from the rules of mutations.py; mutations.yaml names those that change no answer. All are made on one
server: to start one for each mistake would take hours. A test that noticed a mistake in a view runs first for the next
one, so most mistakes take a second or two.
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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.schema import migrate
from tests.servers import ClickHouse, one_server, run_clickhouse
from tests.sql.mutations import Mutation, mutations

ROOT = Path(__file__).resolve().parents[2]
# The tests that read a file's views, those first that notice most. What they do not notice, the last ones are shown.
TESTS = {
    "10_facts.sql": ("typed_events", "ingest", "metrics", "rebuild"),
    "20_typed_events.sql": ("typed_events", "ingest", "health", "rebuild"),
    "30_ingest.sql": ("ingest", "typed_events", "health"),
    "40_logs.sql": ("metrics", "ingest", "health", "typed_events", "overviews"),
    "50_decisions.sql": ("windows", "metrics", "overviews"),
    "60_daily.sql": ("metrics", "windows", "typed_events"),
    "70_numbers.sql": ("metrics", "windows"),
    "75_overviews.sql": ("overviews", "windows"),
    "80_health.sql": ("health",),
}
# Not the comments of columns: a view that is replaced has lost them.
NOT_RUN = "test_the_database_has_each_columns_comment"
VALUES = {"Date": "'2026-01-01'", "String": "'v1'", "UInt16": "7"}
# Without --all, this share of the mistakes is made, always the same ones.
SHARE = 0.5


class Tests:
    """A plugin for pytest: runs first what noticed earlier mistakes in the view, and remembers what notices this one."""

    def __init__(self) -> None:
        self.view = ""
        self.first: defaultdict[str, list[str]] = defaultdict(list)
        self.noticed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if NOT_RUN not in item.nodeid]
        first = self.first[self.view]
        items.sort(key=lambda item: first.index(item.nodeid) if item.nodeid in first else len(first))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.noticed = report.nodeid

    def run(self, file: str, view: str) -> str:
        """Return the test that fails, if one does."""
        self.view, self.noticed = view, ""
        paths = [f"tests/sql/test_{name}.py" for name in (*TESTS[file], "dictionary")]
        options = ["-q", "-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the modules are imported here already
        with contextlib.redirect_stdout(io.StringIO()):
            done = pytest.main([*options, *paths], plugins=[self])
        assert done in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done
        assert (done == pytest.ExitCode.TESTS_FAILED) == bool(self.noticed)
        if self.noticed:
            first = self.first[view]
            if self.noticed in first:
                first.remove(self.noticed)
            first.insert(0, self.noticed)
        return self.noticed


def apply(clickhouse: ClickHouse, statement: str) -> None:
    """Make the view what the statement says, as otel-intel migrate does."""
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
    return zlib.crc32(f"{mutation.view}\n{mutation.old}\n{mutation.new}".encode()) < SHARE * 2**32


def main() -> None:
    """Print the mistakes that no test noticed, and each file's score."""
    parser = argparse.ArgumentParser(prog="python -m tests.sql.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="such as 70_numbers; all by default")
    parser.add_argument("--all", action="store_true", help=f"make all mistakes, not the fixed {SHARE:.0%} of them")
    arguments = parser.parse_args()
    everything = mutations({f"{name.removesuffix('.sql')}.sql" for name in arguments.files})
    chosen = [mutation for mutation in everything if arguments.all or is_chosen(mutation)]
    print(f"{len(chosen)} of {len(everything)} mistakes", "" if arguments.all else "(--all: all)", flush=True)
    reasons = equivalent()
    tests, started = Tests(), time.monotonic()
    total, refused, missed, harmless = (Counter[str]() for _ in range(4))
    with tempfile.TemporaryDirectory() as name, run_clickhouse(Path(name) / "data") as clickhouse, one_server(clickhouse):
        for file in sorted({mutation.file for mutation in chosen}):
            assert not tests.run(file, ""), f"{tests.noticed} fails without a mistake"
        for mutation in chosen:
            file, reason = mutation.file, reasons.get((mutation.view, mutation.old, mutation.new), "")
            try:
                with made(clickhouse, mutation):
                    noticed = tests.run(file, mutation.view)
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
