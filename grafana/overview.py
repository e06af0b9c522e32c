"""The dashboard that opens first."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, limits, look, names, trends
from grafana.panels import About, Panel, bars, compared, gauge, number, rows, stacked
from grafana.queries import overview as queries
from grafana.queries.common import ACTIONS, DECISION_COLUMNS, STATUSES

FILTERS = "Counts only the engine version and the recommendation type chosen above."
WINDOW = f"""Over the headline window, which ends today; the change is against the window of the same length
before it, in percentage points (pts) for shares. {FILTERS}"""
RECOMMENDATIONS = ("Which recommendations", names.RECOMMENDATIONS)
OUTCOMES = ("Which outcomes", names.OUTCOMES)


def how_many_decisions_accept() -> Panel:
    """Show how many decisions accept."""
    return compared(
        About(
            1,
            "Acceptance share",
            f"""Of all decisions (accepted, ignored, overridden), the share that accepted the recommendation. More is
            better. {WINDOW} Red below {limits.ACCEPTANCE_SHARE_LOW:.0%}. Source: metrics.acceptance_rate_between.""",
            width=8,
            height=4,
            unit=look.RATE,
            empty="No decisions",
            next=RECOMMENDATIONS,
        ),
        queries.ACCEPTANCE_SHARE_NOW,
        more_is="better",
        thresholds=look.steps(look.NEUTRAL, *look.ACCEPTANCE_LIMIT),
    )


def how_many_views_are_accepted() -> Panel:
    """Show how many views are accepted."""
    return compared(
        About(
            2,
            "Acceptance rate",
            f"""Acceptances divided by views of recommendations. More is better; above 100 % some views were not
            recorded. {WINDOW} Source: metrics.acceptance_rate_between.""",
            width=8,
            height=4,
            unit=look.RATE,
            empty="No views",
            next=RECOMMENDATIONS,
        ),
        queries.ACCEPTANCE_RATE_NOW,
        more_is="better",
    )


def how_often_staff_override() -> Panel:
    """Show how often staff override."""
    return compared(
        About(
            3,
            "Override rate",
            f"""Of all decisions, the share in which staff overrode the recommendation. Less is better.
            {WINDOW} Red from {limits.OVERRIDE_RATE_HIGH:.0%} on; if it is above that over three days, an alert fires.
            Source: metrics.override_rate_between.""",
            width=8,
            height=4,
            unit=look.RATE,
            empty="No decisions",
            next=RECOMMENDATIONS,
        ),
        queries.OVERRIDE_RATE_NOW,
        more_is="worse",
        thresholds=look.steps(look.NEUTRAL, *look.OVERRIDE_LIMIT),
    )


def how_long_a_decision_takes() -> Panel:
    """Show how long a decision takes."""
    return compared(
        About(
            4,
            "Average decision time",
            f"""Average time from the first view of a recommendation to the decision, over the decisions
            that have a time. Shorter is easier, not always better. {WINDOW} Source:
            metrics.decision_time_between.""",
            width=8,
            height=4,
            unit=look.MILLISECONDS,
            empty="No timed decisions",
            next=RECOMMENDATIONS,
        ),
        queries.DECISION_TIME_NOW,
        more_is="neutral",
    )


def how_often_it_was_a_false_alarm() -> Panel:
    """Show how often it was a false alarm."""
    return compared(
        About(
            5,
            "False positive rate",
            f"""Of the signals that got their outcome, the share that were false positives. Less is better. Outcomes
            have no recommendation type: that choice does not change this number. {WINDOW} Red from
            {limits.FALSE_POSITIVE_RATE_HIGH:.0%} on. Source: metrics.false_positive_rate_between.""",
            width=8,
            height=4,
            unit=look.RATE,
            empty="No outcomes",
            next=OUTCOMES,
        ),
        queries.FALSE_POSITIVE_RATE_NOW,
        more_is="worse",
        thresholds=look.steps(look.NEUTRAL, *look.FALSE_POSITIVE_LIMIT),
    )


def when_the_last_event_came() -> Panel:
    """Show when the last event came."""
    return number(
        About(
            11,
            "Age of the last event",
            f"""How long ago the last event of any kind arrived in ClickHouse, whatever is chosen above. Orange
            after {limits.SILENCE_HOURS} hours, which at night and at weekends is no fault; the alert counts
            working time. Source: metrics.arrivals.""",
            width=8,
            height=4,
            unit=look.SECONDS,
            empty="Nothing in 30 days",
            next=("Where events are lost", names.PIPELINE_HEALTH),
        ),
        queries.FRESHNESS,
        look.steps(look.NEUTRAL, (limits.SILENCE_HOURS * 3600, look.WARNING)),
        {"age": {"displayName": "Ago", "decimals": 0}},
    )


def whether_acceptance_changes() -> Panel:
    """Show whether acceptance changes."""
    return trends.shares(7, queries.SHARES, FILTERS, RECOMMENDATIONS)


def whether_decisions_take_longer() -> Panel:
    """Show whether decisions take longer."""
    return trends.decision_times(8, queries.DECISION_TIMES, FILTERS, RECOMMENDATIONS)


def how_much_happens() -> Panel:
    """Show how much happens."""
    return stacked(
        About(
            9,
            "Recommendation events",
            """Per day: decisions by action on top of each other, and as a line the views of
            recommendations. Counts only the engine version and the recommendation type chosen above. Source:
            metrics.recommendations_daily.""",
            width=12,
            height=12,
            empty="No events",
            next=RECOMMENDATIONS,
        ),
        queries.VOLUME,
        {
            **{
                action: {**look.tone(action), **look.LINE_OVER_BARS}
                for action in ACTIONS
                if action not in DECISION_COLUMNS
            },
            **{action: look.tone(action) for action in DECISION_COLUMNS},
        },
    )


def how_far_signals_get() -> Panel:
    """Show how far signals get."""
    return rows(
        About(
            10,
            "Signals from view to outcome",
            """How many signals had their recommendation viewed for the first time on the days of the time range; how
            many of these were decided on until now; and how many of these have an outcome by now. The share is of the
            viewed ones. The latest signals are still on their way. Counts only the engine version and the
            recommendation type chosen above, those of the first view. Source: metrics.funnel_between.""",
            width=12,
            height=6,
        ),
        queries.FUNNEL,
        {
            "name": {"displayName": "Step", "custom.width": 130},
            "signals": {"displayName": "Signals", **look.COUNTED, "custom.width": 90},
            "share": {"displayName": "Of the viewed", **gauge()},
        },
    )


def what_became_of_signals() -> Panel:
    """Show what became of signals."""
    return bars(
        About(
            6,
            "Outcome distribution",
            """How signals ended: the share of each status, over the headline window. Counts only the engine version
            chosen above; outcomes have no recommendation type. Source: metrics.outcome_distribution_between.""",
            width=12,
            height=6,
            unit=look.RATE,
            empty="No outcomes",
            next=OUTCOMES,
        ),
        queries.OUTCOME_DISTRIBUTION,
        {status: look.tone(status) for status in STATUSES},
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.OVERVIEW,
        "Overview",
        """How is the decision-assist engine doing, and is it getting better? The large numbers are of the
        headline window and are compared with the one before it; graphs follow the time picker, in whole days.""",
        [
            how_many_decisions_accept(),
            how_many_views_are_accepted(),
            how_often_staff_override(),
            how_long_a_decision_takes(),
            how_often_it_was_a_false_alarm(),
            when_the_last_event_came(),
            whether_acceptance_changes(),
            whether_decisions_take_longer(),
            how_much_happens(),
            how_far_signals_get(),
            what_became_of_signals(),
        ],
        variables=[frame.window(7), frame.engine_version(), frame.recommendation_type()],
        staff_page=("Staff page", "/telemetry/"),
        days=30,
        marks=True,
    )
