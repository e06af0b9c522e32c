"""Engine version A compared with B: the verdict, the numbers of both, their trends."""

from __future__ import annotations

from grafana import limits
from grafana.queries.common import DAY_AS_TIME, DAYS, TODAY, WINDOW, decision_time, share

A, B = "${version_a:sqlstring}", "${version_b:sqlstring}"
# A difference with a p-value below this is called significant.
SIGNIFICANCE = 0.05

_SEEN = f"""
    SELECT
        toString(engine_version) AS value,
        row_number() OVER (ORDER BY min(day) DESC, engine_version DESC) AS position
    FROM metrics.recommendations_daily
    WHERE day >= {TODAY} - 90
    GROUP BY engine_version
"""
# Grafana selects the first row: for B the newest version (by its first day), for A the version before it.
VERSIONS_A = f"SELECT value, value AS text FROM ({_SEEN}) ORDER BY position != 2, position"
VERSIONS_B = f"SELECT value, value AS text FROM ({_SEEN}) ORDER BY position"

_COMPARISON = f"metrics.engine_comparison(version_a = {A}, version_b = {B}, days = ${{window}})"
_PAIR = f"engine_version IN ({A}, {B})"
_FEWEST = "least(decisions_a, decisions_b)"


def _points(column: str) -> str:
    return f"100 * ifNull({column}, 0)"


VERDICT = f"""
SELECT multiIf(
    version_a = version_b, 'Choose two different versions.',
    {_FEWEST} = 0, concat('No comparison: nothing was decided with ', if(decisions_a = 0, version_a, version_b), '.'),
    concat(
        multiIf(
            isNull(p_value) OR p_value >= {SIGNIFICANCE}, concat(version_b, ' is not distinguishable from ', version_a),
            difference > 0, concat(version_b, ' is better than ', version_a),
            concat(version_b, ' is worse than ', version_a)),
        printf(': acceptance share %+.1f points', {_points("difference")}),
        if(isNull(difference_low), '', printf(
            ', 95 %% interval %+.1f to %+.1f', {_points("difference_low")}, {_points("difference_high")})),
        if(isNull(p_value), '', printf(', p = %.3f', ifNull(p_value, 1))),
        if({_FEWEST} < {limits.MINIMUM_DECISIONS}, '; few decisions, a hint at most', ''),
        '. Unit = decision, each counted once.')) AS verdict
FROM {_COMPARISON}
"""


def _signed(column: str, name: str) -> str:
    return f"if(isNull({column}), NULL, printf('%+.1f points', {_points(column)})) AS {name}"


# As text, like in the verdict: Grafana cannot show a number with a plus sign.
DIFFERENCE = f"""
SELECT
    {_signed("difference", "more")},
    {_signed("difference_low", "low")},
    {_signed("difference_high", "high")},
    if(isNull(p_value), NULL, printf('%.3f', ifNull(p_value, 1))) AS p
FROM {_COMPARISON}
"""


def _numbers(role: str, version: str) -> str:
    arguments = f"{WINDOW}, engine_version = {version}, service_name = ''"
    every_type = f"{arguments}, recommendation_type = '', confidence = ''"
    return f"""
    SELECT
        '{role}' AS role, {version} AS name,
        accepted.decisions AS decisions, accepted.acceptance_share AS acceptance_share,
        overrides.override_rate AS override_rate,
        closed.outcomes AS outcomes, closed.false_positive_rate AS false_positive_rate
    FROM (SELECT decisions, acceptance_share FROM metrics.acceptance_rate_between({every_type})) AS accepted
    CROSS JOIN (SELECT override_rate FROM metrics.override_rate_between({every_type})) AS overrides
    CROSS JOIN (SELECT outcomes, false_positive_rate FROM metrics.false_positive_rate_between({arguments})) AS closed"""


# To query metrics.decision_time_between for each version would pair all decisions twice.
NUMBERS = f"""
SELECT
    role, name, decisions, acceptance_share, override_rate, average_ms, p50_ms, p90_ms, outcomes, false_positive_rate
FROM
({_numbers("A", A)}
    UNION ALL{_numbers("B", B)}
) AS numbers
LEFT JOIN
(
    SELECT engine_version AS name, average_ms, p50_ms, p90_ms
    FROM metrics.decision_times_by_version_between({WINDOW})
) AS times USING (name)
ORDER BY role
"""


def _both(expression: str) -> str:
    """Return an expression once for A and once for B; {{v}} in it stands for the version."""
    return ",\n    ".join(expression.format(v=version) + f" AS {name}" for name, version in (("a", A), ("b", B)))


def _daily(expression: str, source: str) -> str:
    return f"""
SELECT
    {DAY_AS_TIME},
    {_both(expression)}
FROM metrics.{source} AS d
WHERE {DAYS} AND {_PAIR}
GROUP BY day
ORDER BY time
"""


def _of_version(column: str) -> str:
    return f"sumIf(d.{column}, engine_version = {{v}})"


# common.ACCEPTANCE_SHARE and FALSE_POSITIVE_RATE for each of the two versions, in one pass.
ACCEPTANCE_SHARES = _daily(share(_of_version("accepted"), _of_version("decisions")), "recommendations_daily")
DECISION_COUNTS = _daily(_of_version("decisions"), "recommendations_daily")
FALSE_POSITIVE_RATES = _daily(share(_of_version("false_positive"), _of_version("outcomes")), "outcomes_daily")

# NULL on a day on which a version has no decisions with a time.
_MEDIAN = f"if({_of_version('samples')} = 0, NULL, {decision_time(0.5, 'engine_version = {v}')})"
DECISION_TIMES = _daily(_MEDIAN, "decision_times_daily")
