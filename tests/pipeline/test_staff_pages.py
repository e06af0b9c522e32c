"""The staff pages on a real ClickHouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from otel_intel.reading import metrics
from otel_intel.reading.days import first_day, today
from otel_intel.reading.reader import Reader
from tests.otlp import event, send
from tests.pages import log_cells, page_csv, page_text
from tests.servers import ClickHouse

pytestmark = pytest.mark.django_db

DAY = 86_400 * 10**9
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN = bytes.fromhex("b7ad6b7169203331")
PAGES = ["telemetry-dashboard", "recommendation-events", "outcome-snapshots", "view-telemetry"]


@pytest.fixture
def busy(reading: ClickHouse, user: User) -> None:
    """Send events of signals that were viewed, decided on and resolved, now and in the weeks before."""
    admin = {"intel.admin.id": str(user.pk)}
    gone = {"intel.admin.id": "gone", "intel.decision.time_ms": 5}
    records = []
    for days in (0, 8, 40):
        at = time.time_ns() - days * DAY - 60 * 10**9
        records += [
            replace(event("recommendation.viewed", at, **admin), trace_id=TRACE, span_id=SPAN),
            event("recommendation.accepted", at + 10**9, **admin),
            event("recommendation.overridden", at + 2 * 10**9, **gone),
            event("signal.outcome_recorded", at, **{"intel.risk_signal.id": f"s{days}", "intel.admin.id": None,
                                                    "intel.outcome.resolution_time_hours": 30.0}),
            event("dashboard.opened", at, **admin),
            replace(event("explanation.expanded", at, **admin), trace_id=TRACE, span_id=SPAN),
        ]  # fmt: skip
    send(reading, *records)


# -- what the pages show --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("busy")
def test_pages_show_names_and_escape_markup(staff: Client, user: User, reading: ClickHouse, name: str) -> None:
    hostile = "<script>alert(1)</script>"
    kinds = ("recommendation.viewed", "signal.outcome_recorded", "dashboard.opened")
    send(reading, *(event(kind, **{"intel.engine.version": hostile, "intel.admin.id": hostile}) for kind in kinds))
    text = page_text(staff, name)
    if name != "outcome-snapshots":  # its events have no admin
        assert "Test Viewer" in text
    assert hostile not in text
    assert "&lt;script&gt;" in text


@pytest.mark.usefixtures("busy")
def test_the_overview_agrees_with_the_metrics(staff: Client) -> None:
    values = {row["metric"]: row for row in page_csv(staff, "telemetry-dashboard", csv="metrics")}
    for days in (7, 30):
        column = f"last_{days}_days"
        rate = metrics.get_recommendation_acceptance_rate(days)
        for key in ("viewed", "accepted", "ignored", "overridden"):
            assert int(values[key][column]) == rate[key]
        assert float(values["acceptance_rate"][column]) == rate["acceptance_rate"]
        times = metrics.get_average_decision_time(days)
        assert int(values["decision_time_samples"][column]) == times["samples"]
        assert float(values["decision_time_average_ms"][column]) == times["average_ms"]
        assert float(values["decision_time_p50_ms"][column]) == times["p50_ms"]
        assert float(values["decision_time_p90_ms"][column]) == times["p90_ms"]
        assert float(values["override_rate"][column]) == metrics.get_override_rate(days)["override_rate"]
        counts = metrics.get_outcome_distribution(days)["counts"]
        assert {status: int(values[status.lower()][column]) for status in counts} == counts
    assert int(values["viewed"]["before_last_7_days"]) == 1
    assert int(values["viewed"]["before_last_30_days"]) == 1


@pytest.mark.usefixtures("busy")
def test_drawings_use_numbers_without_a_local_format(staff: Client, settings: Settings) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    assert 'width="1000"' in page_text(staff, "telemetry-dashboard")


@pytest.mark.usefixtures("reading")
def test_without_events_the_overview_says_what_to_do_next(staff: Client) -> None:
    text = page_text(staff, "telemetry-dashboard")
    assert "No events yet" in text
    assert "otel-intel doctor" in text


@pytest.mark.parametrize("name", PAGES[1:])
@pytest.mark.usefixtures("reading")
def test_without_events_the_logs_are_empty_tables(staff: Client, name: str) -> None:
    assert "Nothing in this range." in page_text(staff, name)


@pytest.mark.usefixtures("busy")
def test_the_overview_counts_other_logs_than_recommendations(reading: ClickHouse, staff: Client) -> None:
    reading.empty()
    send(reading, event("dashboard.opened"))
    text = page_text(staff, "telemetry-dashboard")
    assert "No events yet" not in text
    assert "nothing to compare" in text


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("telemetry-dashboard", 2),  # events and activity; these outcomes have no admin
        ("recommendation-events", 1),
        ("outcome-snapshots", 0),
        ("view-telemetry", 2),  # the busiest, and the log
    ],
)
@pytest.mark.usefixtures("busy")
def test_names_cost_one_query_for_each_table(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries, name: str, tables: int
) -> None:
    session_and_user = 2
    with django_assert_num_queries(session_and_user + tables):
        staff.get(reverse(name))


@pytest.mark.parametrize(
    ("name", "most"),
    [("telemetry-dashboard", 3 + 3 * 4), ("recommendation-events", 5), ("outcome-snapshots", 6), ("view-telemetry", 7)],
)
@pytest.mark.usefixtures("busy")
def test_a_page_asks_clickhouse_a_bounded_number_of_times(
    staff: Client, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    asked: list[str] = []
    start = Reader.start

    def counting(
        self: Reader, into: Callable[..., Any], sql: str, parameters: Any = None, *, never_empty: bool = False
    ) -> Callable[[], list[Any]]:
        asked.append(sql)
        return start(self, into, sql, parameters, never_empty=never_empty)

    monkeypatch.setattr(Reader, "start", counting)
    staff.get(reverse(name))
    assert 2 <= len(asked) <= most


# -- filters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({"action": "ACCEPTED"}, ["accepted"]),
        ({"signal": "s1", "action": "VIEWED"}, ["viewed"]),
        ({"signal": "other"}, []),
        ({"admin": "gone"}, ["overridden"]),
        ({"version": "v1", "type": "EXPIRING_SOON", "admin": "gone"}, ["overridden"]),
        ({"version": "v2"}, []),
        ({"type": "LONG_PENDING"}, []),
        ({"sort": "action"}, ["accepted", "overridden", "viewed"]),
        ({"sort": "-action"}, ["viewed", "overridden", "accepted"]),
        ({"sort": "time"}, ["viewed", "accepted", "overridden"]),
    ],
)
@pytest.mark.usefixtures("busy")
def test_events_are_filtered_and_sorted(staff: Client, query: dict[str, str], actions: list[str]) -> None:
    query = {"from": str(first_day(2, today())), **query}
    text = page_text(staff, "recommendation-events", **query)
    assert [row[1] for row in log_cells(text)] == actions
    assert len(page_csv(staff, "recommendation-events", csv="recommendation-events", **query)) == len(actions)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "rubbish", "to": "2026-02-30"},
        {"after": "%%%"},
        {"before": "eyJhIjogMX0"},
        {"after": "WyIiLCAxLCAiXHVkODAwIl0"},
        {"sort": "'; DROP TABLE x"},
        {"signal": "x" * 5000},
        {"admin": "\x00"},
        {"version": "{low:Int64} \\ ' \" \t"},
        {"from": "1970-01-01", "to": "2149-06-05"},
        {"from": "0001-01-01"},
        {"sort": "-admin", "after": "WyIiLCAxLCAiIl0"},
    ],
    ids=lambda query: repr(query)[:40],
)
@pytest.mark.usefixtures("busy")
def test_no_query_breaks_a_page(staff: Client, query: dict[str, str]) -> None:
    assert {name: staff.get(reverse(name), query).status_code for name in PAGES} == dict.fromkeys(PAGES, 200)


def test_an_unknown_download_is_not_found(staff: Client, busy: None) -> None:
    assert staff.get(reverse("recommendation-events"), {"csv": "secrets"}).status_code == 404


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("busy")
def test_every_download_on_a_page_is_a_table(staff: Client, name: str) -> None:
    links = set(re.findall(r'class="csv" href="([^"]+)"', page_text(staff, name)))
    assert links
    for link in links:
        path, _, query = link.replace("&amp;", "&").partition("?")
        response = staff.get(path or reverse(name), dict(parse_qsl(query)))
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/csv")


@pytest.mark.usefixtures("busy")
def test_downloads_of_summaries_keep_the_filters(staff: Client, user: User) -> None:
    text = page_text(staff, "view-telemetry", admin=str(user.pk), **{"from": str(today())}, to=str(today()))
    [link] = [link for link in re.findall(r'class="csv" href="([^"]+)"', text) if "activity-by-hour" in link]
    recent = page_csv(staff, "view-telemetry", **dict(parse_qsl(link.partition("?")[2].replace("&amp;", "&"))))
    month = page_csv(staff, "view-telemetry", csv="activity-by-hour")
    assert [sum(int(row["dashboard opened"]) for row in rows) for rows in (recent, month)] == [1, 2]


@pytest.mark.usefixtures("busy")
def test_outcomes_show_their_times_to_resolution(staff: Client) -> None:
    rows = {row["Outcome"]: row for row in page_csv(staff, "outcome-snapshots", csv="outcome-distribution")}
    assert rows["RESOLVED"] == {
        "Outcome": "RESOLVED", "Signals": "2", "Share": "1.0",
        "Average time": "30.0", "Half within": "30.0", "90 % within": "30.0",
    }  # fmt: skip
    assert rows["ESCALATED"]["Average time"] == ""
    buckets = {row["Time"]: row["resolved"] for row in page_csv(staff, "outcome-snapshots", csv="time-to-resolution")}
    assert {time: count for time, count in buckets.items() if count != "0"} == {"1 to 3 days": "2"}


def test_counts_of_outcomes_are_easy_to_read(reading: ClickHouse, staff: Client) -> None:
    at = time.time_ns() - 60 * 10**9
    send(reading, *(event("signal.outcome_recorded", at, **{"intel.risk_signal.id": f"s{n}"}) for n in range(1200)))
    text = page_text(staff, "outcome-snapshots")
    assert re.search(r"<span>1\u202f200</span></td>\s*<td class=.number.><span>100\.0 %</span>", text)


@pytest.mark.usefixtures("reading")
def test_times_to_resolution_are_by_nearest_rank(reading: ClickHouse, staff: Client) -> None:
    hours: list[float | None] = [1.0, 2.0, 3.0, 4.0, None]
    for number, value in enumerate(hours):
        given = {"intel.risk_signal.id": f"s{number}", "intel.outcome.resolution_time_hours": value}
        send(reading, event("signal.outcome_recorded", **given))
    [resolved] = [
        row for row in page_csv(staff, "outcome-snapshots", csv="outcome-distribution") if row["Signals"] == "5"
    ]
    assert (resolved["Average time"], resolved["Half within"], resolved["90 % within"]) == ("2.5", "2.0", "4.0")


# -- the request behind an event --------------------------------------------------------------------------------


def _insert_spans(reading: ClickHouse) -> None:
    reading.client("admin").command(
        "INSERT INTO intel.otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,"
        " SpanAttributes, Duration, StatusCode) VALUES"
        f" (now64(9) - 60, '{TRACE.hex()}', '{SPAN.hex()}', '', 'GET signals/', 'Server', 'shop',"
        " {'http.request.method': 'GET', 'http.response.status_code': '200'}, 84000000, 'Unset'),"
        f" (now64(9) - 60, '{TRACE.hex()}', 'c000000000000000', '{SPAN.hex()}', 'load', 'Internal', 'shop', {{}},"
        " 4000000, 'Error')"
    )


@pytest.mark.usefixtures("busy")
def test_an_event_leads_to_its_request(reading: ClickHouse, staff: Client) -> None:
    _insert_spans(reading)
    found = re.search(r'href="([^"]*/traces/[^"]+)"', page_text(staff, "recommendation-events"))
    assert found
    text = staff.get(found[1].replace("&amp;", "&")).content.decode()
    assert "GET signals/" in text
    assert "GET 200" in text
    assert "84 ms" in text
    assert '<th scope="col" class="number">Duration</th>' in text  # above its numbers, at the right
    assert "Recommendation events" in text  # of the same trace
    assert "explanation expanded" in text


@pytest.mark.usefixtures("busy")
def test_a_request_without_spans_says_why(staff: Client) -> None:
    response = staff.get(reverse("telemetry-trace", args=[TRACE.hex()]))
    text = response.content.decode()
    assert "No span of this request was kept" in text
    assert "not sampled" in text
    assert "explanation expanded" in text


@pytest.mark.parametrize("at", ["", "0", "9" * 19, "9" * 400, "1e9", "-5", "１" * 19])  # noqa: RUF001
@pytest.mark.usefixtures("reading")
def test_an_invalid_time_does_not_break_the_page_of_a_request(staff: Client, at: str) -> None:
    assert staff.get(reverse("telemetry-trace", args=["f" * 32]), {"at": at}).status_code == 200


@pytest.mark.usefixtures("reading")
def test_an_unknown_trace_is_an_empty_page(staff: Client) -> None:
    response = staff.get(reverse("telemetry-trace", args=["f" * 32]), {"at": "1700000000000000000"})
    assert response.status_code == 200
    assert "No event of this request between 2023-11-13 and 2023-11-15" in response.content.decode()
