"""The numbers that alerts fire at and panels are coloured by: fractions, milliseconds, hours of working time.

Change one here, run `python -m grafana.build`, and both follow.
"""

from __future__ import annotations

# A share of fewer decisions says little: at 50 its standard error is 0.07.
MINIMUM_DECISIONS = 50
RECENT_DAYS = 3
BASE_DAYS = 28
MINIMUM_BASE_DECISIONS = 200

# Recent share below the base's by more than this; two standard errors at the minimum.
ACCEPTANCE_SHARE_DROP = 0.15
OVERRIDE_RATE_HIGH = 0.3
# Panels only.
ACCEPTANCE_SHARE_LOW = 0.5
FALSE_POSITIVE_RATE_HIGH = 0.2

# Hours of working time, Monday to Friday, UTC: nobody decides anything at night.
WORK_STARTS_HOUR = 8
WORK_ENDS_HOUR = 18
SILENCE_HOURS = 4
# Who has sent on fewer of the days looked at is not missed.
SILENCE_LOOKBACK_DAYS = 14
SILENCE_REGULAR_DAYS = 3

# The p99 of the last hour's arrivals. The Collector sends a batch a second and rides out short outages.
LANDING_DELAY_MS = 60_000
MINIMUM_ARRIVALS = 20
# Who is later by more than a day imports history.
IMPORTED_DELAY_MS = 24 * 3600 * 1000

# What was dropped in this time.
DROPPED_HOURS = 1

# What has been acknowledged has this long to be stored before it is missing.
MISSING_MINUTES = 15

# Part of the disk; as share of the whole.
DISK_FREE_LOW = 0.15
PARTS_HIGH = 300
