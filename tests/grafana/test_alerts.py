"""Run each alert's query on data that just fires and data that just does not; compare with a slow count."""

from __future__ import annotations

import platform
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import clickhouse_driver
import pytest

from grafana import alerts, limits
from otel_intel.events import PROCESS_ID_KEY
from otel_intel.reading.health import Disk
from tests.disks import mount_disk
from tests.grafana.datasets import SERVICES, Dataset, Landed, land, nanoseconds
from tests.grafana.macros import Context, expand_macros
from tests.grafana.queries import run
from tests.otlp import Record, event, report
from tests.servers import ClickHouse, run_clickhouse

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


def wednesday_noon() -> datetime:
    """Return a time in working hours of the last days: recent enough that the TTL deletes nothing."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon - timedelta(days=(noon.weekday() - 2) % 7 or 7)


NOW = wednesday_noon()
RULES: dict[str, Any] = {
    rule["uid"].removeprefix("otel-intel-"): rule
    for group in alerts.document()["groups"]  # type: ignore[attr-defined]
    for rule in group["rules"]
}
Labels = tuple[str, ...]


def asked(uid: str, now: datetime = NOW) -> str:
    """Return the rule's query as Grafana sends it."""
    query = RULES[uid]["data"][0]
    span = query["relativeTimeRange"]
    context = Context(now - timedelta(seconds=span["from"]), now - timedelta(seconds=span["to"]))
    return expand_macros(query["model"]["rawSql"], context)


def evaluate(clickhouse: ClickHouse, uid: str, now: datetime = NOW, disks: str = "") -> dict[Labels, float]:
    """Return the rule's number by labels; check that the answer has the form that Grafana needs.

    Args:
        disks: A query whose rows stand for those of metrics.disks.
    """
    sql = asked(uid, now)
    answer = run(clickhouse, sql.replace("metrics.disks", f"({disks})") if disks else sql)
    assert answer.kinds().count("number") == 1
    assert set(answer.kinds()) <= {"number", "text"}
    number = answer.kinds().index("number")
    found = {row[:number] + row[number + 1 :]: row[number] for row in answer.rows}
    assert len(found) == len(answer.rows), "two rows of the same labels cannot be told apart"
    assert None not in found.values()
    return found


def firing(uid: str, numbers: dict[Labels, float]) -> set[Labels]:
    """Return the labels for which the threshold holds."""
    source, threshold = (query["model"] for query in RULES[uid]["data"])
    assert threshold["type"] == "threshold"
    assert (RULES[uid]["condition"], threshold["expression"]) == (threshold["refId"], source["refId"])
    [condition] = threshold["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    [limit] = condition["evaluator"]["params"]
    return {labels for labels, number in numbers.items() if number > limit}


def landed(record: Record, at: datetime, service: str = "shop", delay: timedelta = SECOND) -> Landed:
    """Return a record that happened at a time."""
    sent = replace(record, time_ns=nanoseconds(at), resource={"service.name": service})
    return Landed(sent, nanoseconds(at + delay))


def decisions(at: datetime, service: str = "shop", **actions: int) -> Iterator[Landed]:
    """Yield decisions that all have the same time."""
    for action, count in actions.items():
        for _ in range(count):
            yield landed(event(f"recommendation.{action}"), at, service)


@pytest.mark.parametrize("uid", [uid for uid in RULES if uid != "clickhouse-disk"])
def test_nothing_fires_without_events(clickhouse: ClickHouse, uid: str) -> None:
    assert evaluate(clickhouse, uid) == {}


class TestAcceptanceShareDrop:
    BASE = NOW - timedelta(days=limits.RECENT_DAYS)  # the end of the base
    RECENT = BASE + SECOND

    @pytest.mark.parametrize(
        ("base", "recent", "drop", "fires"),
        [
            ((150, 50), (30, 20), 0.15, False),  # exactly the limit
            ((150, 50), (29, 21), 0.17, True),
            ((150, 50), (48, 2), -0.21, False),  # better than before
            ((200, 0), (0, 50), 1, True),
        ],
    )
    def test_drop(
        self, clickhouse: ClickHouse, base: tuple[int, int], recent: tuple[int, int], drop: float, fires: bool
    ) -> None:
        land(clickhouse, decisions(self.BASE, accepted=base[0], ignored=base[1]))
        land(clickhouse, decisions(self.RECENT, accepted=recent[0], overridden=recent[1], viewed=500))
        numbers = evaluate(clickhouse, "acceptance-share-drop")
        assert numbers == {("shop",): drop}
        assert bool(firing("acceptance-share-drop", numbers)) is fires

    @pytest.mark.parametrize(("base", "recent"), [(199, 50), (200, 49)])
    def test_too_few_decisions_do_not_fire(self, clickhouse: ClickHouse, base: int, recent: int) -> None:
        land(clickhouse, [*decisions(self.BASE, accepted=base), *decisions(self.RECENT, ignored=recent)])
        assert evaluate(clickhouse, "acceptance-share-drop") == {}

    def test_base_ends_after_28_days(self, clickhouse: ClickHouse) -> None:
        older = self.BASE - limits.BASE_DAYS * DAY - SECOND
        land(clickhouse, [*decisions(older, accepted=200), *decisions(self.RECENT, ignored=50)])
        assert evaluate(clickhouse, "acceptance-share-drop") == {}
        land(clickhouse, decisions(older + SECOND, accepted=200))
        assert evaluate(clickhouse, "acceptance-share-drop") == {("shop",): 1}

    def test_each_service_has_its_own_base(self, clickhouse: ClickHouse) -> None:
        land(clickhouse, [*decisions(self.BASE, accepted=200), *decisions(self.RECENT, accepted=50)])
        land(clickhouse, [*decisions(self.BASE, "other", ignored=200), *decisions(self.RECENT, "other", ignored=50)])
        assert evaluate(clickhouse, "acceptance-share-drop") == {("shop",): 0, ("other",): 0}

    def test_repeated_deliveries_do_not_count(self, clickhouse: ClickHouse) -> None:
        sent = [*decisions(self.BASE, accepted=200), *decisions(self.RECENT, accepted=49)]
        land(clickhouse, sent)
        land(clickhouse, [replace(one, ingested_ns=one.ingested_ns + 1) for one in sent])
        assert evaluate(clickhouse, "acceptance-share-drop") == {}


class TestOverrideRateHigh:
    AT_THE_LIMIT = round(limits.OVERRIDE_RATE_HIGH * 100)  # of a hundred decisions

    @pytest.mark.parametrize(
        ("overridden", "others", "rate", "fires"),
        [
            (AT_THE_LIMIT, 100 - AT_THE_LIMIT, AT_THE_LIMIT / 100, False),
            (AT_THE_LIMIT + 1, 99 - AT_THE_LIMIT, (AT_THE_LIMIT + 1) / 100, True),
            (0, limits.MINIMUM_DECISIONS, 0, False),
        ],
    )
    def test_rate(self, clickhouse: ClickHouse, overridden: int, others: int, rate: float, fires: bool) -> None:
        at = NOW - limits.RECENT_DAYS * DAY
        land(clickhouse, decisions(at, overridden=overridden, accepted=others, viewed=100))
        land(clickhouse, decisions(at - SECOND, overridden=100))
        numbers = evaluate(clickhouse, "override-rate-high")
        assert numbers == {("shop",): rate}
        assert bool(firing("override-rate-high", numbers)) is fires

    def test_too_few_decisions_do_not_fire(self, clickhouse: ClickHouse) -> None:
        land(clickhouse, decisions(NOW - DAY, overridden=limits.MINIMUM_DECISIONS - 1))
        assert evaluate(clickhouse, "override-rate-high") == {}


class TestSilence:
    def last_event(self, clickhouse: ClickHouse, at: datetime, days: int = limits.SILENCE_REGULAR_DAYS) -> None:
        """Send events on some days, the last one at a given time."""
        land(clickhouse, (landed(event("dashboard.opened"), at - i * DAY, delay=timedelta()) for i in range(days)))

    @pytest.mark.parametrize(
        ("last", "now", "hours", "fires"),
        [
            (NOW.replace(hour=8), NOW, 4, False),  # exactly the limit
            (NOW.replace(hour=7), NOW, 4, False),  # before work
            (NOW.replace(hour=17, minute=59) - DAY, NOW, 4.017, True),
            (NOW - HOUR, NOW, 1, False),
            (NOW.replace(hour=15), NOW.replace(hour=3) + DAY, 3, False),  # at night
            (NOW.replace(hour=13), NOW.replace(hour=3) + DAY, 5, True),  # an older silence continues at night
            (NOW.replace(hour=17) + 2 * DAY, NOW + 4 * DAY, 1, False),  # on Sunday, since Friday
            (NOW.replace(hour=17) + 2 * DAY, NOW.replace(hour=10) + 5 * DAY, 3, False),  # on Monday, since Friday
            (NOW.replace(hour=17) + 2 * DAY, NOW + 5 * DAY, 5, True),
        ],
    )
    def test_hours(self, clickhouse: ClickHouse, last: datetime, now: datetime, hours: float, fires: bool) -> None:
        self.last_event(clickhouse, last)
        numbers = evaluate(clickhouse, "silence", now)
        assert numbers == {("shop",): hours}
        assert bool(firing("silence", numbers)) is fires

    def test_hours_are_those_counted_minute_by_minute(self, clickhouse: ClickHouse) -> None:
        def works(at: datetime) -> bool:
            return at.weekday() < 5 and limits.WORK_STARTS_HOUR <= at.hour < limits.WORK_ENDS_HOUR

        rng = random.Random(5)
        self.last_event(clickhouse, NOW)
        for _ in range(100):
            minutes = rng.randrange(9 * 24 * 60)
            expected = sum(works(NOW + i * MINUTE) for i in range(minutes)) / 60
            [hours] = evaluate(clickhouse, "silence", NOW + minutes * MINUTE).values()
            assert hours == pytest.approx(expected, abs=0.0006)

    def test_a_service_that_sends_rarely_does_not_fire(self, clickhouse: ClickHouse) -> None:
        self.last_event(clickhouse, NOW - 2 * DAY, days=limits.SILENCE_REGULAR_DAYS - 1)
        assert evaluate(clickhouse, "silence") == {}

    def test_the_time_of_arrival_counts(self, clickhouse: ClickHouse) -> None:
        late = 20 * DAY
        land(clickhouse, (landed(event("dashboard.opened"), NOW - i * DAY - late, delay=late) for i in range(1, 4)))
        assert evaluate(clickhouse, "silence") == {("shop",): 10}

    def test_imported_history_does_not_count_as_regular_sending(self, clickhouse: ClickHouse) -> None:
        land(
            clickhouse,
            (landed(event("dashboard.opened"), NOW - i * DAY, delay=i * DAY - 2 * DAY) for i in range(3, 10)),
        )
        assert evaluate(clickhouse, "silence") == {}

    def test_silence_without_any_row_keeps_firing(self) -> None:
        assert (RULES["silence"]["noDataState"], RULES["silence"]["execErrState"]) == ("KeepLast", "Error")
        others = [rule for uid, rule in RULES.items() if uid != "silence"]
        assert {(rule["noDataState"], rule["execErrState"]) for rule in others} == {("OK", "KeepLast")}


class TestReportsStopped:
    NIGHT = NOW.replace(hour=3)

    def reports(
        self, clickhouse: ClickHouse, last: datetime, hours: int, service: str = "shop", step: timedelta = HOUR
    ) -> None:
        """Land a report in each of some hours, the last one at a given time."""
        times = (nanoseconds(last - number * step) for number in range(hours))
        land(clickhouse, (Landed(report("p1", "view", at, service), at) for at in times))

    @pytest.mark.parametrize("now", [NOW, NIGHT], ids=["noon", "night"])
    @pytest.mark.parametrize(("minutes", "fires"), [(1, False), (30, False), (31, True), (24 * 60, True)])
    def test_minutes_since_the_last_report(
        self, clickhouse: ClickHouse, now: datetime, minutes: int, fires: bool
    ) -> None:
        self.reports(clickhouse, now - minutes * MINUTE, 24)
        self.reports(clickhouse, now - MINUTE, 24, "other")
        numbers = evaluate(clickhouse, "reports-stopped", now)
        assert numbers == {("shop",): minutes, ("other",): 1}
        assert firing("reports-stopped", numbers) == ({("shop",)} if fires else set())

    @pytest.mark.parametrize(
        ("hours", "step", "found"),
        [
            (limits.AROUND_THE_CLOCK_HOURS, HOUR, True),
            (limits.AROUND_THE_CLOCK_HOURS - 1, HOUR, False),
            (40, HOUR / 4, False),  # ten hours
            (24, 2 * HOUR, False),  # twelve in a day
        ],
    )
    def test_only_around_the_clock(self, clickhouse: ClickHouse, hours: int, step: timedelta, found: bool) -> None:
        self.reports(clickhouse, NOW - HOUR, hours, step=step)
        assert evaluate(clickhouse, "reports-stopped") == ({("shop",): 60} if found else {})

    def test_the_time_of_arrival_counts(self, clickhouse: ClickHouse) -> None:
        times = [nanoseconds(NOW - HOUR - number * HOUR) for number in range(24)]
        land(clickhouse, (Landed(report("p1", "view", at + nanoseconds(NOW) // 10**9), at) for at in times))
        assert evaluate(clickhouse, "reports-stopped") == {("shop",): 60}

    def test_events_are_no_reports(self, clickhouse: ClickHouse) -> None:
        self.reports(clickhouse, NOW - HOUR, 24)
        land(clickhouse, [landed(event("dashboard.opened"), NOW - MINUTE)])
        assert evaluate(clickhouse, "reports-stopped") == {("shop",): 60}


class TestNotOurs:
    def test_rejected_by_reason_and_quarantined(self, clickhouse: ClickHouse) -> None:
        at = NOW - HOUR
        nobody = event("dashboard.opened", **{"intel.admin.id": None})
        unknown = event("surprise")
        foreign = Record("checkout.done", {}, 0)
        records = [nobody, event("dashboard.opened", **{"intel.admin.id": None}), unknown, foreign, foreign]
        land(clickhouse, [landed(record, at, delay=timedelta()) for record in records])
        numbers = evaluate(clickhouse, "not-ours")
        assert numbers == {
            ("shop", "rejected: missing intel.admin.id"): 2,
            ("shop", "rejected: unknown event"): 1,
            ("shop", "quarantined"): 2,
        }
        assert firing("not-ours", numbers) == numbers.keys()

    def test_valid_events_and_old_records_do_not_fire(self, clickhouse: ClickHouse) -> None:
        old = NOW - HOUR - SECOND
        land(clickhouse, [landed(r, old, delay=timedelta()) for r in (event("surprise"), Record("x", {}, 0))])
        land(clickhouse, decisions(NOW - MINUTE, accepted=3))
        assert evaluate(clickhouse, "not-ours") == {}


class TestDropped:
    def report(self, clickhouse: ClickHouse, at: datetime, service: str = "shop", **counts: int) -> None:
        sent = report(f"p-{service}", "view", nanoseconds(at), service, **counts)
        land(clickhouse, [Landed(sent, nanoseconds(at))])

    def test_losses_by_reason(self, clickhouse: ClickHouse) -> None:
        self.report(clickhouse, NOW - 2 * MINUTE, dropped__queue_full=1)
        self.report(clickhouse, NOW - MINUTE, dropped__queue_full=3, dropped__invalid=1, dropped__no_admin=9)
        self.report(clickhouse, NOW - MINUTE, "other", delivered=7, dropped__no_admin=9)
        numbers = evaluate(clickhouse, "dropped")
        assert numbers == {("shop", "queue_full"): 3, ("shop", "invalid"): 1}
        assert firing("dropped", numbers) == numbers.keys()

    def test_processes_and_kinds_of_events_add_up(self, clickhouse: ClickHouse) -> None:
        at = nanoseconds(NOW - MINUTE)
        for lost, (process, kind) in enumerate((("p1", "view"), ("p1", "outcome"), ("p2", "view")), 2):
            sent = report(process, kind, at, dropped__queue_full=lost**2)
            land(clickhouse, [Landed(sent, at)])
        assert evaluate(clickhouse, "dropped") == {("shop", "queue_full"): 4 + 9 + 16}

    def test_an_hour_later_it_does_not_fire(self, clickhouse: ClickHouse) -> None:
        self.report(clickhouse, NOW - HOUR, dropped__queue_full=1)
        self.report(clickhouse, NOW - MINUTE, dropped__queue_full=1)
        assert evaluate(clickhouse, "dropped") == {}

    def test_a_clock_that_is_ahead_hides_nothing(self, clickhouse: ClickHouse) -> None:
        sent = report("p1", "view", nanoseconds(NOW + 2 * HOUR), dropped__queue_full=1)
        land(clickhouse, [Landed(sent, nanoseconds(NOW - MINUTE))])
        assert evaluate(clickhouse, "dropped") == {("shop", "queue_full"): 1}

    def test_only_new_drops_count(self, clickhouse: ClickHouse) -> None:
        self.report(clickhouse, NOW - HOUR, dropped__queue_full=5)
        self.report(clickhouse, NOW - MINUTE, dropped__queue_full=7)
        assert evaluate(clickhouse, "dropped") == {("shop", "queue_full"): 2}


class TestUndelivered:
    def reports(
        self,
        clickhouse: ClickHouse,
        *counts: tuple[float, int, int],
        process: str = "p1",
        kind: str = "view",
        now: datetime = NOW,
    ) -> None:
        """Land reports, each as the minutes since its arrival, the queued and the delivered events."""
        for minutes, queued, delivered in counts:
            at = nanoseconds(now - minutes * MINUTE)
            land(clickhouse, [Landed(report(process, kind, at, queued=queued, delivered=delivered), at)])

    @pytest.mark.parametrize(
        ("counts", "waiting"),
        [
            ([(14, 5, 2), (1, 7, 2)], 7),
            ([(15, 5, 0), (8, 9, 0), (1, 4, 0)], 4),
            ([(14, 5, 2), (1, 7, 3)], None),  # one was delivered
            ([(14, 5, 2), (1, 0, 2)], None),  # nothing waits any more
            ([(14, 0, 2), (8, 6, 2), (1, 7, 2)], None),  # nothing waited yet
            ([(14, 5, 2), (8, 0, 2), (1, 7, 2)], None),
            ([(1, 5, 2)], None),  # once is not enough
            ([(16, 5, 2), (1, 5, 2)], None),  # the first is too old
            ([(16, 0, 1), (14, 5, 2), (1, 7, 2)], 7),
        ],
    )
    @pytest.mark.parametrize("now", [NOW, NOW.replace(hour=3)], ids=["noon", "night"])
    def test_waiting_events(
        self, clickhouse: ClickHouse, now: datetime, counts: list[tuple[float, int, int]], waiting: int | None
    ) -> None:
        self.reports(clickhouse, *counts, now=now)
        numbers = evaluate(clickhouse, "undelivered", now)
        assert numbers == ({("shop",): waiting} if waiting else {})
        assert firing("undelivered", numbers) == numbers.keys()

    def test_processes_and_kinds_of_events_add_up(self, clickhouse: ClickHouse) -> None:
        for waiting, (process, kind) in enumerate((("p1", "view"), ("p1", "outcome"), ("p2", "view")), 2):
            self.reports(clickhouse, (2, 1, 9), (1, waiting**2, 9), process=process, kind=kind)
        self.reports(clickhouse, (2, 1, 9), (1, 50, 10), process="p3")
        assert evaluate(clickhouse, "undelivered") == {("shop",): 4 + 9 + 16}

    def test_numbers_equal_a_slow_count(self, clickhouse: ClickHouse) -> None:
        rng = random.Random(7)
        sent, expected = [], Counter[Labels]()
        for service, number, kind in product(SERVICES, range(20), ("view", "outcome")):
            reports, delivered = [], 0
            for minutes in sorted(rng.sample(range(1, 25), 4), reverse=True):
                delivered += rng.choice((0, 0, 0, 0, 1))
                reports.append((minutes, rng.choice((0, 1, 2, 3, 4, 5)), delivered))
            for minutes, queued, count in reports:
                at = nanoseconds(NOW - minutes * MINUTE)
                made = report(f"{service} {number}", kind, at, service, queued=queued, delivered=count)
                sent.append(Landed(made, at))
            recent = [one for one in reports if one[0] <= limits.UNDELIVERED_MINUTES]
            waits = all(queued for _, queued, _ in recent)
            if len(recent) >= limits.UNDELIVERED_REPORTS and waits and recent[0][2] == recent[-1][2]:
                expected[service,] += recent[-1][1]
        land(clickhouse, sent)
        assert len(expected) == len(SERVICES)
        assert evaluate(clickhouse, "undelivered") == expected

    def test_a_report_each_of_two_processes_is_not_enough(self, clickhouse: ClickHouse) -> None:
        for process in ("p1", "p2"):
            self.reports(clickhouse, (1, 5, 2), process=process)
        assert evaluate(clickhouse, "undelivered") == {}

    def test_the_last_report_counts_in_whatever_order_they_arrive(self, clickhouse: ClickHouse) -> None:
        at = nanoseconds(NOW - MINUTE)
        for number, queued in enumerate((9, 4)):
            sent = report("p1", "view", at - number, queued=queued)
            land(clickhouse, [Landed(sent, at + number)])
        assert evaluate(clickhouse, "undelivered") == {("shop",): 9}

    def test_a_clock_that_is_behind_hides_nothing(self, clickhouse: ClickHouse) -> None:
        for number in range(2):
            sent = report("p1", "view", nanoseconds(NOW - DAY) + number, queued=3)
            land(clickhouse, [Landed(sent, nanoseconds(NOW - MINUTE) + number)])
        assert evaluate(clickhouse, "undelivered") == {("shop",): 3}


class TestMissing:
    @pytest.mark.parametrize(("arrived", "missing"), [(5, 0), (3, 2), (0, 5)])
    def test_delivered_less_arrived(self, clickhouse: ClickHouse, arrived: int, missing: int) -> None:
        at = NOW - MINUTE
        sent = report("p1", "view", nanoseconds(at), delivered=5)
        of_process = [event("dashboard.opened", **{PROCESS_ID_KEY: "p1"}) for _ in range(arrived)]
        land(clickhouse, [landed(one, at) for one in of_process])
        land(clickhouse, [Landed(sent, nanoseconds(at)), landed(event("dashboard.opened"), at)])
        numbers = evaluate(clickhouse, "missing")
        assert numbers == {("shop",): missing}
        assert bool(firing("missing", numbers)) is (missing > 0)

    def test_processes_and_kinds_of_events_add_up(self, clickhouse: ClickHouse) -> None:
        at = nanoseconds(NOW - MINUTE)
        for missing, (process, kind) in enumerate((("p1", "view"), ("p1", "outcome"), ("p2", "view")), 2):
            land(clickhouse, [Landed(report(process, kind, at, delivered=missing**2), at)])
        assert evaluate(clickhouse, "missing") == {("shop",): 4 + 9 + 16}

    def test_processes_older_than_the_landing_do_not_fire(self, clickhouse: ClickHouse) -> None:
        at = nanoseconds(NOW - MINUTE)
        started = {"process__started_at": nanoseconds(NOW - 200 * DAY)}
        land(clickhouse, [Landed(report("p1", "view", at, delivered=5, **started), at)])
        assert evaluate(clickhouse, "missing") == {}

    def test_events_that_may_still_arrive_do_not_fire(self) -> None:
        assert RULES["missing"]["for"] == f"{limits.MISSING_MINUTES}m"


class TestLandingDelay:
    def arrivals(self, clickhouse: ClickHouse, *delays_ms: float) -> None:
        land(
            clickhouse,
            (
                landed(event("dashboard.opened"), NOW - MINUTE - delay, delay=delay)
                for delay in (timedelta(milliseconds=ms) for ms in delays_ms)
            ),
        )

    @pytest.mark.parametrize(("slowest", "fires"), [(60_000, False), (60_001, True)])
    def test_slowest_of_twenty(self, clickhouse: ClickHouse, slowest: int, fires: bool) -> None:
        self.arrivals(clickhouse, *[100] * (limits.MINIMUM_ARRIVALS - 1), slowest)
        numbers = evaluate(clickhouse, "landing-delay")
        assert numbers == {("shop",): slowest}
        assert bool(firing("landing-delay", numbers)) is fires

    def test_a_clock_that_is_ahead_is_reported(self, clickhouse: ClickHouse) -> None:
        self.arrivals(clickhouse, *[-61_000] * limits.MINIMUM_ARRIVALS)
        assert firing("landing-delay", evaluate(clickhouse, "landing-delay"))

    def test_too_few_arrivals_do_not_fire(self, clickhouse: ClickHouse) -> None:
        self.arrivals(clickhouse, *[100_000] * (limits.MINIMUM_ARRIVALS - 1))
        assert evaluate(clickhouse, "landing-delay") == {}

    def test_imported_history_is_not_late(self, clickhouse: ClickHouse) -> None:
        self.arrivals(clickhouse, *[100] * limits.MINIMUM_ARRIVALS, *[limits.IMPORTED_DELAY_MS] * 50)
        assert evaluate(clickhouse, "landing-delay") == {("shop",): 100}


def disk_row(free_share: float, days_left: int | None, disk: str = "default") -> str:
    """Return a query for the row of metrics.disks, but with these values."""
    days = "NULL" if days_left is None else f"toUInt64({days_left})"
    values = f"'node' AS node, '{disk}' AS disk, toNullable({free_share:f}) AS free_share, {days} AS days_left"
    return f"SELECT * REPLACE ({values}) FROM metrics.disks"


class TestNumbersLate:
    @pytest.mark.parametrize(
        ("seconds", "fires"), [(limits.NUMBERS_LATE_SECONDS, False), (limits.NUMBERS_LATE_SECONDS + 1, True)]
    )
    def test_what_waits(self, clickhouse: ClickHouse, seconds: int, fires: bool) -> None:
        clickhouse.client("admin").command(
            "INSERT INTO intel.arrivals (kind, ingested_at) SELECT 'view', {at:DateTime64(9, 'UTC')} - n"
            " FROM values('n Int32', 0, 1)",
            parameters={"at": NOW - timedelta(seconds=seconds - 1)},
        )
        numbers = evaluate(clickhouse, "numbers-late")
        assert numbers == {(platform.node(),): seconds}
        assert bool(firing("numbers-late", numbers)) == fires


class TestClickhouseDisk:
    @pytest.mark.parametrize(
        ("free_share", "days_left", "used"),
        [
            (limits.DISK_FREE_LOW, None, None),  # exactly the limit
            (limits.DISK_FREE_LOW, limits.DISK_DAYS_LOW, None),
            (limits.DISK_FREE_LOW - 0.01, None, 0.86),  # nothing arrives
            (limits.DISK_FREE_LOW - 0.01, 1000, 0.86),
            (0.9, limits.DISK_DAYS_LOW - 1, 0.1),
            (0, 0, 1),  # completely full
            (0, None, 1),
        ],
    )
    def test_used_share(
        self, clickhouse: ClickHouse, free_share: float, days_left: int | None, used: float | None
    ) -> None:
        numbers = evaluate(clickhouse, "clickhouse-disk", disks=disk_row(free_share, days_left))
        assert numbers == ({} if used is None else {("node", "default"): used})
        assert firing("clickhouse-disk", numbers) == numbers.keys()

    def test_each_disk_of_a_node(self, clickhouse: ClickHouse) -> None:
        rows = (disk_row(0.5, None), disk_row(0.1, None, "cold"), disk_row(0.2, 3, "hot"))
        numbers = evaluate(clickhouse, "clickhouse-disk", disks=" UNION ALL ".join(rows))
        assert numbers == {("node", "cold"): 0.9, ("node", "hot"): 0.8}

    def test_fires_on_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        with mount_disk(tmp_path / "disk", 128) as disk, run_clickhouse(disk.path / "data") as clickhouse:
            server = clickhouse.server
            # As Grafana asks: over the native protocol.
            grafana = clickhouse_driver.Client(
                "127.0.0.1", server.native_port, user="intel_dashboard", password=server.passwords["dashboard"]
            )
            assert grafana.execute(asked("clickhouse-disk")) == []
            disk.fill()
            [(node, name, used)] = grafana.execute(asked("clickhouse-disk"))
            grafana.disconnect()
            assert (node, name, used) == (platform.node(), "default", 1)

    def test_a_disk_is_low_by_the_numbers_of_status(self) -> None:
        for free, days in ((149, None), (150, None), (150, 13), (150, 14), (0, 0)):
            disk = Disk("default", free, 1000, days)
            few_days = days is not None and days < limits.DISK_DAYS_LOW
            assert disk.is_low == (free / 1000 < limits.DISK_FREE_LOW or few_days)


def test_numbers_equal_a_slow_count(dataset: Dataset, grafana_server: ClickHouse) -> None:
    first = {record.attributes["log.record.uid"]: record for record in reversed(dataset.deliveries)}
    second = dataset.now.replace(microsecond=0)  # macros have whole seconds
    recent, base = second - limits.RECENT_DAYS * DAY, second - (limits.RECENT_DAYS + limits.BASE_DAYS) * DAY

    def share(service: str, action: str, after: datetime, until: datetime) -> tuple[float, int]:
        made = Counter(
            record.name.rpartition(".")[2]
            for record in first.values()
            if record.resource["service.name"] == service and nanoseconds(after) < record.time_ns <= nanoseconds(until)
        )
        decided = sum(made[name] for name in ("accepted", "ignored", "overridden"))
        return (made[action] / decided, decided) if decided else (0, 0)

    drops, overrides = {}, {}
    for service in SERVICES:
        rate, decided = share(service, "overridden", recent, second)
        if decided >= limits.MINIMUM_DECISIONS:
            overrides[service,] = round(rate, 6)
            before, of = share(service, "accepted", base, recent)
            if of >= limits.MINIMUM_BASE_DECISIONS:
                drops[service,] = pytest.approx(before - share(service, "accepted", recent, second)[0], abs=1e-6)
    assert evaluate(grafana_server, "override-rate-high", dataset.now) == overrides
    assert evaluate(grafana_server, "acceptance-share-drop", dataset.now) == drops
    assert len(drops) == (len(SERVICES) if dataset.name == "sixty days" else 0)


@pytest.mark.parametrize("uid", RULES)
def test_query_uses_no_front_end_variable_and_only_the_evaluation_time(uid: str) -> None:
    rule = RULES[uid]
    sql = rule["data"][0]["model"]["rawSql"]
    assert "$$" not in sql
    assert "$__interval" not in sql
    assert "now(" not in sql
