"""The dashboard about what staff do with recommendations."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, look, names, trends
from grafana.panels import About, Panel, density, gauge, rows
from grafana.queries import recommendations as queries

FILTERS = "Counts only what is chosen above: engine version, recommendation type, confidence, service."


def _by(id: int, dimension: str, sql: str, name: look.Properties, height: int) -> Panel:
    about = About(
        id,
        f"Decisions by {dimension}",
        f"""Per {dimension}, over the days of the time range: views, decisions, the share of decisions that accepted
        (more is better) and that overrode (less is better). With few decisions a share says little. {FILTERS} Source:
        metrics.recommendations_daily.""",
        width=12,
        height=height,
        empty="No events",
    )
    return rows(
        about,
        sql,
        {
            "name": {"displayName": dimension.capitalize(), **name},
            "views": {"displayName": "Views", **look.COUNTED, "custom.width": 62},
            "decisions": {"displayName": "Decisions", **look.COUNTED, "custom.width": 85},
            "acceptance_share": {
                "displayName": "Acceptance share",
                "custom.width": 150,
                **gauge(*look.ACCEPTANCE_LIMIT),
            },
            "override_rate": {"displayName": "Override rate", **gauge(*look.OVERRIDE_LIMIT)},
        },
    )


def _only(variable: str) -> look.Properties:
    return look.filter_link("Show only these", names.RECOMMENDATIONS, variable)


def which_types_are_accepted() -> Panel:
    """Show which types are accepted."""
    return _by(1, "type", queries.BY_TYPE, {**_only("recommendation_type"), "custom.width": 205}, height=11)


def which_confidences_are_accepted() -> Panel:
    """Show which confidences are accepted."""
    return _by(2, "confidence", queries.BY_CONFIDENCE, _only("confidence"), height=6)


def which_versions_are_accepted() -> Panel:
    """Show which versions are accepted."""
    return _by(3, "engine version", queries.BY_VERSION, look.version_link(), height=5)


def whether_acceptance_changes() -> Panel:
    """Show whether acceptance changes."""
    return trends.shares(4, queries.SHARES, FILTERS)


def whether_decisions_take_longer() -> Panel:
    """Show whether decisions take longer."""
    return trends.decision_times(5, queries.DECISION_TIMES, FILTERS)


def how_decision_times_are_spread() -> Panel:
    """Show how decision times are spread."""
    return density(
        About(
            6,
            "Distribution of decision times",
            f"""How many decisions of each day took how long; decisions without a time are left out. When the dark
            band moves up, staff think longer. {FILTERS} Source: metrics.decisions_between.""",
            width=24,
            height=9,
            empty="No timed decisions",
        ),
        queries.DECISION_TIME_BUCKETS,
    )


def what_happened_last() -> Panel:
    """Show what happened last."""
    return rows(
        About(
            7,
            "Recent events",
            f"""The last 200 views and decisions of the days of the time range, newest first. The decision time
            is what the application gave, else the time since the first view; views have none. A trace opens the
            request that sent the event. {FILTERS} Source: metrics.recommendation_events, metrics.decisions_between.""",
            width=24,
            height=12,
            empty="No events",
        ),
        queries.RECENT,
        {
            "happened": {"displayName": "Time", "custom.width": 180},
            "action_name": {"displayName": "Action", **look.BADGE},
            "signal": {
                "displayName": "Signal",
                "custom.width": 120,
                **look.staff_link("Its events", "events/?signal="),
            },
            "admin": {"displayName": "Admin", "custom.width": 90},
            "type_name": {"displayName": "Type", "custom.width": 210},
            "confidence_name": {"displayName": "Confidence", "custom.width": 100},
            "version_name": {"displayName": "Engine version", "custom.width": 120, **look.version_link()},
            "took": {
                "displayName": "Decision time",
                "unit": look.MILLISECONDS,
                "decimals": 1,
                "custom.width": 120,
                **look.MISSING,
            },
            "trace": {"displayName": "Trace", **look.trace_link()},
        },
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.RECOMMENDATIONS,
        "Recommendations",
        f"""Which recommendations do staff accept, which do they override, and how long do they think about them?
        {FILTERS}""",
        [
            which_types_are_accepted(),
            which_confidences_are_accepted(),
            which_versions_are_accepted(),
            whether_acceptance_changes(),
            whether_decisions_take_longer(),
            how_decision_times_are_spread(),
            what_happened_last(),
        ],
        variables=[frame.engine_version(), frame.recommendation_type(), frame.confidence(), frame.service()],
        staff_page=("Staff page: events", "/telemetry/events/"),
        days=30,
        marks=True,
    )
