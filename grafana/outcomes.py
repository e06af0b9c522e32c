"""The dashboard about how signals ended."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, limits, look, names
from grafana.panels import About, Panel, bars, gauge, lines, number, rows, stacked
from grafana.queries import outcomes as queries
from grafana.queries.common import STATUSES

FILTERS = "Counts only the engine version and the service chosen above."
COLOURS = {status: look.tone(status) for status in STATUSES}
HOURS: look.Properties = {"unit": look.HOURS, "decimals": 1, "noValue": "Not given"}
RATE: look.Properties = {
    "displayName": "False positive rate",
    "unit": look.RATE,
    "decimals": 1,
    **look.step_options(look.NEUTRAL, *look.FALSE_POSITIVE_LIMIT),
}


def how_signals_ended() -> Panel:
    """Show how signals ended."""
    return number(
        About(
            1,
            "Outcomes",
            f"""Over the days of the time range: signals that got their outcome; the share of them that were false
            positives (less is better, red from {limits.FALSE_POSITIVE_RATE_HIGH:.0%} on); the average time to
            resolution of those for which the application gave it. {FILTERS} Source: metrics.outcomes_daily.""",
            width=9,
            height=6,
            empty="No outcomes",
        ),
        queries.TOTALS,
        overrides={
            "outcomes": {"displayName": "First outcomes"},
            "false_positive_rate": RATE,
            "average_hours": {"displayName": "Time to resolution", **HOURS},
        },
    )


def which_outcomes_there_are() -> Panel:
    """Show which outcomes there are."""
    return bars(
        About(
            2,
            "Outcome distribution",
            f"""How signals ended: the share of each status, over the days of the time range. Of each signal the first
            outcome counts.
            {FILTERS} Source: metrics.outcomes_daily.""",
            width=11,
            height=6,
            unit=look.RATE,
            empty="No outcomes",
        ),
        queries.SHARES,
        COLOURS,
    )


def how_many_outcomes_came_later() -> Panel:
    """Show how many outcomes came later."""
    return number(
        About(
            3,
            "Later outcomes",
            f"""Outcomes recorded for signals that had one already, in the days of the time range. They are kept, and
            no other number counts them. {FILTERS} Source: metrics.signal_outcomes, is_first = 0.""",
            width=4,
            height=6,
        ),
        queries.LATER,
    )


def which_outcomes_each_day_had() -> Panel:
    """Show which outcomes each day had."""
    return stacked(
        About(
            4,
            "Outcomes by status",
            f"""Signals that got their outcome, per day and status. Of each signal the first outcome counts.
            {FILTERS} Source: metrics.outcomes_daily.""",
            width=12,
            empty="No outcomes",
        ),
        queries.DISTRIBUTION,
        COLOURS,
    )


def whether_false_alarms_increase() -> Panel:
    """Show whether false alarms increase."""
    return lines(
        About(
            5,
            "False positive rate",
            f"""The share of the day's outcomes that were false positives, per day. Less is better. Days without
            outcomes have no point. The dashed line is where it is too high. {FILTERS} Source:
            metrics.outcomes_daily.""",
            width=12,
            unit=look.RATE,
            empty="No outcomes",
            whole=False,
        ),
        queries.FALSE_POSITIVE_RATE,
        {"false_positive_rate": {"displayName": "False positive rate", **look.fixed(look.BAD)}},
        limit=look.limit_line(limits.FALSE_POSITIVE_RATE_HIGH),
    )


def which_versions_raise_false_alarms() -> Panel:
    """Show which versions raise false alarms."""
    return rows(
        About(
            6,
            "Outcomes by engine version",
            f"""Per engine version, over the days of the time range: signals that got their outcome, the share of
            them that were false positives (less is better), and the average time to resolution where it was given. The
            version is the one that made the recommendation. {FILTERS} Source: metrics.outcomes_daily.""",
            width=12,
            empty="No outcomes",
        ),
        queries.BY_VERSION,
        {
            "name": {"displayName": "Engine version", **look.version_link()},
            "outcomes": {"displayName": "First outcomes", **look.COUNTED, "custom.width": 110},
            "false_positive_rate": {"displayName": "False positive rate", **gauge(*look.FALSE_POSITIVE_LIMIT)},
            "average_hours": {"displayName": "Average time to resolution", **HOURS, "custom.width": 200},
        },
    )


def how_long_resolution_takes() -> Panel:
    """Show how long resolution takes."""
    return lines(
        About(
            7,
            "Time to resolution",
            f"""Hours to resolution as the application gave them, of the signals that ended on each day: the
            average, the median (p50), and the time within which nine of ten were resolved (p90). Shorter is better.
            {FILTERS} Source: metrics.signal_outcomes.""",
            width=12,
            unit=look.HOURS,
            empty="No times given",
        ),
        queries.RESOLUTION,
        look.TIMES,
    )


def which_outcomes_did_not_count() -> Panel:
    """Show which outcomes did not count."""
    return rows(
        About(
            8,
            "Later outcomes that did not count",
            f"""The last 100 outcomes recorded for signals that had one already, newest first, beside the status that
            counts. {FILTERS} Source: metrics.signal_outcomes, is_first = 0.""",
            width=24,
            height=6,
            empty="None",
        ),
        queries.LATER_EVENTS,
        {
            "happened": {"displayName": "Time", "custom.width": 180},
            "signal": {"displayName": "Signal", **look.staff_link("Its outcomes", "outcomes/?signal=")},
            "status": {"displayName": "Later status", **look.BADGE},
            "counted_status": {"displayName": "Status that counts", **look.BADGE, "custom.width": 150},
            "admin": {"displayName": "Admin", **look.MISSING},
            "version_name": {"displayName": "Engine version"},
            "trace": {"displayName": "Trace", **look.trace_link()},
        },
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.OUTCOMES,
        "Outcomes",
        f"""How did the signals end, how often were they false alarms, and how long did it take? Of each signal the
        first outcome counts. {FILTERS}""",
        [
            how_signals_ended(),
            which_outcomes_there_are(),
            how_many_outcomes_came_later(),
            which_outcomes_each_day_had(),
            whether_false_alarms_increase(),
            which_versions_raise_false_alarms(),
            how_long_resolution_takes(),
            which_outcomes_did_not_count(),
        ],
        variables=[frame.engine_version(), frame.service()],
        staff_page=("Staff page: outcomes", "/telemetry/outcomes/"),
        days=30,
        marks=True,
    )
