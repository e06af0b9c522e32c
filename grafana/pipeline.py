"""The dashboard for operators of the pipeline."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, limits, look, names
from grafana.panels import About, Panel, bars, lines, number, rows, stacked
from grafana.queries import pipeline as queries
from grafana.queries.common import LOSSES
from otel_intel.events import DROP_REASONS

FILTERS = "Counts only the service chosen above."
NONE_IS_GOOD = look.step_options(look.GOOD, (1, look.BAD))
COLOURED: look.Properties = {**look.COUNTED, "custom.cellOptions": {"type": "color-text"}, **NONE_IS_GOOD}
# Clearer names for some reasons.
REASON_NAMES = {"invalid": "Invalid call", "rejected": "Refused"}
REASONS: dict[str, look.Properties] = {
    reason: {
        "displayName": REASON_NAMES.get(reason, reason.replace("_", " ").capitalize()),
        **(NONE_IS_GOOD if reason in LOSSES else look.fixed(look.TONES["ignored"][1])),
    }
    for reason in DROP_REASONS
}


def what_senders_count() -> Panel:
    """Show what senders count."""
    return number(
        About(
            1,
            "What the senders count",
            f"""Each sending process counts its events since its start; these are the sums of the last reports that
            arrived in the time range. Emitted = delivered + queued + lost + without admin (nobody was logged in, so
            there was nothing to track). Missing: the receiver acknowledged them, but they are not in ClickHouse; they
            may need up to {limits.MISSING_MINUTES} minutes. Lost and missing should be 0. {FILTERS} Source:
            metrics.pipeline_health.""",
            width=24,
            height=4,
            empty="No reports",
        ),
        queries.SENDERS,
        overrides={
            "emitted": {"displayName": "Emitted"},
            "delivered": {"displayName": "Delivered"},
            "queued": {"displayName": "Queued"},
            "lost": {"displayName": "Lost", **NONE_IS_GOOD},
            "no_admin": {"displayName": "Without admin"},
            "missing": {"displayName": "Missing", "noValue": "Not known", **NONE_IS_GOOD},
        },
    )


def how_much_arrives() -> Panel:
    """Show how much arrives."""
    return stacked(
        About(
            2,
            "Arrivals",
            f"""Events by the time at which they arrived in ClickHouse; each counts once, however often it was sent.
            {FILTERS} Source: metrics.arrivals.""",
            width=12,
            empty="No arrivals",
            interval="10m",
        ),
        queries.ARRIVALS,
        {
            "recommendations": {"displayName": "Recommendations", **look.fixed(look.TONES["accepted"][1])},
            "outcomes": {"displayName": "Outcomes", **look.fixed(look.TONES["overridden"][1])},
            "views": {"displayName": "Views", **look.fixed(look.TONES["viewed"][1])},
        },
    )


def how_late_events_arrive() -> Panel:
    """Show how late events arrive."""
    return lines(
        About(
            3,
            "Delay from call to arrival",
            f"""Time from the call in the application to the arrival in ClickHouse: the median (p50), and the time
            within which 99 of 100 events arrived (p99). Events that are a day late or more are left out as imported
            history, and so are times with fewer than {limits.MINIMUM_ARRIVALS} arrivals. The dashed line is the alert's
            limit for the p99. {FILTERS} Source: metrics.arrivals.""",
            width=12,
            unit=look.MILLISECONDS,
            empty="Too few arrivals",
            interval="10m",
        ),
        queries.DELAY,
        {"p50": look.TIMES["p50"], "p99": {"displayName": "p99", **look.fixed(look.WARNING)}},
        limit=look.limit_line(limits.LANDING_DELAY_MS),
    )


def how_much_was_not_counted() -> Panel:
    """Show how much was not counted."""
    return number(
        About(
            4,
            "Not counted",
            f"""Records that arrived in the time range and are in no metric: rejected (an event of ours that does not
            fit the catalogue) and quarantined (a log record of something else, kept for 30 days). Both should be 0.
            {FILTERS} Source: metrics.rejected_events, metrics.quarantined_events.""",
            width=6,
            height=4,
        ),
        queries.NOT_COUNTED,
        overrides={
            "rejected": {"displayName": "Rejected", **NONE_IS_GOOD},
            "quarantined": {"displayName": "Quarantined", **NONE_IS_GOOD},
        },
    )


def why_events_were_dropped() -> Panel:
    """Show why events were dropped."""
    return bars(
        About(
            5,
            "Dropped by reason",
            f"""Events that sending processes dropped since their start, by reason; of processes that reported in the
            time range. An invalid call is a mistake in the application; no admin means that nobody was logged in, which
            is no loss; the other causes are load, outages or a process that ended. All but no admin should be 0.
            {FILTERS} Source: metrics.pipeline_health.""",
            width=9,
            height=8,
            empty="No reports",
        ),
        queries.DROPS,
        REASONS,
    )


def how_often_events_come_twice() -> Panel:
    """Show how often events come twice."""
    return stacked(
        About(
            6,
            "Repeated deliveries",
            """Copies of events that had already arrived, per UTC day of arrival, of all services. Duplicates are
            harmless: a sender tried again, and no number changes. Conflicting copies have the same id but other
            content, which is a fault of the sender: the first copy counts. Source: metrics.ingest_health.""",
            width=9,
            height=8,
            empty="No arrivals",
        ),
        queries.COPIES,
        {
            "duplicates": {"displayName": "Duplicates", **look.fixed(look.TONES["ignored"][1])},
            "conflicting": {"displayName": "Conflicting", **look.fixed(look.BAD)},
        },
    )


def how_full_the_disk_is() -> Panel:
    """Show how full the disk is."""
    return number(
        About(
            9,
            "Disk and parts",
            f"""How much of the fullest disk is free on the ClickHouse server that answers, red below
            {limits.DISK_FREE_LOW:.0%}; in how many days a disk is full if as much arrives as in the last 7 days, red
            below {limits.DISK_DAYS_LOW}; and in how many parts its tables are stored, red from {limits.PARTS_HIGH} on:
            then more is inserted than it can merge. As of now, whatever the time range and service. Source:
            metrics.disks, metrics.storage.""",
            width=6,
            height=4,
        ),
        queries.DISK,
        size=20,
        overrides={
            "free_share": {
                "displayName": "Disk free",
                "unit": look.RATE,
                "decimals": 1,
                **look.step_options(look.NEUTRAL, (0, look.BAD), (limits.DISK_FREE_LOW, look.GOOD)),
            },
            "free": {"displayName": "Bytes free", "unit": look.BYTES, "decimals": 1},
            "days": {
                "displayName": "Days left",
                "noValue": "No arrivals",
                **look.step_options(look.NEUTRAL, (0, look.BAD), (limits.DISK_DAYS_LOW, look.GOOD)),
            },
            "part_count": {
                "displayName": "Parts",
                **look.step_options(look.GOOD, (limits.PARTS_HIGH, look.BAD)),
            },
        },
    )


def why_records_were_not_counted() -> Panel:
    """Show why records were not counted."""
    return rows(
        About(
            7,
            "Why events were not counted",
            f"""The 100 most frequent kinds of rejected and quarantined records that arrived in the time range, by
            name, reason and service. {FILTERS} Source: metrics.rejected_events, metrics.quarantined_events.""",
            width=24,
            height=5,
            empty="None",
        ),
        queries.REASONS_NOT_COUNTED,
        {
            "last": {"displayName": "Last arrival", "custom.width": 180},
            "where_kept": {"displayName": "Kept as", "custom.width": 110},
            "name": {"displayName": "Event name"},
            "why": {"displayName": "Reason", "custom.minWidth": 260},
            "service_of": {"displayName": "Service"},
            "records": {"displayName": "Records", **look.COUNTED, "custom.width": 90},
        },
    )


def which_processes_send() -> Panel:
    """Show which processes send."""
    return rows(
        About(
            8,
            "Sending processes",
            f"""The 100 processes that reported last in the time range, newest first, with what each has counted since
            its start. {FILTERS} Source: metrics.pipeline_health.""",
            width=24,
            height=6,
            empty="No reports",
        ),
        queries.PROCESSES,
        {
            "reported": {"displayName": "Last report", "custom.width": 180},
            "service_of": {"displayName": "Service"},
            "pid": {"displayName": "Process"},
            "emitted": {"displayName": "Emitted", **look.COUNTED},
            "delivered": {"displayName": "Delivered", **look.COUNTED},
            "queued": {"displayName": "Queued", **look.COUNTED},
            "lost": {"displayName": "Lost", **COLOURED},
            "no_admin": {"displayName": "Without admin", **look.COUNTED},
            "missing": {"displayName": "Missing", "noValue": "Not known", **COLOURED},
        },
    )


def how_large_the_tables_are() -> Panel:
    """Show how large the tables are."""
    return rows(
        About(
            10,
            "Tables",
            """Rows, parts and size on disk of each table, on the ClickHouse server that answers. As of now, whatever
            the time range and service. Source: metrics.storage.""",
            width=24,
            height=9,
        ),
        queries.STORAGE,
        {
            "name": {"displayName": "Table"},
            "stored": {"displayName": "Rows", **look.COUNTED},
            "part_count": {"displayName": "Parts", **look.COUNTED},
            "size": {"displayName": "Size", "unit": look.BYTES, "decimals": 1},
        },
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.PIPELINE_HEALTH,
        "Pipeline health",
        """Does every event arrive once, in time and valid? If not, where is it lost? All times are times of arrival.
        The choice of a service does not change repeated deliveries, disk and tables.""",
        [
            what_senders_count(),
            how_much_arrives(),
            how_late_events_arrive(),
            how_much_was_not_counted(),
            why_events_were_dropped(),
            how_often_events_come_twice(),
            how_full_the_disk_is(),
            why_records_were_not_counted(),
            which_processes_send(),
            how_large_the_tables_are(),
        ],
        variables=[frame.service()],
        staff_page=("Staff page", "/telemetry/"),
        days=7,
    )
