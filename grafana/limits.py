"""The limits of alerts and of panel colours: fractions, milliseconds, hours of working time.

Change one here and run `python -m grafana.build`: it updates both.
"""

from __future__ import annotations

from otel_intel.reading.health import LATE, LOW_DAYS, LOW_SHARE

# With fewer decisions a share is too uncertain: at 50 decisions its standard error is 0.07.
MINIMUM_DECISIONS = 50
RECENT_DAYS = 3
BASE_DAYS = 28
MINIMUM_BASE_DECISIONS = 200

# Fires if the recent share is lower than the earlier one by more than this: two standard errors at the minimum.
ACCEPTANCE_SHARE_DROP = 0.15
OVERRIDE_RATE_HIGH = 0.3
# For panels only.
ACCEPTANCE_SHARE_LOW = 0.5
FALSE_POSITIVE_RATE_HIGH = 0.2

# Hours of working time, Monday to Friday, UTC: no events at night are normal.
WORK_STARTS_HOUR = 8
WORK_ENDS_HOUR = 18
SILENCE_HOURS = 4
# A service that sent events on fewer of these days causes no alert.
SILENCE_LOOKBACK_DAYS = 14
SILENCE_REGULAR_DAYS = 3

# Limit of the p99 of the last hour's arrivals: high enough for the Collector's batches and for short outages.
LANDING_DELAY_MS = 60_000
MINIMUM_ARRIVALS = 20
# An event that is more than a day late is imported history.
IMPORTED_DELAY_MS = 24 * 3600 * 1000

# The time for which dropped events are counted.
DROPPED_HOURS = 1

# An acknowledged event counts as missing if it is not stored after this time.
MISSING_MINUTES = 15

# Two reports in this time, both with the same events in the queue: the process can send, but its events are not taken.
UNDELIVERED_MINUTES = 15
UNDELIVERED_REPORTS = 2

# A process reports every minute. A service runs around the clock if there are reports in so many hours of a day.
REPORTS_STOPPED_MINUTES = 30
AROUND_THE_CLOCK_HOURS = 20

# The free part of a disk, as a fraction, and the days until it is full. `otel-intel status` and the staff pages call a
# disk low by the same numbers.
DISK_FREE_LOW = LOW_SHARE
DISK_DAYS_LOW = LOW_DAYS
PARTS_HIGH = 300

# How long an arrived event may wait for the numbers; `otel-intel status` and `doctor` call them late by the same limit.
NUMBERS_LATE_SECONDS = int(LATE.total_seconds())
