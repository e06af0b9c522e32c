"""The expected rows of the dashboards about outcomes, activity and the pipeline, counted in slow Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta

from grafana import limits
from otel_intel.events import CATALOGUE, DROP_REASONS, OUTCOME_STATUSES, PROCESS_ID_KEY
from tests.grafana.datasets import valid
from tests.grafana.slow import EPOCH, Rows, Slow, average, grouped, midnight, moment, rank, share, with_status
from tests.grafana.slow_decisions import false_positive_rate
from tests.otlp import Record
from tests.sql.reference import VIEW_KINDS, Fact

FILTERS = ("version", "service")
INTERVAL = timedelta(hours=2)


def _hours(facts: list[Fact]) -> list[float]:
    return [fact.hours for fact in facts if fact.hours is not None]


def outcomes_in_numbers(slow: Slow) -> Rows:
    facts = slow.within(slow.dataset.reference.first_outcomes, *FILTERS)
    return [(len(facts), false_positive_rate(facts), average(_hours(facts)))]


def distribution(slow: Slow) -> Rows:
    facts = slow.within(slow.dataset.reference.first_outcomes, *FILTERS)
    return [tuple(share(with_status(facts, status), facts) for status in OUTCOME_STATUSES)]


def _later(slow: Slow) -> list[Fact]:
    first = {fact.uid for fact in slow.dataset.reference.first_outcomes}
    return [fact for fact in slow.within(slow.dataset.reference.outcomes, *FILTERS) if fact.uid not in first]


def later(slow: Slow) -> Rows:
    return [(len(_later(slow)),)]


def later_events(slow: Slow) -> Rows:
    counts = {fact.signal: fact.status for fact in slow.dataset.reference.first_outcomes}
    newest = sorted(_later(slow), key=lambda fact: (fact.time_ns, fact.uid), reverse=True)
    return [
        (moment(f.time_ns), f.signal, f.status, counts[f.signal], f.admin, f.version, slow.traces[f.uid])
        for f in newest[:100]
    ]


def by_status(slow: Slow) -> Rows:
    days = grouped(slow.within(slow.dataset.reference.first_outcomes, *FILTERS), lambda fact: fact.day)
    return [(midnight(day), *(len(with_status(f, status)) for status in OUTCOME_STATUSES)) for day, f in days.items()]


def false_positives_by_day(slow: Slow) -> Rows:
    days = grouped(slow.within(slow.dataset.reference.first_outcomes, *FILTERS), lambda fact: fact.day)
    return [(midnight(day), false_positive_rate(facts)) for day, facts in days.items()]


def outcomes_by_version(slow: Slow) -> Rows:
    groups = grouped(slow.within(slow.dataset.reference.first_outcomes, *FILTERS), lambda fact: fact.version)
    order = sorted(groups, key=lambda name: (max(fact.day for fact in groups[name]), name), reverse=True)
    return [
        (name, len(groups[name]), false_positive_rate(groups[name]), average(_hours(groups[name]))) for name in order
    ]


def resolution_by_day(slow: Slow) -> Rows:
    facts = [f for f in slow.within(slow.dataset.reference.first_outcomes, *FILTERS) if f.hours is not None]
    days = {day: _hours(facts) for day, facts in grouped(facts, lambda fact: fact.day).items()}
    return [(midnight(day), average(hours), rank(hours, 50), rank(hours, 90)) for day, hours in days.items()]


def _views(slow: Slow) -> list[Fact]:
    return slow.within(slow.dataset.reference.views, *FILTERS)


def _kinds(facts: list[Fact]) -> tuple[int, ...]:
    n = Counter(fact.name for fact in facts)
    return tuple(n[kind] for kind in VIEW_KINDS)


def _use(facts: list[Fact]) -> tuple[float | None, float | None]:
    _, details, explanations, notes = _kinds(facts)
    return (explanations / details if details else None, notes / details if details else None)


def activity_in_numbers(slow: Slow) -> Rows:
    facts = _views(slow)
    return [(len({fact.admin for fact in facts}), _kinds(facts)[1], *_use(facts))]


def views_by_day(slow: Slow, count: Callable[[list[Fact]], tuple[float | None, ...]]) -> Rows:
    return [(midnight(day), *count(facts)) for day, facts in grouped(_views(slow), lambda fact: fact.day).items()]


def admins(facts: list[Fact]) -> tuple[int]:
    return (len({fact.admin for fact in facts}),)


def hours_of_the_week(slow: Slow) -> Rows:
    week = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    rows: Rows = []
    for weekday, facts in grouped(_views(slow), lambda fact: fact.day.weekday()).items():
        n = Counter(moment(fact.time_ns).hour // 2 for fact in facts)
        rows.append((week[weekday], *(n[at] for at in range(12))))
    return rows


def top_admins(slow: Slow) -> Rows:
    rows = [
        (admin, len(facts), *_kinds(facts), max(fact.day for fact in facts))
        for admin, facts in grouped(_views(slow), lambda fact: fact.admin).items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:20]


# The pipeline.


def _latest(slow: Slow) -> dict[str, list[tuple[Record, int | None]]]:
    """Return the last report of each process and kind in the range, with its number of missing events."""
    landed = sorted(slow.dataset.landed, key=lambda one: one.ingested_ns)
    begin = landed[0].ingested_ns if landed else 0
    arrived: dict[tuple[str, str], set[str]] = defaultdict(set)
    latest = {}
    for one in landed:
        values = one.record.attributes
        if one.record.name == "intel.pipeline.reported":
            latest[values["intel.pipeline.process.id"], values["intel.pipeline.kind"]] = one
        elif PROCESS_ID_KEY in values:
            arrived[values[PROCESS_ID_KEY], CATALOGUE[one.record.name].kind].add(values["log.record.uid"])
    processes: dict[str, list[tuple[Record, int | None]]] = defaultdict(list)
    for (process, kind), one in latest.items():
        if slow.arrived(one.ingested_ns, one.record.resource["service.name"]):
            values = one.record.attributes
            known = values["intel.pipeline.process.started_at"] >= begin - 30 * 86_400 * 10**9
            missing = max(values["intel.pipeline.delivered"] - len(arrived[process, kind]), 0) if known else None
            processes[process].append((one.record, missing))
    return processes


def _counts(reports: list[tuple[Record, int | None]]) -> tuple[int | None, ...]:
    def total(name: str) -> int:
        return sum(record.attributes[f"intel.pipeline.{name}"] for record, _ in reports)

    lost = sum(total(f"dropped.{reason}") for reason in DROP_REASONS if reason != "no_admin")
    known = [missing for _, missing in reports if missing is not None]
    missing = sum(known) if known else None
    return (total("emitted"), total("delivered"), total("queued"), lost, total("dropped.no_admin"), missing)


def senders(slow: Slow) -> Rows:
    return [_counts([report for reports in _latest(slow).values() for report in reports])]


def drops(slow: Slow) -> Rows:
    reports = [record for reports in _latest(slow).values() for record, _ in reports]
    return [tuple(sum(r.attributes[f"intel.pipeline.dropped.{reason}"] for r in reports) for reason in DROP_REASONS)]


def processes(slow: Slow) -> Rows:
    rows: Rows = []
    for reports in _latest(slow).values():
        record = reports[0][0]
        pid = str(record.attributes["intel.pipeline.process.pid"])
        reported = moment(max(record.time_ns for record, _ in reports))
        rows.append((reported, record.resource["service.name"], pid, *_counts(reports)))
    return sorted(rows, key=lambda row: row[0], reverse=True)


def arrivals(slow: Slow) -> Rows:
    n: dict[int, Counter[str]] = defaultdict(Counter)
    for one in slow.arrivals:
        if slow.arrived(one.ingested_ns, one.service):
            n[_bucket(one.ingested_ns)][one.kind] += 1
    kinds = ("recommendation", "outcome", "view")
    return [(_time(bucket), *(n[bucket][kind] for kind in kinds)) for bucket in sorted(n)]


def delays(slow: Slow) -> Rows:
    found = defaultdict(list)
    for one in slow.arrivals:
        delay = (one.ingested_ns // 1000 - one.time_ns // 1000) / 1000
        if slow.arrived(one.ingested_ns, one.service) and delay < 24 * 3600 * 1000:
            found[_bucket(one.ingested_ns)].append(delay)
    return [
        (_time(bucket), sorted(found[bucket])[len(found[bucket]) // 2], sorted(found[bucket])[_p99(found[bucket])])
        for bucket in sorted(found)
        if len(found[bucket]) >= limits.MINIMUM_ARRIVALS
    ]


def _p99(values: list[float]) -> int:
    return int(0.99 * len(values))


def _bucket(at_ns: int) -> int:
    return int(at_ns // 10**9 // INTERVAL.total_seconds())


def _time(bucket: int) -> datetime:
    return (EPOCH + bucket * INTERVAL).replace(tzinfo=None)


def _uncounted(slow: Slow) -> list[tuple[str, str, str, str, int]]:
    """Return each record that is not a fact: where it is kept, its name, the reason, its service, its arrival."""
    found = []
    for one in slow.dataset.landed:
        name, service = one.record.name, one.record.resource["service.name"]
        if not slow.arrived(one.ingested_ns, service):
            continue
        if not name.startswith("intel."):
            found.append(("quarantined", name, "not an event named intel.…", service, one.ingested_ns))
        elif name not in CATALOGUE:
            found.append(("rejected", name, "unknown event", service, one.ingested_ns))
        elif CATALOGUE[name].kind != "internal" and not valid(one.record):
            found.append(("rejected", name, "missing intel.risk_signal.id", service, one.ingested_ns))
    return found


def not_counted(slow: Slow) -> Rows:
    n = Counter(where for where, *_ in _uncounted(slow))
    return [(n["rejected"], n["quarantined"])]


def why_not_counted(slow: Slow) -> Rows:
    groups: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for *key, at in _uncounted(slow):
        groups[key[0], key[1], key[2], key[3]].append(at)
    order = sorted(groups, key=lambda key: (-len(groups[key]), -max(groups[key]), *key))
    return [(moment(max(groups[key])), *key, len(groups[key])) for key in order]


def copies(slow: Slow) -> Rows:
    """Count the repeated deliveries of each day, and the conflicting ones among them."""
    days: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    first: dict[str, Record] = {}
    for one in sorted(slow.dataset.landed, key=lambda one: one.ingested_ns):
        if one.record.name.startswith("intel."):
            day, uid = days[moment(one.ingested_ns).date()], one.record.attributes["log.record.uid"]
            day[0] += uid in first
            day[1] += one.record.attributes != first.setdefault(uid, one.record).attributes
    return [(midnight(day), *days[day]) for day in sorted(days) if slow.start.date() <= day <= slow.end.date()]


def services(slow: Slow) -> Rows:
    first, last = slow.start.date(), slow.end.date()
    found = {one.service for one in slow.arrivals if first <= moment(one.time_ns).date() <= last}
    return [("", "All"), *((service, service) for service in sorted(found))]
