"""Make plausible mistakes in the queries, one at a time, and see whether a test notices: `make mutants-grafana`.

The mistakes are in mutations.yaml, and are made in a copy of the tree. A mistake in a dashboard's query is shown to
test_panels.py first, in this process, on one server: that is quick. What it does not see, and mistakes in alerts, which
have data of their own, are shown to the other modules' tests, each time in a run of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from grafana import build
from tests.grafana import datasets, test_panels
from tests.grafana.files import Target, targets
from tests.servers import ClickHouse, run_clickhouse

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("otel_intel", "clickhouse", "collector", "demo", "grafana", "semconv", "tests", "tools", "pyproject.toml")
OTHERS = ("test_versions.py", "test_queries.py", "test_lists.py")
Files = dict[str, str]


class Mutation(NamedTuple):
    """A mistake in a module: the text ``old`` becomes ``new``; ``equivalent`` says why it changes no answer."""

    module: str
    old: str
    new: str
    equivalent: str = ""


def mistakes() -> list[Mutation]:
    """Return the list."""
    listed = yaml.safe_load((ROOT / "tests" / "grafana" / "mutations.yaml").read_text("utf-8"))
    return [Mutation(module, **values) for module, mutations in listed.items() for values in mutations]


def copied(directory: Path) -> None:
    """Copy what the tests and the build of the dashboards need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / name)


def python(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def mutated(directory: Path, mutation: Mutation) -> Files | None:
    """Return the generated files with a mistake; None if the build itself fails."""
    path = directory / "grafana" / "queries" / f"{mutation.module}.py"
    right = path.read_text("utf-8")
    assert right.count(mutation.old) == 1, f"{mutation.module}: {right.count(mutation.old)} times {mutation.old!r}"
    path.write_text(right.replace(mutation.old, mutation.new), "utf-8")
    try:
        program = "import json; from grafana.build import generated; print(json.dumps(generated()))"
        done = python(directory, "-c", program)
    finally:
        path.write_text(right, "utf-8")
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


def queries(files: Files) -> dict[tuple[str, str], Target]:
    """Return the dashboards' queries by dashboard and place."""
    found = {}
    for path, text in files.items():
        if path != build.ALERTS:
            name = Path(path).stem
            found.update({(name, target.place): target for target in targets(name, json.loads(text))})
    return found


def alerts(files: Files) -> dict[str, Any]:
    """Return the alerts' rules by their uid."""
    document = yaml.safe_load(files[build.ALERTS])
    return {rule["uid"].removeprefix("otel-intel-"): rule for group in document["groups"] for rule in group["rules"]}


def panels_notice(clickhouse: ClickHouse, dataset: datasets.Dataset, changed: list[Target]) -> bool:
    """Say whether a test of test_panels.py fails."""
    for target in changed:
        key = (target.dashboard, test_panels.place(target))
        try:
            if key == ("overview", "11"):
                test_panels.test_age_of_the_last_event(dataset, clickhouse, target)
            elif key in test_panels.OF_NOW:
                test_panels.test_storage(dataset, clickhouse, target)
            else:
                for name in test_panels.RANGES:
                    test_panels.test_rows_are_those_of_a_slow_count(dataset, clickhouse, target, name)
        except Exception:  # noqa: BLE001 # a wrong row or a query that ClickHouse refuses
            return True
    return False


def others_notice(directory: Path, files: Files, *selection: str) -> bool:
    """Say whether a test of the other modules fails on the copy with these files."""
    for path, text in files.items():
        (directory / "grafana" / path).write_text(text, "utf-8")
    arguments = ("-q", "-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider")
    done = python(directory, "-m", "pytest", *arguments, *selection)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 1


def selection(directory: Path, mutation: Mutation, rules: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the tests to run: those of the alerts that have changed, then those of all queries."""
    folder = "tests/grafana"
    if rules:
        yield (f"{folder}/test_alerts.py",)
    yield tuple(f"{folder}/{name}" for name in OTHERS if (directory / folder / name).exists())


def survivors(directory: Path, clickhouse: ClickHouse, made: dict[Mutation, Files]) -> Iterator[Mutation]:
    """Yield the mutations that no test notices."""
    right = build.generated()
    left = dict(made)
    for make in (datasets.sixty_days, datasets.one_day, datasets.empty):
        dataset = make(datetime.now(UTC).replace(microsecond=0))
        clickhouse.empty()
        datasets.land(clickhouse, dataset.landed)
        for mutation, files in list(left.items()):
            before = queries(right)
            changed = [target for key, target in queries(files).items() if before[key].sql != target.sql]
            if panels_notice(clickhouse, dataset, changed):
                del left[mutation]
    print(f"{len(made) - len(left)} noticed by test_panels.py; {len(left)} are shown to the other tests", flush=True)
    for mutation, files in left.items():
        path = directory / "grafana" / "queries" / f"{mutation.module}.py"
        text = path.read_text("utf-8")
        path.write_text(text.replace(mutation.old, mutation.new), "utf-8")  # alerts are built by their tests
        try:
            of_alerts = alerts(right)
            rules = [uid for uid, rule in alerts(files).items() if rule != of_alerts[uid]]
            if not any(others_notice(directory, files, *tests) for tests in selection(directory, mutation, rules)):
                yield mutation
        finally:
            path.write_text(text, "utf-8")


def main() -> None:
    """Print what was not noticed, and the score of each module; a module's name as argument: only its mistakes."""
    modules = set(sys.argv[1:])
    mutations = [mutation for mutation in mistakes() if not modules or mutation.module in modules]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        copied(directory)
        made, broken = {}, 0
        for mutation in mutations:
            files = mutated(directory, mutation)
            if files is None:
                broken += 1
            else:
                assert files != build.generated(), f"{mutation} changes nothing"
                made[mutation] = files
        print(f"{len(mutations)} mistakes, {broken} of them noticed by the build", flush=True)
        with run_clickhouse(directory / "data") as clickhouse:
            alive = set(survivors(directory, clickhouse, made))
    for mutation in mutations:
        if mutation in alive:
            why = f"equivalent: {mutation.equivalent}" if mutation.equivalent else "NOT NOTICED"
            print(f"{why}\n  {mutation.module}: {mutation.old!r}\n  -> {mutation.new!r}")
        elif mutation.equivalent:
            print(f"said to be equivalent, but noticed: {mutation.module}: {mutation.old!r} -> {mutation.new!r}")
    total, unnoticed = Counter(m.module for m in mutations), Counter(m.module for m in alive if not m.equivalent)
    equivalent = Counter(m.module for m in alive if m.equivalent)
    for module in total:
        of = total[module] - equivalent[module]
        print(f"{module:16} {of - unnoticed[module]:3} of {of:3} noticed, {equivalent[module]} equivalent")
    of = total.total() - equivalent.total()
    print(f"{'all':16} {of - unnoticed.total():3} of {of:3} noticed: {(of - unnoticed.total()) / max(of, 1):.0%}")
    sys.exit(bool(unnoticed))


if __name__ == "__main__":
    main()
