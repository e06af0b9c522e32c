"""What admins look at: by kind, by admin, by hour of the week; explanations and notes per opened signal."""

from __future__ import annotations

from grafana.queries.common import DAY_AS_TIME, DAYS, SERVICE, VERSION, VIEW_KINDS, share, sums

FILTERS = f"{VERSION} AND {SERVICE}"
# metrics.top_admins_between and activity_by_hour_between have no service and no weekdays, so they are not used here.
_USE = f"""{share("sum(d.explanation_expanded)", "sum(d.signal_detail_opened)")} AS explanations,
    {share("sum(d.note_created)", "sum(d.signal_detail_opened)")} AS notes"""

TOTALS = f"""
SELECT uniqExact(d.admin_id) AS admins, sum(d.signal_detail_opened) AS details, {_USE}
FROM metrics.engagement_daily AS d
WHERE {DAYS} AND {FILTERS}
"""

BY_KIND = f"""
SELECT
    {DAY_AS_TIME},
    {sums(VIEW_KINDS)}
FROM metrics.engagement_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY day
ORDER BY time
"""

ADMINS = f"""
SELECT {DAY_AS_TIME}, uniqExact(d.admin_id) AS admins
FROM metrics.engagement_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY day
ORDER BY time
"""

USE = f"""
SELECT
    {DAY_AS_TIME},
    {_USE}
FROM metrics.engagement_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY day
ORDER BY time
"""

TOP_ADMINS = f"""
SELECT
    admin_id AS admin,
    sum(d.total) AS total,
    {sums(VIEW_KINDS)},
    max(d.day) AS last_day
FROM metrics.engagement_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY admin
ORDER BY total DESC, admin
LIMIT 20
"""

# Twelve columns of two hours: more do not fit beside each other.
HOURS = {f"{hour:02}": f"{hour}-{hour + 2} h" for hour in range(0, 24, 2)}
_HOURS = ",\n    ".join(
    f'sum(d.hours[{hour}] + d.hours[{hour + 1}]) AS "{name}"' for hour, name in zip(range(0, 24, 2), HOURS, strict=True)
)

HOURS_OF_THE_WEEK = f"""
SELECT
    ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'][weekday] AS weekday_name,
    {_HOURS}
FROM (SELECT toDayOfWeek(day) AS weekday, hours FROM metrics.engagement_daily WHERE {DAYS} AND {FILTERS}) AS d
GROUP BY weekday
ORDER BY weekday
"""
