"""Every word, number and link of the staff pages on the same events: look at what differs, then `make snapshots`."""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from otel_intel.events import OUTCOME_STATUSES
from tests.otlp import Record, event, send
from tests.servers import ClickHouse

pytestmark = pytest.mark.django_db

TODAY = date(2026, 3, 31)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGES = {
    "overview": "/telemetry/",
    "overview-metrics": "/telemetry/?csv=metrics",
    "overview-versions": "/telemetry/?csv=engine-versions",
    "events": "/telemetry/events/",
    "events-filtered": "/telemetry/events/?type=LONG_PENDING&confidence=HIGH&version=2.0&sort=-decision+time",
    "events-oldest": "/telemetry/events/?from=2026-03-10&to=2026-03-20&sort=time",
    "events-wrong": "/telemetry/events/?from=never&action=LIKED&sort=colour&type=%00",
    "events-csv": "/telemetry/events/?csv=recommendation-events&from=2026-03-20",
    "outcomes": "/telemetry/outcomes/",
    "outcomes-filtered": "/telemetry/outcomes/?status=FALSE_POSITIVE&version=1.4",
    "outcomes-csv": "/telemetry/outcomes/?csv=signal-outcomes",
    "activity": "/telemetry/activity/",
    "activity-filtered": "/telemetry/activity/?admin=2&sort=admin",
    "activity-admins": "/telemetry/activity/?csv=top-admins",
    "activity-csv": "/telemetry/activity/?csv=admin-views&from=2026-03-25",
    "trace": f"/telemetry/traces/{TRACE}/",
    "no-such-table": "/telemetry/?csv=nothing",
    "trace-unknown": f"/telemetry/traces/{'0' * 31}1/",
}


class Html(SingleFileSnapshotExtension):
    """A file of text for each page."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def quarter(staff: Client, user: User, reading: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A visitor on the last day of a quarter of which every event is known."""
    for name in ("forms", "log_page", "tables", "trace"):
        monkeypatch.setattr(import_module(f"otel_intel.pages.{name}"), "localdate", lambda: TODAY)
    monkeypatch.setattr(timezone, "localdate", lambda: TODAY)
    user.delete()
    viewer = User.objects.create_user("viewer", id=1, first_name="Test", last_name="Viewer", is_staff=True)
    User.objects.create_user("second", id=2, first_name="Second", last_name="<b>Reader</b>", is_staff=True)
    send(reading, *_events())
    staff.force_login(viewer)
    return staff


def _events() -> list[Record]:
    rng = random.Random(1)
    end = datetime(TODAY.year, TODAY.month, TODAY.day, 18, tzinfo=UTC)
    records: list[Record] = []
    for signal in range(90):
        seen = end - timedelta(days=signal % 61, minutes=rng.randrange(500))
        who: dict[str, object] = {
            "intel.risk_signal.id": str(signal),
            "intel.admin.id": rng.choice(["1", "2", "gone"]),
            "intel.engine.version": "2.0" if signal % 61 < 20 else "1.4",
        }
        about = who | {
            "intel.recommendation.type": rng.choice(["EXPIRING_SOON", "LONG_PENDING", "=1+1"]),
            "intel.recommendation.confidence": rng.choice(["HIGH", "MEDIUM", "LOW"]),
        }
        records.append(_at(seen, "recommendation.viewed", about))
        records.append(_at(seen, rng.choice(["signal.detail_opened", "explanation.expanded", "note.created"]), who))
        records.append(_at(seen, "dashboard.opened", who | {"intel.risk_signal.id": None}))
        if rng.random() < 0.8:
            about["intel.decision.time_ms"] = rng.choice([None, 900, 61_000, 3_700_000])
            action = rng.choice(["accepted", "accepted", "ignored", "overridden"])
            records.append(_at(seen + timedelta(seconds=rng.randrange(9000)), f"recommendation.{action}", about))
        if rng.random() < 0.7:
            who["intel.outcome.status"] = rng.choice(("RESOLVED", *OUTCOME_STATUSES))
            who["intel.outcome.resolution_time_hours"] = rng.choice([None, 0.5, 30.0, 200.0])
            records.append(_at(seen + timedelta(hours=3), "signal.outcome_recorded", who))
    return [
        replace(record, trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex("b7ad6b7169203331"))
        if number in (0, 2, 7)
        else record
        for number, record in enumerate(records)
    ]


def _at(when: datetime, name: str, attributes: dict[str, object]) -> Record:
    nanoseconds = int(when.timestamp()) * 10**9
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {attributes} {when}"))
    return event(name, nanoseconds, uid, **attributes)


def _readable(text: str) -> str:
    text = re.sub(r'(name="csrfmiddlewaretoken" value=")[^"]*', r"\1…", text)
    return re.sub(r">\s*<", ">\n<", text).replace("\r\n", "␍\n")


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_as_they_were(page: str, quarter: Client, snapshot: SnapshotAssertion) -> None:
    answer = quarter.get(PAGES[page])
    content = b"".join(answer) if answer.streaming else answer.content
    assert f"{answer.status_code}\n{_readable(content.decode())}" == snapshot(extension_class=Html)
