"""The five metrics, read from a real ClickHouse, and the connection for reading."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from pytest_django import Settings

from otel_intel import get_telemetry
from otel_intel.exceptions import TelemetryUnavailable
from otel_intel.reading import days, metrics, reader, trends
from otel_intel.schema.retention import retain
from tests.otlp import event, send
from tests.servers import ClickHouse

DAY = 86_400 * 10**9


ACCEPTANCE_RATE = {
    "viewed": 4, "accepted": 2, "ignored": 1, "overridden": 1, "decisions": 4,
    "acceptance_rate": 0.5, "acceptance_share": 0.5,
}  # fmt: skip
DECISION_TIME = {"samples": 4, "average_ms": 1200.0, "p50_ms": 600, "p90_ms": 3000}
OVERRIDE_RATE = {"decisions": 4, "overridden": 1, "override_rate": 0.25}
FALSE_POSITIVE_RATE = {"outcomes": 3, "false_positives": 1, "false_positive_rate": pytest.approx(1 / 3)}
OUTCOME_DISTRIBUTION = {
    "outcomes": 3,
    "counts": {"RESOLVED": 1, "ESCALATED": 1, "NO_ACTION": 0, "FALSE_POSITIVE": 1},
    "shares": pytest.approx({"RESOLVED": 1 / 3, "ESCALATED": 1 / 3, "NO_ACTION": 0.0, "FALSE_POSITIVE": 1 / 3}),
}


def numbers(answer: Mapping[str, object]) -> dict[str, object]:
    """Return an answer without its window."""
    return {name: value for name, value in answer.items() if name not in metrics.Window.__annotations__}


@pytest.fixture
def events(reading: ClickHouse) -> None:
    now = time.time_ns() - 10**9
    old = now - 8 * DAY
    other = {"intel.engine.version": "v2", "intel.recommendation.type": "LONG_PENDING"}
    send(
        reading,
        event("recommendation.viewed", now - 5 * 10**8),
        event("recommendation.viewed", now, **{"intel.admin.id": "a2"}),
        event("recommendation.viewed", now, **{"intel.admin.id": "a3"}),
        event("recommendation.viewed", now, **{"intel.admin.id": "a4"}, **other),
        event("recommendation.accepted", now - 5 * 10**8 + 2 * 10**8),
        event("recommendation.accepted", now, **{"intel.admin.id": "a5", "intel.decision.time_ms": 600}),
        event("recommendation.ignored", now, **{"intel.admin.id": "a6", "intel.decision.time_ms": 1000}),
        event("recommendation.overridden", now, **{"intel.admin.id": "a7", "intel.decision.time_ms": 3000}, **other),
        event("recommendation.overridden", old, **{"intel.admin.id": "a8"}),
        event("signal.outcome_recorded", now, **{"intel.risk_signal.id": "s1"}),
        event("signal.outcome_recorded", now, **{"intel.risk_signal.id": "s2",
                                                 "intel.outcome.status": "FALSE_POSITIVE"}),
        event("signal.outcome_recorded", now, **{"intel.risk_signal.id": "s3", "intel.outcome.status": "ESCALATED",
                                                 "intel.engine.version": "v2"}),
        event("signal.outcome_recorded", old, **{"intel.risk_signal.id": "s4", "intel.outcome.status": "NO_ACTION"}),
    )  # fmt: skip


@pytest.mark.usefixtures("events")
def test_the_five_metrics_of_a_week() -> None:
    assert numbers(metrics.get_recommendation_acceptance_rate()) == ACCEPTANCE_RATE
    assert numbers(metrics.get_average_decision_time()) == DECISION_TIME
    assert numbers(metrics.get_override_rate()) == OVERRIDE_RATE
    assert numbers(metrics.get_false_positive_rate()) == FALSE_POSITIVE_RATE
    assert numbers(metrics.get_outcome_distribution()) == OUTCOME_DISTRIBUTION


@pytest.mark.usefixtures("events")
def test_all_five_by_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, start = [], reader.Reader.start

    def counted(self: reader.Reader, *args: Any, **kwargs: Any) -> Any:
        queries.append(args[1])
        return start(self, *args, **kwargs)

    monkeypatch.setattr(days, "REMEMBERED", 3600.0)
    trends.get_metrics()  # asks for the time zone and for what the view consists of, which are then remembered
    monkeypatch.setattr(reader.Reader, "start", counted)
    of_week = trends.get_metrics()
    assert len(queries) == 1
    assert {name: numbers(cast(Mapping[str, object], answer)) for name, answer in of_week.items()} == {
        "acceptance_rate": ACCEPTANCE_RATE,
        "decision_time": DECISION_TIME,
        "override_rate": OVERRIDE_RATE,
        "false_positive_rate": FALSE_POSITIVE_RATE,
        "outcome_distribution": OUTCOME_DISTRIBUTION,
    }


@pytest.mark.usefixtures("events")
def test_filters_of_all_five() -> None:
    found = trends.get_metrics(engine_version="v2", confidence=["HIGH", "LOW"], service_name="shop")
    assert found["acceptance_rate"]["viewed"] == 1
    assert found["decision_time"]["average_ms"] == 3000
    assert found["override_rate"]["overridden"] == 1
    assert found["false_positive_rate"]["outcomes"] == 1
    assert found["outcome_distribution"]["counts"]["ESCALATED"] == 1
    assert trends.get_metrics(recommendation_type="LONG_PENDING")["false_positive_rate"]["outcomes"] == 3
    assert trends.get_metrics(confidence="LOW")["decision_time"]["samples"] == 0
    assert trends.get_metrics(service_name="billing")["outcome_distribution"]["outcomes"] == 0


@pytest.mark.usefixtures("events")
def test_an_answer_says_of_which_days_it_is_and_until_when() -> None:
    before = datetime.now(UTC)
    found = metrics.get_override_rate(days=3)
    last = found["until"]
    assert last in (before.date(), datetime.now(UTC).date())
    assert (found["days"], found["since"]) == (3, last - timedelta(days=2))
    assert found["as_of"] is not None
    assert before - timedelta(minutes=1) < found["as_of"] < before


@pytest.mark.usefixtures("events")
def test_days_of_ones_choice() -> None:
    today = days.today()
    old = today - timedelta(days=8)
    assert metrics.get_override_rate(since=old, until=old)["overridden"] == 1
    found = metrics.get_override_rate(since=old)
    assert (found["days"], found["since"], found["until"], found["overridden"]) == (9, old, today, 2)
    found = metrics.get_override_rate(days=2, until=old)
    assert (found["days"], found["since"], found["until"], found["overridden"]) == (2, old - timedelta(days=1), old, 1)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("by", ["day", "week"])
def test_a_trend_is_the_metric_of_each_step(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "REMEMBERED", 3600.0)  # as_of stays what it is
    trend = get_telemetry().get_trend
    found = {
        "acceptance_rate": trend("acceptance_rate", 9, by=by, engine_version=["v1", "v2"]),
        "decision_time": trend("decision_time", 9, by=by),
        "override_rate": trend("override_rate", 9, by=by, confidence="HIGH"),
        "false_positive_rate": trend("false_positive_rate", 9, by=by, service_name="shop"),
        "outcome_distribution": trend("outcome_distribution", 9, by=by),
    }
    lengths = [1] * 9 if by == "day" else [2, 7]
    for name, steps in found.items():
        assert [step["days"] for step in steps] == lengths
        for step in steps:
            of_step = trends.get_metrics(since=step["since"], until=step["until"])
            assert step == dict(of_step)[name]


@pytest.mark.usefixtures("events")
def test_a_trend_as_a_data_frame() -> None:
    trend = get_telemetry().get_trend("decision_time", 9)
    frame = trend.to_polars()
    assert frame.to_dicts() == trend
    assert [str(frame.schema[name]) for name in ("since", "as_of", "average_ms", "p50_ms")] == [
        "Date",
        "Datetime(time_unit='us', time_zone='UTC')",
        "Float64",
        "Int64",
    ]
    nothing = get_telemetry().get_trend("decision_time", 1, engine_version="none").to_polars()
    assert nothing.schema == frame.schema
    table = get_telemetry().get_trend("outcome_distribution", 9).to_arrow()
    assert table.num_rows == 9
    assert table.schema.field("counts").type.num_fields == 4


@pytest.mark.usefixtures("events")
def test_the_filter_of_admins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "REMEMBERED", 3600.0)  # as_of stays what it is
    telemetry, everybody = get_telemetry(), [f"a{number}" for number in range(1, 9)]
    of_all = telemetry.get_recommendation_acceptance_rate(9)
    assert telemetry.get_recommendation_acceptance_rate(9, admin_id=everybody) == of_all
    found = telemetry.get_recommendation_acceptance_rate(9, admin_id="a1", recommendation_type="EXPIRING_SOON")
    assert 0 < found["viewed"] < of_all["viewed"]
    assert telemetry.get_override_rate(9, admin_id="nobody")["decisions"] == 0
    assert telemetry.get_average_decision_time(9, admin_id=everybody) == telemetry.get_average_decision_time(9)
    [step] = telemetry.get_trend("acceptance_rate", 7, by="week", admin_id="a1")
    assert step == telemetry.get_recommendation_acceptance_rate(7, admin_id="a1")
    uid = UUID("0190e0f0-0000-7000-8000-000000000001")
    assert telemetry.get_override_rate(9, admin_id=[42, uid])["decisions"] == 0
    with pytest.raises(ValueError, match="outcome_distribution has no filter admin_id"):
        telemetry.get_trend("outcome_distribution", admin_id="a1")
    with pytest.raises(ValueError, match="admin_id must be a text of one line"):
        telemetry.get_override_rate(admin_id="")


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(("metric", "by"), [("acceptance", "day"), ("acceptance_rate", "month")])
def test_a_trend_of_something_else_is_refused(metric: str, by: str) -> None:
    with pytest.raises(
        ValueError, match=r"metric must be one of acceptance_rate, decision_time, .*, and by must be day or week, not"
    ):
        get_telemetry().get_trend(metric, by=by)


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("since", [date(2026, 3, 2), date(2016, 3, 1)])
def test_days_that_are_none_are_refused(since: date) -> None:
    with pytest.raises(ValueError, match="since must be at most 3649 days before until"):
        metrics.get_override_rate(since=since, until=date(2026, 3, 1))


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("given", ["", [], ["v1", ""], "v1\nv2"])
def test_a_filter_that_would_mean_something_else_is_refused(given: str | list[str]) -> None:
    with pytest.raises(ValueError, match="engine_version must be a text of one line, or a list of 1 to 1000"):
        metrics.get_override_rate(engine_version=given)


@pytest.mark.usefixtures("events")
def test_the_window_is_as_long_as_asked() -> None:
    assert metrics.get_override_rate(days=30)["overridden"] == 2
    assert metrics.get_outcome_distribution(days=30)["counts"]["NO_ACTION"] == 1
    assert metrics.get_override_rate(days=3650)["overridden"] == 2


@pytest.mark.usefixtures("events")
def test_filters_narrow_the_metrics() -> None:
    assert metrics.get_recommendation_acceptance_rate(engine_version="v2")["viewed"] == 1
    assert metrics.get_recommendation_acceptance_rate(recommendation_type="EXPIRING_SOON")["viewed"] == 3
    assert metrics.get_average_decision_time(recommendation_type="LONG_PENDING")["average_ms"] == 3000
    assert metrics.get_override_rate(engine_version="v2")["override_rate"] == 1.0
    assert metrics.get_false_positive_rate(engine_version="v1")["outcomes"] == 2
    assert metrics.get_outcome_distribution(engine_version="v2")["counts"]["ESCALATED"] == 1
    assert metrics.get_recommendation_acceptance_rate(engine_version="\\'\t{x}")["viewed"] == 0
    assert metrics.get_recommendation_acceptance_rate(engine_version=["v2", "v1"])["viewed"] == 4
    assert metrics.get_recommendation_acceptance_rate(confidence="LOW")["viewed"] == 0
    assert metrics.get_false_positive_rate(service_name="billing")["outcomes"] == 0


@pytest.mark.usefixtures("reading")
def test_without_events_rates_are_zero_and_averages_none() -> None:
    assert metrics.get_recommendation_acceptance_rate()["acceptance_rate"] == 0.0
    assert metrics.get_recommendation_acceptance_rate()["acceptance_share"] == 0.0
    assert metrics.get_override_rate()["override_rate"] == 0.0
    assert metrics.get_false_positive_rate()["false_positive_rate"] == 0.0
    assert numbers(metrics.get_average_decision_time()) == {
        "samples": 0, "average_ms": None, "p50_ms": None, "p90_ms": None,
    }  # fmt: skip
    assert metrics.get_outcome_distribution()["shares"] == {
        "RESOLVED": 0.0, "ESCALATED": 0.0, "NO_ACTION": 0.0, "FALSE_POSITIVE": 0.0,
    }  # fmt: skip


def test_a_wrong_password_is_named_and_not_shown(reading: ClickHouse, settings: Settings) -> None:
    address = urlsplit(reading.url("reader"))
    settings.OTEL_INTEL = {
        "CLICKHOUSE_URL": f"http://intel_reader:not-the-word@{address.hostname}:{address.port}",
        "QUERY_TIMEOUT": 20.0,
    }
    with pytest.raises(TelemetryUnavailable, match="check the user and the password") as caught:
        metrics.get_override_rate()
    assert "not-the-word" not in str(caught.value)


def test_a_user_who_may_not_read_is_told_so(reading: ClickHouse, settings: Settings) -> None:
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": reading.url("writer"), "QUERY_TIMEOUT": 20.0}
    with pytest.raises(TelemetryUnavailable, match=r"must name a user who may read metrics\.\*"):
        metrics.get_override_rate()


@pytest.mark.usefixtures("reading")
def test_a_missing_view_asks_for_the_migration() -> None:
    with pytest.raises(TelemetryUnavailable, match="run `otel-intel migrate`"):
        reader.Reader().rows(dict, "SELECT * FROM metrics.not_there")


@pytest.mark.usefixtures("events")
def test_threads_share_one_client() -> None:
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: metrics.get_override_rate()["overridden"], range(64)))
    assert results == [1] * 64


@pytest.fixture
def proxy(reading: ClickHouse, settings: Settings) -> Iterator[Callable[[], None]]:
    """Put a TCP proxy in front of ClickHouse; a call drops its open connections, like an idle timeout."""
    address = urlsplit(reading.url("reader"))
    target = (address.hostname or "", address.port or 0)
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return

    def accept(server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(target)
            pairs.append((near, far))
            Thread(target=pump, args=(near, far), daemon=True).start()
            Thread(target=pump, args=(far, near), daemon=True).start()

    def drop() -> None:
        assert pairs
        for near, far in pairs:
            for end in (near, far):
                end.shutdown(socket.SHUT_RDWR)
                end.close()
        pairs.clear()

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        acceptor = Thread(target=accept, args=(server,), daemon=True)
        acceptor.start()
        url = reading.url("reader").replace(f":{target[1]}", f":{port}")
        settings.OTEL_INTEL = {"CLICKHOUSE_URL": url, "QUERY_TIMEOUT": 20.0}
        yield drop
        drop()
        server.shutdown(socket.SHUT_RDWR)
        acceptor.join()


@pytest.mark.usefixtures("events")
def test_a_dropped_keep_alive_connection_is_opened_again(proxy: Callable[[], None]) -> None:
    for _ in range(3):
        assert metrics.get_override_rate()["overridden"] == 1
        proxy()
    assert metrics.get_override_rate()["overridden"] == 1


def _read_in_child(queue: multiprocessing.Queue[int]) -> None:
    queue.put(metrics.get_override_rate()["overridden"])


@pytest.mark.usefixtures("events")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_has_a_connection_of_its_own() -> None:
    assert metrics.get_override_rate()["overridden"] == 1
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_read_in_child, args=(queue,)) for _ in range(3)]
    for child in children:
        child.start()
    assert [queue.get(timeout=30) for _ in children] == [1, 1, 1]
    for child in children:
        child.join(30)
    assert metrics.get_override_rate()["overridden"] == 1


@pytest.mark.usefixtures("events")
def test_an_answer_says_since_when_numbers_are_kept(reading: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "REMEMBERED", 0.0)
    admin = reading.client("admin")
    assert metrics.get_override_rate(9)["kept_since"] is None
    retain(admin, "numbers", "3 days", print)
    try:
        admin.command("ALTER TABLE intel.days MATERIALIZE TTL SETTINGS mutations_sync = 2")
        found = metrics.get_override_rate(9)
        [step] = trends.get_trend("override_rate", 7, by="week")
    finally:
        retain(admin, "numbers", "for ever", print)
    assert found["overridden"] == 1
    assert found["kept_since"] == step["kept_since"] == datetime.now(UTC).date() - timedelta(days=1)
