"""The dashboard that compares two engine versions."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, look, names
from grafana.panels import About, Panel, gauge, lines, number, rows, stacked
from grafana.queries import versions as queries

# Neutral colours: no version is good or bad by itself.
BOTH: dict[str, look.Properties] = {
    "a": {"displayName": "A: ${version_a}", **look.fixed("#8a97a6")},
    "b": {"displayName": "B: ${version_b}", **look.fixed("#7a5bb5")},
}
TIME: look.Properties = {"unit": look.MILLISECONDS, "decimals": 1, "custom.width": 120, **look.MISSING}


def whether_b_is_better() -> Panel:
    """Show whether B is better."""
    return number(
        About(
            1,
            "Verdict",
            f"""Whether a higher share of B's decisions accepted than of A's, over the headline window, or whether the
            difference may be chance: a two-sided z-test, called better or worse below p = {queries.SIGNIFICANCE}. Each
            decision counts as independent of the others: if few admins decide much, or the versions ran at different
            times, the cause may be something else. Source: metrics.engine_comparison.""",
            width=24,
            height=3,
            unit=look.TEXT,
        ),
        queries.VERDICT,
        size=18,
        mappings=look.sentences({" is better than ": look.GOOD, " is worse than ": look.BAD}),
    )


def how_large_the_difference_is() -> Panel:
    """Show how large the difference is."""
    return number(
        About(
            2,
            "Difference of acceptance shares, B - A",
            """The acceptance share of B minus that of A, in percentage points (positive is better for B); the range
            that holds the true difference 95 times in 100; and p: how often chance alone makes a difference this large.
            Over the headline window. Source: metrics.engine_comparison.""",
            width=24,
            height=4,
            unit=look.TEXT,
            empty="Undefined",
        ),
        queries.DIFFERENCE,
        overrides={
            "more": {"displayName": "Difference"},
            "low": {"displayName": "95 % interval from"},
            "high": {"displayName": "95 % interval to"},
            "p": {"displayName": "p"},
        },
    )


def which_numbers_both_have() -> Panel:
    """Show which numbers both have."""
    return rows(
        About(
            3,
            "Both versions in numbers",
            """Over the headline window: decisions; the share of them that accepted (more is better) and that
            overrode (less is better); the time from the first view to the decision: average, median (p50) and within
            which nine of ten were made (p90); signals that got their outcome; the share of them that were false
            positives (less is better). Source: metrics.acceptance_rate_between,
            override_rate_between, decision_time_between, false_positive_rate_between.""",
            width=24,
            height=5,
        ),
        queries.NUMBERS,
        {
            "role": {"displayName": " ", "custom.width": 40},
            "name": {
                "displayName": "Engine version",
                **look.filter_link("Its recommendations", names.RECOMMENDATIONS, "engine_version"),
            },
            "decisions": {"displayName": "Decisions", **look.COUNTED, "custom.width": 90},
            "acceptance_share": {"displayName": "Acceptance share", **gauge(*look.ACCEPTANCE_LIMIT)},
            "override_rate": {"displayName": "Override rate", **gauge(*look.OVERRIDE_LIMIT)},
            "average_ms": {"displayName": "Average time", **TIME},
            "p50_ms": {"displayName": "p50", **TIME},
            "p90_ms": {"displayName": "p90", **TIME},
            "outcomes": {"displayName": "Outcomes", **look.COUNTED, "custom.width": 90},
            "false_positive_rate": {"displayName": "False positive rate", **gauge(*look.FALSE_POSITIVE_LIMIT)},
        },
    )


def how_the_shares_develop() -> Panel:
    """Show how the shares develop."""
    return lines(
        About(
            4,
            "Acceptance share per day",
            """The share of each version's decisions that accepted, per day. Days without decisions have no point,
            and of few decisions a share says little. More is better. Source:
            metrics.recommendations_daily.""",
            width=12,
            unit=look.RATE,
            empty="No decisions",
        ),
        queries.ACCEPTANCE_SHARES,
        BOTH,
    )


def how_much_there_is_to_compare() -> Panel:
    """Show how much there is to compare."""
    return stacked(
        About(
            5,
            "Decisions per day",
            """Decisions about recommendations of each version, per day: how much there is to compare.
            Source: metrics.recommendations_daily.""",
            width=12,
            empty="No decisions",
        ),
        queries.DECISION_COUNTS,
        BOTH,
    )


def which_version_is_decided_on_faster() -> Panel:
    """Show which version is decided on faster."""
    return lines(
        About(
            6,
            "Median decision time per day",
            """Minutes from the first view of a recommendation to the decision: the median of each day's
            decisions that have a time. Shorter is easier, not always better. Source:
            metrics.decision_times_daily.""",
            width=12,
            unit=look.MINUTES,
            empty="No timed decisions",
        ),
        queries.DECISION_TIMES,
        BOTH,
    )


def which_version_raises_false_alarms() -> Panel:
    """Show which version raises false alarms."""
    return lines(
        About(
            7,
            "False positive rate per day",
            """The share of signals that were false positives, per day of their outcome and by the version that
            made the recommendation. Less is better. Source: metrics.outcomes_daily.""",
            width=12,
            unit=look.RATE,
            empty="No outcomes",
            whole=False,
        ),
        queries.FALSE_POSITIVE_RATES,
        BOTH,
    )


def build() -> Dashboard:
    """Return the dashboard."""
    return frame.dashboard(
        names.ENGINE_VERSIONS,
        "Engine versions",
        """Is engine version B better than version A? Better means that a higher share of decisions accepted. The
        comparison and the table are of the headline window, the graphs follow the time picker; all are about the two
        versions chosen above.""",
        [
            whether_b_is_better(),
            how_large_the_difference_is(),
            which_numbers_both_have(),
            how_the_shares_develop(),
            how_much_there_is_to_compare(),
            which_version_is_decided_on_faster(),
            which_version_raises_false_alarms(),
        ],
        variables=[
            frame.version("version_a", "Version A", queries.VERSIONS_A),
            frame.version("version_b", "Version B", queries.VERSIONS_B),
            frame.window(30),
        ],
        staff_page=("Staff page", "/telemetry/"),
        days=30,
    )
