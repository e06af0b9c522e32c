"""The dashboard that opens first."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, limits, look, names, trends
from grafana.panels import About, Panel, bars, compared, gauge, number, rows, stacked
from grafana.queries import overview as queries
from grafana.queries.common import ACTIONS, STATUSES

OBEYS = "Obeys engine version and recommendation type."
WINDOW = f"""Today (UTC) and the days of the headline window before it; the change is against as many days before these,
of shares in percentage points (pts). {OBEYS}"""
RECOMMENDATIONS = ("Which recommendations", names.RECOMMENDATIONS)
OUTCOMES = ("Which outcomes", names.OUTCOMES)


def how_many_decisions_accept() -> Panel:
    """Show how many decisions accept."""
    return compared(
        About(
            1,
            "Acceptance share",
            f"""Accepted decisions / all decisions (accepted, ignored, overridden). More is better. {WINDOW} Red
            below {limits.ACCEPTANCE_SHARE_LOW:.0%}. Source: metrics.acceptance_rate_between.""",
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
            f"""Accepted decisions / views of recommendations. More is better; above 100 % views were not
            tracked. {WINDOW} Source: metrics.acceptance_rate_between.""",
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
            f"""Overridden decisions / all decisions. Less is better. {WINDOW} Red from
            {limits.OVERRIDE_RATE_HIGH:.0%} on, where the alert fires, too. Source:
            metrics.override_rate_between.""",
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
            f"""Outcomes FALSE_POSITIVE / first outcomes of signals. Less is better. Outcomes have no
            recommendation type: that choice does not change this number. {WINDOW} Red from
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
            f"""Time since the last event of any kind arrived in ClickHouse, whatever is chosen above. Orange
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
    return trends.shares(7, queries.SHARES, OBEYS, RECOMMENDATIONS)


def whether_decisions_take_longer() -> Panel:
    """Show whether decisions take longer."""
    return trends.decision_times(8, queries.DECISION_TIMES, OBEYS, RECOMMENDATIONS)


def how_much_happens() -> Panel:
    """Show how much happens."""
    return stacked(
        About(
            9,
            "Recommendation events",
            """Per UTC day: decisions by action on top of each other, and as a line the views of
            recommendations. Obeys engine version and recommendation type. Source:
            metrics.recommendations_daily.""",
            width=12,
            height=12,
            empty="No events",
            next=RECOMMENDATIONS,
        ),
        queries.VOLUME,
        {
            "viewed": {**look.tone("viewed"), **look.LINE_OVER_BARS},
            **{action: look.tone(action) for action in ACTIONS if action != "viewed"},
        },
    )


def how_far_signals_get() -> Panel:
    """Show how far signals get."""
    return rows(
        About(
            10,
            "Signals from view to outcome",
            """Signals whose recommendation was viewed in the time range; of these, decided in it; of these
            again, with an outcome in it; each also as share of the viewed ones. The latest signals are still on
            their way. Obeys engine version and recommendation type. Source: metrics.recommendation_events,
            metrics.signal_outcomes.""",
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
            """Share of each status in the first outcomes of signals, over the headline window. Obeys the engine
            version; outcomes have no recommendation type. Source: metrics.outcome_distribution_between.""",
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
        """How is the decision-assist engine doing, and is it getting better? Headline numbers are of the headline
        window and compare with the one before; graphs follow the time picker, in whole UTC days.""",
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
