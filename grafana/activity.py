"""The dashboard about what admins look at."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, look, names
from grafana.panels import About, Panel, lines, number, rows, stacked
from grafana.queries import activity as queries
from grafana.queries.common import VIEW_KINDS

FILTERS = "Counts only the engine version and the service chosen above."
KINDS = {kind: look.tone(kind) for kind in VIEW_KINDS}
# For narrow columns.
SHORT_NAMES: dict[str, look.Properties] = {
    "dashboard_opened": {"displayName": "Dashboard"},
    "signal_detail_opened": {"displayName": "Signal details"},
    "explanation_expanded": {"displayName": "Explanations"},
    "note_created": {"displayName": "Notes"},
}
EXPLANATIONS: look.Properties = {"displayName": "Explanations per opened signal"}
NOTES: look.Properties = {"displayName": "Notes per opened signal"}
RATIO: look.Properties = {"unit": "none", "decimals": 2, "noValue": "No signal opened"}
# A cell of the table by weekday: two hours.
HOUR: look.Properties = {
    "color": {"mode": "continuous-blues"},
    "custom.cellOptions": {"type": "color-background", "mode": "basic"},
    **look.COUNTED,
    # Show zeros as empty cells, so that other numbers are easy to see.
    "mappings": [{"type": "value", "options": {"0": {"text": " ", "index": 0}}}],
    "custom.align": "center",
}


def how_active_admins_are() -> Panel:
    """Show how active admins are."""
    return number(
        About(
            1,
            "In the time range",
            f"""Over the days of the time range: admins who opened, read or noted anything; how often a signal's
            page was opened; explanations read and notes written, each divided by that number. {FILTERS} Source:
            metrics.engagement_daily.""",
            width=24,
            height=4,
            empty="No views",
        ),
        queries.TOTALS,
        overrides={
            "admins": {"displayName": "Active admins"},
            "details": {"displayName": "Signal details opened"},
            "explanations": {**EXPLANATIONS, **RATIO},
            "notes": {**NOTES, **RATIO},
        },
    )


def what_admins_look_at() -> Panel:
    """Show what admins look at."""
    return stacked(
        About(
            2,
            "Engagement by kind",
            f"""How often staff opened, read or noted something, per day and kind. {FILTERS} Source:
            metrics.engagement_daily.""",
            width=12,
            empty="No views",
        ),
        queries.BY_KIND,
        KINDS,
    )


def whether_explanations_are_read() -> Panel:
    """Show whether explanations are read."""
    return lines(
        About(
            3,
            "Explanation and note use",
            f"""Explanations read and notes written, each divided by how often a signal's page was opened, per
            day. Can be above 1. Few explanations read may mean that they do not help. {FILTERS} Source:
            metrics.engagement_daily.""",
            width=12,
            empty="No signal opened",
        ),
        queries.USE,
        {
            "explanations": {**KINDS["explanation_expanded"], **EXPLANATIONS, "decimals": 2},
            "notes": {**KINDS["note_created"], **NOTES, "decimals": 2},
        },
    )


def when_admins_work() -> Panel:
    """Show when admins work."""
    return rows(
        About(
            4,
            "Views by hour of the week",
            f"""When staff opened, read or noted something, by weekday and two hours, over the days of the time
            range. A darker blue means more; an empty cell means none, and a weekday without any is left out.
            {FILTERS} Source: metrics.engagement_daily.""",
            width=24,
            height=9,
            empty="No views",
        ),
        queries.HOURS_OF_THE_WEEK,
        {
            "weekday_name": {"displayName": "Weekday", "custom.width": 100},
            **{column: {"displayName": name, **HOUR} for column, name in queries.HOURS.items()},
        },
    )


def who_is_most_active() -> Panel:
    """Show who is most active."""
    return rows(
        About(
            5,
            "Most active admins",
            f"""The 20 admins who opened, read and noted most in the days of the time range, by kind. More
            activity is not better. {FILTERS} Source: metrics.engagement_daily.""",
            width=16,
            height=10,
            empty="No views",
        ),
        queries.TOP_ADMINS,
        {
            "admin": {"displayName": "Admin", **look.staff_link("What this admin did", "activity/?admin=")},
            "total": {"displayName": "All views", **look.COUNTED},
            **{kind: {**SHORT_NAMES.get(kind, look.name(kind)), **look.COUNTED} for kind in KINDS},
            "last_day": {"displayName": "Last day", "unit": "time:YYYY-MM-DD"},
        },
    )


def how_many_admins_are_active() -> Panel:
    """Show how many admins are active."""
    return lines(
        About(
            6,
            "Active admins",
            f"""Admins who opened, read or noted anything, per day. {FILTERS} Source:
            metrics.engagement_daily.""",
            width=8,
            height=10,
            empty="No views",
        ),
        queries.ADMINS,
        {"admins": {"displayName": "Active admins", **look.fixed(look.TIME_TONE)}},
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.ADMIN_ACTIVITY,
        "Admin activity",
        f"""Who works with the signals, when, and do they read the explanations? This counts what staff open, read and
        note; what they decide is on the dashboard Recommendations. {FILTERS}""",
        [
            how_active_admins_are(),
            what_admins_look_at(),
            whether_explanations_are_read(),
            when_admins_work(),
            who_is_most_active(),
            how_many_admins_are_active(),
        ],
        variables=[frame.engine_version(), frame.service()],
        staff_page=("Staff page: activity", "/telemetry/activity/"),
        days=30,
    )
