"""A new event needs one declaration, one helper and `make generate`: done in a copy of the repository, then sent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.process import binary

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("otel_intel", "clickhouse", "collector", "grafana", "semconv", "tools", "docs", "README.md")

DECLARATIONS = """RECOMMENDATION_SHARED: Final = Event(
    "intel.recommendation.shared", "track_recommendation_share", "recommendation",
    "A staff user sent a recommendation to a colleague.", _RECOMMENDATION,
)
REPORT_PRINTED: Final = Event(
    "intel.report.printed", "track_report_print", "view", "A staff user printed the report of a risk signal.", _VIEW
)
"""
HELPERS = '''    @_never_raises
    def track_recommendation_share(
        self,
        risk_signal_id: Id,
        admin_user_id: Id,
        recommendation_type: str,
        confidence: Confidence,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin sent a recommendation to a colleague."""
        values = (risk_signal_id, admin_user_id, recommendation_type, confidence)
        self._emit(events.RECOMMENDATION_SHARED, values, engine_version, timestamp)

    @_never_raises
    def track_report_print(
        self,
        admin_user_id: Id,
        risk_signal_id: Id,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin printed the report of a signal."""
        self._emit(events.REPORT_PRINTED, (admin_user_id, risk_signal_id), engine_version, timestamp)

'''
# Viewed, shared, then accepted: if "shared" counted as a decision, the acceptance would not be paired with the view.
SEND = """
from datetime import UTC, datetime, timedelta
from otel_intel import get_telemetry
telemetry = get_telemetry()
noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
recommendation = (7, 42, "EXPIRING_SOON", "HIGH")
telemetry.track_recommendation_view(*recommendation, timestamp=noon)
telemetry.track_recommendation_share(*recommendation, timestamp=noon + timedelta(seconds=2))
telemetry.track_recommendation_accept(*recommendation, timestamp=noon + timedelta(seconds=5))
telemetry.track_report_print(42, 7)
assert telemetry.flush(30), telemetry.status()
"""


def insert(path: Path, before: str, text: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count(before) == 1
    path.write_text(source.replace(before, text + before), encoding="utf-8")


class Tree:
    """A copy of the repository with two more events; a server with a Collector runs from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / ".otel-intel"
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        insert(root / "otel_intel" / "events.py", "PIPELINE_REPORTED: Final = Event(", DECLARATIONS)
        insert(root / "otel_intel" / "telemetry.py", "    @contextmanager\n    def engine_version(", HELPERS)
        self.written = self.run("-m", "tools.generate").splitlines()

    def run(self, *arguments: str, **variables: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.root), **variables}
        for name in ("PYTEST_VERSION", "DJANGO_SETTINGS_MODULE"):  # events are sent, with the environment's settings
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def select(self, columns: str, source: str) -> dict[str, object]:
        """Return the one row of a query."""
        program = (
            "import json, sys; from otel_intel.reading.reader import Reader\n"
            "print(json.dumps(Reader(30).rows(dict, sys.argv[1]), default=str))"
        )
        url = self.run("-m", "otel_intel", "env", f"--data={self.data}", "--role=reader").strip()
        [row] = json.loads(
            self.run("-c", program, f"SELECT {columns} FROM metrics.{source}", OTEL_INTEL_CLICKHOUSE_URL=url)
        )
        return dict(row)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    up = ("up", "--http-port=0", "--native-port=0", f"--collector-binary={binary()}", "--detach")
    variables = tree.run("-m", "otel_intel", *up, f"--data={tree.data}")
    try:
        sender = dict(line.replace("'", "").split("=", 1) for line in variables.splitlines())
        tree.run("-c", SEND, **sender, OTEL_INTEL_ENGINE_VERSION="2.0", OTEL_SERVICE_NAME="shop")
        status = json.loads(
            tree.run("-m", "otel_intel", "doctor", "--json", **sender, OTEL_INTEL_ENGINE_VERSION="2.0").splitlines()[-1]
        )
        assert status["state"] == "ok", status  # the probe came after the events
        yield tree
    finally:
        tree.run("-m", "otel_intel", "down", f"--data={tree.data}")


def test_a_person_touches_two_files(tree: Tree) -> None:
    changed = {
        str(path.relative_to(tree.root))
        for name in COPIED
        for path in (tree.root / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if path.read_bytes() != (ROOT / path.relative_to(tree.root)).read_bytes()
    }
    written = {line.removeprefix("written ") for line in tree.written}
    assert changed - written == {"otel_intel/events.py", "otel_intel/telemetry.py"}
    assert {
        "clickhouse/README.md",
        "clickhouse/views/20_typed_events.sql",
        "clickhouse/views/60_daily.sql",
        "otel_intel/static/otel_intel/pages.css",
        "semconv/intel.yaml",
    } <= written


def test_nothing_was_rejected(tree: Tree) -> None:
    assert tree.select("count() AS rejected", "rejected_events") == {"rejected": 0}


def test_the_view_event_counts(tree: Tree) -> None:
    assert tree.select("view_kind, risk_signal_id", "admin_views") == {
        "view_kind": "report.printed",
        "risk_signal_id": "7",
    }
    assert tree.select("report_printed, total", "engagement_daily") == {"report_printed": 1, "total": 1}
    assert tree.select("report_printed, total", "top_admins(days = 7)") == {"report_printed": 1, "total": 1}


def test_the_action_counts_and_is_no_decision(tree: Tree) -> None:
    assert tree.select("viewed, shared, accepted, decisions", "recommendations_daily") == {
        "viewed": 1,
        "shared": 1,
        "accepted": 1,
        "decisions": 1,
    }
    assert tree.select("action, decision_time_ms", "decisions") == {"action": "ACCEPTED", "decision_time_ms": 5000}
    rate = tree.select("decisions, acceptance_rate, acceptance_share", "acceptance_rate(days = 7)")
    assert rate == {"decisions": 1, "acceptance_rate": 1.0, "acceptance_share": 1.0}
    assert tree.select("decisions", "override_rate(days = 7)") == {"decisions": 1}
    assert tree.select("samples", "decision_time(days = 7)") == {"samples": 1}
    compared = tree.select("decisions_a", "engine_comparison(version_a = '2.0', version_b = '2.1', days = 7)")
    assert compared == {"decisions_a": 1}


def test_no_sent_event_is_missing(tree: Tree) -> None:
    counts = tree.select(
        "sum(delivered) AS delivered, sum(arrived) AS arrived, sum(missing) AS missing", "pipeline_health"
    )
    assert counts == {"delivered": 4, "arrived": 4, "missing": 0}
