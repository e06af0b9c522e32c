"""Make plausible mistakes in the queries, one at a time, and check that a test fails: `make mutants-grafana`.

The mistakes are in mutations.yaml, and are made in a copy of the repository. A mistake in a dashboard's query runs
through test_panels.py first. If that does not fail, and for mistakes in alerts, the tests of the other modules run.
All use one server: to start one for each mistake would take an hour.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from grafana import build
from tests.grafana import conftest, datasets, test_alerts, test_lists, test_panels, test_versions
from tests.grafana.files import Target, targets
from tests.servers import ClickHouse, one_server, run_clickhouse

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("otel_intel", "clickhouse", "collector", "demo", "grafana", "semconv", "tests", "tools", "pyproject.toml")
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


def python(directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=directory, env=environment, input=stdin, capture_output=True, text=True, check=False
    )


# Run in the copy: makes each mistake in turn, imports grafana again and prints the generated files.
GENERATE = """
import importlib, json, pathlib, sys
results = []
for module, old, new, _ in json.load(sys.stdin):
    path = pathlib.Path("grafana", "queries", module + ".py")
    right = path.read_text("utf-8")
    if right.count(old) != 1:
        sys.exit(f"{module}: {right.count(old)} times {old!r}")
    path.write_text(right.replace(old, new), "utf-8")
    for name in [name for name in sys.modules if name.split(".")[0] == "grafana"]:
        del sys.modules[name]
    try:
        results.append(importlib.import_module("grafana.build").generated())
    except Exception:
        results.append(None)
    path.write_text(right, "utf-8")
print(json.dumps(results))
"""


def mutated(directory: Path, mutations: list[Mutation]) -> dict[Mutation, Files]:
    """Return the generated files for each mistake, except mistakes that make the build fail."""
    done = python(directory, "-W", "ignore", "-c", GENERATE, stdin=json.dumps(mutations))
    if done.returncode:
        sys.exit(done.stderr)
    found = zip(mutations, json.loads(done.stdout), strict=True)
    return {mutation: files for mutation, files in found if files is not None}


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
    """Tell whether a test of test_panels.py fails."""
    for target in changed:
        key = (target.dashboard, test_panels.place(target))
        try:
            if key == ("overview", "11"):
                test_panels.test_age_of_the_last_event(dataset, clickhouse, target)
            elif key in test_panels.OF_NOW:
                test_panels.test_storage(dataset, clickhouse, target)
            else:
                for name in test_panels.RANGES:
                    test_panels.test_rows_equal_a_slow_count(dataset, clickhouse, target, name)
        except Exception:  # noqa: BLE001 # a wrong row or a query that ClickHouse refuses
            return True
    return False


def tests_of(rules: Iterable[str]) -> str:
    """Return the expression that selects the tests of these rules: the test classes are named after the rules."""
    return " or ".join("Test" + uid.title().replace("-", "") for uid in rules)


def others_notice(files: Files, rules: dict[str, Any]) -> bool:
    """Tell whether a test of the other modules fails with these files, which replace the modules' global names."""
    found = {Path(path).stem: json.loads(text) for path, text in files.items() if path != build.ALERTS}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(test_alerts, "RULES", {**test_alerts.RULES, **rules})
        for module in (test_lists, test_versions):
            patch.setattr(module, "dashboards", lambda: found)
        paths = [
            f"tests/grafana/{name}.py" for name in (("test_alerts",) if rules else ("test_versions", "test_lists"))
        ]
        options = ["-q", "-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider", "-k", tests_of(rules)]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the modules are imported here already
        done = pytest.main([*options, *paths])
    assert done in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done
    return done == pytest.ExitCode.TESTS_FAILED


def unnoticed(clickhouse: ClickHouse, made: dict[Mutation, Files]) -> Iterator[Mutation]:
    """Yield the mutations that no test notices."""
    right = build.generated()
    before, rules_before = queries(right), alerts(right)
    left = dict(made)
    for make in (datasets.sixty_days, datasets.one_day, datasets.empty):
        dataset = make(datetime.now(UTC).replace(microsecond=0))
        clickhouse.empty()
        datasets.land(clickhouse, dataset.landed)
        for mutation, files in list(left.items()):
            changed = [target for key, target in queries(files).items() if before[key].sql != target.sql]
            if panels_notice(clickhouse, dataset, changed):
                del left[mutation]
    print(f"{len(made) - len(left)} noticed by test_panels.py; {len(left)} are shown to the other tests", flush=True)
    for mutation, files in left.items():
        rules = {uid: rule for uid, rule in alerts(files).items() if rule != rules_before[uid]}
        if not others_notice(files, rules):
            yield mutation


def main() -> None:
    """Print the mistakes that no test noticed, and each module's score; an argument selects one module."""
    modules = set(sys.argv[1:])
    mutations = [mutation for mutation in mistakes() if not modules or mutation.module in modules]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        copied(directory)
        made = mutated(directory, mutations)
        right = build.generated()
        assert right not in made.values(), [mutation for mutation, files in made.items() if files == right]
        print(f"{len(mutations)} mistakes, {len(mutations) - len(made)} of them noticed by the build", flush=True)
        with run_clickhouse(directory / "data") as clickhouse, one_server(clickhouse, conftest):
            alive = set(unnoticed(clickhouse, made))
    for mutation in mutations:
        if mutation in alive:
            why = f"equivalent: {mutation.equivalent}" if mutation.equivalent else "NOT NOTICED"
            print(f"{why}\n  {mutation.module}: {mutation.old!r}\n  -> {mutation.new!r}")
        elif mutation.equivalent:
            print(f"said to be equivalent, but noticed: {mutation.module}: {mutation.old!r} -> {mutation.new!r}")
    total, missed = Counter(m.module for m in mutations), Counter(m.module for m in alive if not m.equivalent)
    equivalent = Counter(m.module for m in alive if m.equivalent)
    for module in total:
        of = total[module] - equivalent[module]
        print(f"{module:16} {of - missed[module]:3} of {of:3} noticed, {equivalent[module]} equivalent")
    of = total.total() - equivalent.total()
    print(f"{'all':16} {of - missed.total():3} of {of:3} noticed: {(of - missed.total()) / max(of, 1):.0%}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
