"""Plant mistakes in the package, one at a time, and say which of them no test notices: `make mutants`.

mutmut makes the mistakes: each of its mutants is one function with one change. Out of several thousand, a sample of
each folder is drawn. It does not change from run to run; and a change of the package changes little of it, because a
mutant is known by its text, not by its number.

First mutmut runs the unit tests that reach the function. It cannot see what runs at import, nor in processes that a
test starts, so each mutant that is left is then written into a copy of the repository. There the folder's tests with
real servers run, and the unit tests (those of delivery, which are slow, for delivery only). A run that hangs
counts as noticed; a function that no unit test reaches counts as noticed only if the second run notices.

Not in the score, and counted apart:

* wording: a changed string that is words for people: a string that is given to `raise`, a logger, `click.echo`, a
  system check, `help=` or `hint=`, or to a variable `text`, `hint` or `fix`. Strings that are looked up or compared in
  there are data, and stay in the score, as does a message that is missing.
* equivalent: a mutant that nobody can notice. mutations.yaml lists them, each with its reason.

mutmut leaves out what runs at import: the values of classes and modules, and functions with a decorator.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import fnmatch
import functools
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import venv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "mutants"
GOAL = 0.9
SEED = 1
SIZE = 30
LIMIT = 600.0
"""Seconds for one run of tests on a mutant; they need a tenth of it. A single test that hangs fails earlier."""

WHOLE_WAY = (
    "tests/pipeline/test_whole_way.py",
    "--deselect=tests/pipeline/test_whole_way.py::test_ten_thousand_events_of_eight_threads_count_once_however_often_they_are_sent",
)
PROCESSES = ("tests/pipeline/test_unreadable_requests.py", "tests/pipeline/test_processes.py")
CELERY = "tests/pipeline/test_endings.py::test_celery_loses_nothing"
ENDINGS = (
    "tests/pipeline/test_endings.py",
    *(f"--deselect={CELERY}[{way}]" for way in ("warm", "cold", "solo", "threads")),
)
CLUSTER = (
    "tests/cluster/test_layout.py",
    "tests/cluster/test_shards.py::test_rebuild_gives_the_same_answers",
    "tests/cluster/test_shards.py::test_migrate_needs_every_node",
    "tests/cluster/test_shards.py::test_migrate_without_the_clusters_name_is_refused",
    "tests/cluster/test_shards.py::test_migrate_again_changes_only_what_is_asked_for",
)
# The tests with servers that notice most mistakes in a folder or module, in a minute: the first line that fits.
SERVERS = {
    "commands/server.py": ("tests/sql/test_embedded_server.py",),
    "commands/schema.py": ("tests/sql/test_migrations.py", "tests/sql/test_retention.py", "tests/sql/test_rebuild.py"),
    "commands/verify.py": ("tests/sql/test_verify.py",),
    "commands/": ("tests/sql/test_export.py", *WHOLE_WAY),
    "delivery/": (*PROCESSES, *ENDINGS),
    "pages/": (
        "tests/pipeline/test_snapshots.py",
        "tests/pipeline/test_staff_logs.py",
        "tests/pipeline/test_staff_pages.py",
    ),
    "reading/doctor.py": (
        *WHOLE_WAY,
        "tests/pipeline/test_full_disk.py::test_a_probe_that_waits_for_space_is_explained",
    ),
    **dict.fromkeys(("reading/verify.py", "reading/day_rows.py"), ("tests/sql/test_verify.py",)),
    "reading/health.py": ("tests/sql/test_health.py", *WHOLE_WAY),
    "reading/": ("tests/sql/test_export.py", "tests/pipeline/test_metrics.py", "tests/sql/test_metrics.py"),
    "schema/refresh.py": ("tests/sql/test_refresh.py", "tests/sql/test_refresh_command.py"),
    "schema/": ("tests/sql/test_migrations.py", "tests/sql/test_rebuild.py", "tests/sql/test_retention.py"),
    "server/collector.py": ("tests/collector/test_up.py",),
    "server/refresher.py": ("tests/sql/test_refresh_command.py",),
    "server/landlock.py": ("tests/sql/test_landlock.py",),
    "server/": ("tests/sql/test_embedded_server.py",),
    "": ("tests/pipeline/test_processes.py",),
}
# What is not needed in the copy, or would be copied into itself.
LEFT_OUT = (".*", "mutants", "__pycache__", "_build")
OPTIONS = ("-x", "-q", "-n0", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider")
NOTICED = {1, 3, 24, -24, 36, 152, 255}
"""mutmut's results of tests that failed, or took too long."""

# mutmut 3.8 has no command that only makes the mutants.
GENERATE = """
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
copy_src_dir(), copy_also_copy_files(), create_mutants(int(__import__("sys").argv[1]))
"""


class Change(NamedTuple):
    """What a mutant changes, as mutations.yaml says it: the text ``old`` of a function's lines becomes ``new``."""

    module: str
    function: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A mutant by mutmut's name, and the whole function before and after."""

    name: str
    change: Change
    before: str
    after: str

    @property
    def folder(self) -> str:
        return self.change.module.rpartition("/")[0] or "top"

    def rank(self, seed: int) -> bytes:
        """Return the place in the sample's order."""
        return hashlib.sha256("\0".join((str(seed), *self.change)).encode()).digest()


def equivalents() -> dict[Change, str]:
    """Return the listed mutants that nobody can notice, and why."""
    listed = yaml.safe_load(Path(__file__).with_name("mutations.yaml").read_text("utf-8"))
    return {
        Change(module, entry["function"], entry["old"], entry["new"]): entry["reason"]
        for module, entries in listed.items()
        for entry in entries
    }


def results() -> dict[str, int | None]:
    """Return mutmut's result of every mutant; None is a mutant that has not run."""
    found: dict[str, int | None] = {}
    for path in sorted((MUTANTS / "otel_intel").rglob("*.py.meta")):
        found.update(json.loads(path.read_text("utf-8"))["exit_code_by_key"])
    return found


def module_of(name: str) -> str:
    """Return the path of a mutant's module in the package."""
    return "/".join(name.split(".")[1:-1]) + ".py"


class Functions:
    """The functions of a module by class and name, and the lines that each has in it."""

    def __init__(self, path: Path) -> None:
        self.lines = path.read_text("utf-8").splitlines(keepends=True)
        self.spans: dict[tuple[str, str], slice] = {}
        for statement in ast.parse("".join(self.lines)).body:
            self._add("", statement)
            if isinstance(statement, ast.ClassDef):
                for method in statement.body:
                    self._add(statement.name, method)

    def _add(self, owner: str, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # The last one: those before it are overloads.
            self.spans[owner, node.name] = slice(node.lineno - 1, node.end_lineno)

    def text(self, owner: str, name: str, called: str) -> str:
        """Return a function under another name."""
        return "".join(self.lines[self.spans[owner, name]]).replace(f"def {name}(", f"def {called}(", 1)

    def with_function(self, owner: str, name: str, text: str) -> str:
        """Return the module with another text for a function."""
        lines = list(self.lines)
        lines[self.spans[owner, name]] = [text]
        return "".join(lines)


@functools.cache
def functions(path: Path) -> Functions:
    """Return the functions of a file."""
    return Functions(path)


def owner_and_name(mutant: str) -> tuple[str, str]:
    """Return the class ('' if none) and the name of the function that a mutant is made of."""
    mangled = mutant.rpartition(".")[2].rpartition("__mutmut_")[0]
    parts = mangled.split("ǁ")
    return (parts[1], parts[2]) if len(parts) == 3 else ("", mangled.removeprefix("x_"))


def read(name: str) -> Mutant:
    """Return the mutant with this name."""
    owner, function = owner_and_name(name)
    mutated = functions(MUTANTS / "otel_intel" / module_of(name))
    own = name.rpartition(".")[2]
    before = mutated.text(owner, f"{own.rpartition('__mutmut_')[0]}__mutmut_orig", function)
    after = mutated.text(owner, own, function)
    removed, added = [], []
    for line in difflib.ndiff(before.splitlines(), after.splitlines()):
        if line.startswith("- "):
            removed.append(line[2:].strip())
        elif line.startswith("+ "):
            added.append(line[2:].strip())
    qualified = f"{owner}.{function}" if owner else function
    return Mutant(name, Change(module_of(name), qualified, "\n".join(removed), "\n".join(added)), before, after)


# -- words for people ------------------------------------------------------------------------------------------

SPEAKING = {"debug", "info", "warning", "error", "exception", "warn", "echo", "secho", "_log_once"}
SPEAKING |= {"Error", "Warning", "Info", "BadParameter", "ClickException", "UsageError"}
SPOKEN = {"help", "hint", "text", "fix"}


def differing(before: ast.AST, after: ast.AST, above: tuple[ast.AST, ...] = ()) -> tuple[ast.AST, ...] | None:
    """Return the innermost node that contains every difference of two trees, with the nodes above it first."""
    if type(before) is not type(after) or isinstance(before, ast.Constant):
        return (*above, before) if ast.dump(before) != ast.dump(after) else None
    pairs = list(zip(ast.iter_child_nodes(before), ast.iter_child_nodes(after), strict=False))
    found = [path for one, other in pairs if (path := differing(one, other, (*above, before)))]
    if len(found) == 1 and len(list(ast.iter_child_nodes(before))) == len(list(ast.iter_child_nodes(after))):
        return found[0]
    return (*above, before) if ast.dump(before) != ast.dump(after) else None


def is_wording(mutant: Mutant) -> bool:
    """Tell whether a mutant changes nothing but the words of a string for people."""
    before, after = (ast.parse(textwrap.dedent(text)).body[0] for text in (mutant.before, mutant.after))
    path = differing(before, after)
    if path is None or not is_text(path[-1]) or not is_text_at(path, after):
        return False
    for node, inside in zip(reversed(path[:-1]), reversed(path), strict=False):
        if isinstance(node, ast.Raise):
            return inside is node.exc
        if isinstance(node, ast.Assign):
            return all(isinstance(target, ast.Name) and target.id in SPOKEN for target in node.targets)
        if isinstance(node, ast.keyword):
            return node.arg in SPOKEN
        if isinstance(node, ast.Call):
            return inside in node.args and (called(node) in SPEAKING or any(isinstance(up, ast.Raise) for up in path))
        if not isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp) or inside is getattr(node, "test", None):
            return False
    return False


def called(call: ast.Call) -> str:
    """Return the last part of the name that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_text(node: ast.AST) -> bool:
    """Tell whether a node is a plain string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_text_at(path: tuple[ast.AST, ...], other: ast.AST) -> bool:
    """Tell whether another tree, too, has a plain string at the end of a path."""
    for above, node in itertools.pairwise(path):
        place = list(ast.iter_child_nodes(above)).index(node)
        other = list(ast.iter_child_nodes(other))[place]
    return is_text(other)


# -- the two runs ----------------------------------------------------------------------------------------------


def mutmut(*arguments: str) -> None:
    """Run mutmut's Python with these arguments; end the run with its output if it fails."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])


def drawn(mutants: Iterable[Mutant], size: int, seed: int) -> tuple[list[Mutant], list[Mutant]]:
    """Return the sample, and the wording that was met on the way to it."""
    sample: list[Mutant] = []
    wording: list[Mutant] = []
    for mutant in sorted(mutants, key=lambda mutant: mutant.rank(seed)):
        if len(sample) == size:
            break
        (wording if is_wording(mutant) else sample).append(mutant)
    return sample, wording


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """Copy the repository, with an environment whose Python imports the copy whatever a test sets as its variables."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "copy"
        shutil.copytree(ROOT, directory, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for hidden in (".env.example", ".dockerignore"):
            shutil.copy(ROOT / hidden, directory / hidden)
        venv.create(directory / ".venv", symlinks=True)
        [packages] = (directory / ".venv").glob("lib/python*/site-packages")
        (packages / "copy.pth").write_text(f"{directory}\n{sysconfig.get_path('purelib')}\n")
        yield directory


def tests_of(module: str) -> list[tuple[str, ...]]:
    """Return the tests that a mistake in this module is shown to, one run after the other."""
    servers = next(tests for start, tests in SERVERS.items() if module.startswith(start))
    slow = () if module.startswith("delivery/") else ("--ignore=tests/unit/delivery",)
    runs: list[tuple[str, ...]] = [(*servers, "tests/unit", *slow)]
    return [*runs, CLUSTER] if module.startswith("schema/") else runs


def failing(directory: Path, runs: list[tuple[str, ...]]) -> str:
    """Run tests in the copy and return the first that fails, or ''."""
    return next((failed for tests in runs if (failed := failing_of(directory, tests))), "")


def failing_of(directory: Path, tests: tuple[str, ...]) -> str:
    """Run some tests in the copy and return the first that fails, or ''."""
    python = directory / ".venv" / "bin" / "python"
    with subprocess.Popen(
        [str(python), "-m", "pytest", *OPTIONS, *tests],
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the servers that it started end with it
            return f"no end after {LIMIT:.0f} s"
    if process.returncode == 0:
        return ""
    found = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not found and process.returncode == pytest.ExitCode.INTERRUPTED:
        sys.exit("The tests were interrupted.")
    return found[0][:150] if found else f"pytest ended with {process.returncode}"


def unnoticed(mutants: list[Mutant]) -> Iterator[Mutant]:
    """Yield the mutants that the second run does not notice either."""
    works: list[tuple[str, ...]] = []
    with copied() as directory:
        for mutant in mutants:
            tests = tests_of(mutant.change.module)
            if failed := failing(directory, [run for run in tests if run not in works]):
                sys.exit(f"Without a mistake, too: {failed}")
            works += tests
            path = directory / "otel_intel" / mutant.change.module
            right = functions(ROOT / "otel_intel" / mutant.change.module)
            path.write_text(right.with_function(*owner_and_name(mutant.name), mutant.after), "utf-8")
            failed = failing(directory, tests)
            path.write_text("".join(right.lines), "utf-8")
            print(f"  {mutant.name}: {failed or 'NOT NOTICED'}", flush=True)
            if not failed:
                yield mutant


def show(mutant: Mutant) -> None:
    """Print what a mutant changes."""
    before, after = (textwrap.dedent(text).splitlines() for text in (mutant.before, mutant.after))
    print(f"NOT NOTICED {mutant.name}")
    print("\n".join(list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]))


def main() -> None:
    """Print what no test notices, and the score of each folder."""
    parser = argparse.ArgumentParser(description="Plant mistakes in the package, and say which no test notices.")
    parser.add_argument("names", nargs="*", help="mutants as mutmut names them, * allowed, instead of a sample")
    parser.add_argument("--size", type=int, default=SIZE, help="mutants of each folder; 0 is all")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed draws another sample")
    parser.add_argument("--folder", action="append", help="only this folder")
    parser.add_argument("--max-children", type=int, default=2, help="processes of the first run")
    options = parser.parse_args()
    known = equivalents()

    shutil.rmtree(MUTANTS, ignore_errors=True)
    MUTANTS.mkdir()
    mutmut("-c", GENERATE, str(options.max_children))
    everything = [read(name) for name in results()]
    folders = options.folder or sorted({mutant.folder for mutant in everything})
    sample, wording = [], Counter[str]()
    for folder in folders:
        there = [mutant for mutant in everything if mutant.folder == folder]
        if options.names:
            there = [m for m in there if any(fnmatch.fnmatchcase(m.name, pattern) for pattern in options.names)]
        chosen, left_out = drawn(there, len(there) if options.names or not options.size else options.size, options.seed)
        sample += chosen
        wording[folder] = len(left_out)
    if not sample:
        sys.exit("There is no such mutant.")
    print(f"{len(everything)} mutants, a sample of {len(sample)}", flush=True)
    mutmut("-m", "mutmut", "run", "--max-children", str(options.max_children), *(mutant.name for mutant in sample))
    first = results()
    left = [mutant for mutant in sample if first[mutant.name] not in NOTICED]
    print(f"{len(sample) - len(left)} noticed by the unit tests; the rest runs again, with servers", flush=True)
    missed = list(unnoticed(left))

    for mutant in missed:
        if mutant.change not in known:
            show(mutant)
    for mutant in sample:
        if mutant.change in known and mutant not in missed:
            print(f"said to be equivalent, but noticed: {mutant.name}")
    below = []
    for folder, group in itertools.groupby(sample, key=lambda mutant: mutant.folder):
        of = list(group)
        equivalent = [mutant for mutant in missed if mutant.folder == folder and mutant.change in known]
        unseen = [mutant for mutant in missed if mutant.folder == folder and mutant.change not in known]
        total = len(of) - len(equivalent)
        share = (total - len(unseen)) / max(total, 1)
        counts = f"{total - len(unseen):4} of {total:4} noticed ({share:4.0%})"
        print(f"{folder:9} {counts}, {len(equivalent)} equivalent, {wording[folder]} wording")
        if share < GOAL:
            below.append(folder)
    sys.exit(f"Below {GOAL:.0%}: {', '.join(below)}" if below else 0)


if __name__ == "__main__":
    main()
