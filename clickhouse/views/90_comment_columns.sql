-- Generated from clickhouse/README.md: make generate. A view with parameters has no columns yet.

ALTER TABLE metrics.recommendation_events
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN risk_signal_id 'the risk signal',
    COMMENT COLUMN admin_id 'the admin; a keyed hash where the application says so',
    COMMENT COLUMN action 'VIEWED, ACCEPTED, IGNORED or OVERRIDDEN',
    COMMENT COLUMN recommendation_type 'an open set, such as EXPIRING_SOON',
    COMMENT COLUMN confidence 'HIGH, MEDIUM or LOW',
    COMMENT COLUMN decision_time_ms 'of a decision: given, else paired; NULL when neither',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN trace_flags 'W3C trace flags; bit 1 = sampled',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.signal_outcomes
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN risk_signal_id 'the risk signal',
    COMMENT COLUMN admin_id 'the admin; NULL when not given',
    COMMENT COLUMN outcome_status 'RESOLVED, ESCALATED, NO_ACTION or FALSE_POSITIVE',
    COMMENT COLUMN is_first '1 for the outcome of the signal that counts: the first by (timestamp, event_id)',
    COMMENT COLUMN resolution_time_hours 'as the caller gave it; NULL when not given',
    COMMENT COLUMN note_id 'the admin\'s note; never its text',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN trace_flags 'W3C trace flags; bit 1 = sampled',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.admin_views
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN risk_signal_id 'the risk signal; NULL for the dashboard',
    COMMENT COLUMN admin_id 'the admin; a keyed hash where the application says so',
    COMMENT COLUMN view_kind 'the event\'s name without intel.: dashboard.opened, signal.detail_opened, explanation.expanded, note.created',
    COMMENT COLUMN note_id 'the admin\'s note; never its text',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN trace_flags 'W3C trace flags; bit 1 = sampled',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.decisions
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN risk_signal_id 'the risk signal',
    COMMENT COLUMN admin_id 'the admin; a keyed hash where the application says so',
    COMMENT COLUMN action 'ACCEPTED, IGNORED or OVERRIDDEN',
    COMMENT COLUMN recommendation_type 'an open set, such as EXPIRING_SOON',
    COMMENT COLUMN confidence 'HIGH, MEDIUM or LOW',
    COMMENT COLUMN decision_time_ms 'given, else paired; NULL when neither',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN trace_flags 'W3C trace flags; bit 1 = sampled',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.rejected_events
    COMMENT COLUMN ingested_at 'when it arrived (UTC)',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN event_id 'as it was sent, malformed or empty as it may be',
    COMMENT COLUMN event_name 'as it was sent',
    COMMENT COLUMN reason 'why, in words',
    COMMENT COLUMN attributes 'the attributes that passed the allow-list',
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.quarantined_events
    COMMENT COLUMN ingested_at 'when it arrived (UTC)',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN event_name 'as it was sent',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.spans
    COMMENT COLUMN trace_id '32 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN span_id '16 hexadecimal digits; \'\' outside a trace',
    COMMENT COLUMN parent_span_id '\'\' for a root span',
    COMMENT COLUMN name 'such as GET signals/<pk>',
    COMMENT COLUMN kind 'Internal, Server, Client, Producer, Consumer or Unspecified',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN timestamp 'its start (UTC)',
    COMMENT COLUMN duration_ms 'milliseconds',
    COMMENT COLUMN status 'Unset, Ok or Error',
    COMMENT COLUMN route 'the URL\'s pattern',
    COMMENT COLUMN method 'the HTTP method',
    COMMENT COLUMN status_code 'the HTTP status';

ALTER TABLE metrics.recommendations_daily
    COMMENT COLUMN day 'day in the time zone of metrics.last_refresh',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN recommendation_type 'an open set, such as EXPIRING_SOON',
    COMMENT COLUMN confidence 'HIGH, MEDIUM or LOW',
    COMMENT COLUMN viewed 'a staff user was shown a recommendation',
    COMMENT COLUMN accepted 'a staff user did what was recommended',
    COMMENT COLUMN ignored 'a staff user decided to do nothing about a recommendation',
    COMMENT COLUMN overridden 'a staff user did something else than was recommended',
    COMMENT COLUMN decisions 'the events among them that decide on a recommendation';

ALTER TABLE metrics.decision_times_daily
    COMMENT COLUMN day 'day of the decision, in the time zone of metrics.last_refresh',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN recommendation_type 'an open set, such as EXPIRING_SOON',
    COMMENT COLUMN confidence 'HIGH, MEDIUM or LOW',
    COMMENT COLUMN samples 'decisions that have a time',
    COMMENT COLUMN sum_ms 'their sum; exact below 2^53',
    COMMENT COLUMN histogram 'milliseconds -> samples, rounded on days with more than 500 different times; sumMap adds rows up, quantileExactWeighted reads it';

ALTER TABLE metrics.outcomes_daily
    COMMENT COLUMN day 'day in the time zone of metrics.last_refresh',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN resolved 'signals whose first outcome is RESOLVED',
    COMMENT COLUMN escalated 'signals whose first outcome is ESCALATED',
    COMMENT COLUMN no_action 'signals whose first outcome is NO_ACTION',
    COMMENT COLUMN false_positive 'signals whose first outcome is FALSE_POSITIVE',
    COMMENT COLUMN outcomes 'all of them',
    COMMENT COLUMN hours_samples 'first outcomes that carry a resolution time',
    COMMENT COLUMN sum_hours 'the sum of their resolution times';

ALTER TABLE metrics.engagement_daily
    COMMENT COLUMN day 'day in the time zone of metrics.last_refresh',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN engine_version 'the engine that produced the explanation',
    COMMENT COLUMN admin_id 'the admin; a keyed hash where the application says so',
    COMMENT COLUMN dashboard_opened 'a staff user opened the dashboard',
    COMMENT COLUMN signal_detail_opened 'a staff user opened the page of a risk signal',
    COMMENT COLUMN explanation_expanded 'a staff user unfolded the explanation of a recommendation',
    COMMENT COLUMN note_created 'a staff user wrote a note on a risk signal',
    COMMENT COLUMN total 'all of them',
    COMMENT COLUMN hours 'how many in each hour of the day, 0 to 23';

ALTER TABLE metrics.last_refresh
    COMMENT COLUMN time_zone 'its name in the IANA database; otel-intel migrate --time-zone sets it',
    COMMENT COLUMN as_of 'everything that arrived until then is in all numbers (UTC); NULL before the first refresh';

ALTER TABLE metrics.ingest_health
    COMMENT COLUMN day 'UTC day of arrival',
    COMMENT COLUMN rows 'landing rows, repeated deliveries included',
    COMMENT COLUMN events 'first copies',
    COMMENT COLUMN duplicates 'later copies',
    COMMENT COLUMN conflicting 'later copies with other content: the first stays',
    COMMENT COLUMN delay_p50_ms 'arrival minus event time, first copies',
    COMMENT COLUMN delay_p99_ms 'the same';

ALTER TABLE metrics.arrivals
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN kind 'recommendation, outcome or view',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN delay_ms 'ingested_at - timestamp, in milliseconds; history that is imported is as late as it is old';

ALTER TABLE metrics.pipeline_reports
    COMMENT COLUMN event_id 'the report\'s id',
    COMMENT COLUMN process_id 'one per process and start',
    COMMENT COLUMN kind 'kind of event',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN process_pid 'the system\'s process id',
    COMMENT COLUMN started_at 'when the process started counting',
    COMMENT COLUMN reported_at 'when it reported',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN emitted 'calls that were accepted or counted',
    COMMENT COLUMN delivered 'acknowledged',
    COMMENT COLUMN queued 'waiting or on the way',
    COMMENT COLUMN invalid_optional 'events that lost an optional value because it was wrong',
    COMMENT COLUMN dropped_invalid 'it does not fit the catalogue',
    COMMENT COLUMN dropped_no_admin 'the request\'s user is anonymous or was never loaded; decorate below the login check',
    COMMENT COLUMN dropped_not_staff 'the request\'s user is not staff; give the decorator audience= if others decide, too',
    COMMENT COLUMN dropped_refused_click 'the click did not come from a page of this site, or says nothing that can be counted',
    COMMENT COLUMN dropped_queue_full 'events come in faster than they are delivered, or the endpoint is down',
    COMMENT COLUMN dropped_rejected 'the endpoint refused it for good',
    COMMENT COLUMN dropped_after_shutdown 'the pipeline of this process was shut down',
    COMMENT COLUMN dropped_exit_deadline 'the process ended before the endpoint took it';

ALTER TABLE metrics.pipeline_health
    COMMENT COLUMN process_id 'one per process and start',
    COMMENT COLUMN kind 'kind of event',
    COMMENT COLUMN service_name 'service.name of the sending application',
    COMMENT COLUMN process_pid 'the system\'s process id',
    COMMENT COLUMN started_at 'when the process started counting',
    COMMENT COLUMN reported_at 'when it last reported',
    COMMENT COLUMN ingested_at 'when that report arrived (UTC)',
    COMMENT COLUMN emitted 'calls that were accepted or counted',
    COMMENT COLUMN delivered 'acknowledged',
    COMMENT COLUMN queued 'waiting or on the way',
    COMMENT COLUMN invalid_optional 'events that lost an optional value because it was wrong',
    COMMENT COLUMN dropped_invalid 'it does not fit the catalogue',
    COMMENT COLUMN dropped_no_admin 'the request\'s user is anonymous or was never loaded; decorate below the login check',
    COMMENT COLUMN dropped_not_staff 'the request\'s user is not staff; give the decorator audience= if others decide, too',
    COMMENT COLUMN dropped_refused_click 'the click did not come from a page of this site, or says nothing that can be counted',
    COMMENT COLUMN dropped_queue_full 'events come in faster than they are delivered, or the endpoint is down',
    COMMENT COLUMN dropped_rejected 'the endpoint refused it for good',
    COMMENT COLUMN dropped_after_shutdown 'the pipeline of this process was shut down',
    COMMENT COLUMN dropped_exit_deadline 'the process ended before the endpoint took it',
    COMMENT COLUMN arrived 'its events that are here, each once; NULL where the landing\'s retention has cleared some of them',
    COMMENT COLUMN missing 'delivered by its last report but not here: still in the Collector\'s queue, or lost behind its acknowledgement; at least so many, for what arrived since that report counts as arrived';

ALTER TABLE metrics.freshness
    COMMENT COLUMN node 'its host name',
    COMMENT COLUMN as_of 'when the last refresh that took something in began (UTC); NULL before the first',
    COMMENT COLUMN time_zone 'whose days the numbers are counted by',
    COMMENT COLUMN is_recomputing 'the time zone was changed, and some days are still those of the old one',
    COMMENT COLUMN waiting 'rows that have arrived since, copies included',
    COMMENT COLUMN waiting_since 'when the first of them arrived (UTC)';

ALTER TABLE metrics.pipeline_probes
    COMMENT COLUMN event_id 'the event\'s id, a UUIDv7 in lower case: log.record.uid',
    COMMENT COLUMN timestamp 'when it happened (UTC)',
    COMMENT COLUMN ingested_at 'when its first copy arrived (UTC)',
    COMMENT COLUMN probe_id 'the doctor\'s id',
    COMMENT COLUMN service_name 'service.name of the sending application';

ALTER TABLE metrics.retention
    COMMENT COLUMN what 'landing, quarantine, facts or numbers; outcomes are facts that are always kept',
    COMMENT COLUMN unit 'of the period: Day, Week, Month or Year; empty if it is kept for ever',
    COMMENT COLUMN kept_since 'the first day that is kept as a whole; NULL if it is kept for ever';

ALTER TABLE metrics.storage
    COMMENT COLUMN node 'its host name',
    COMMENT COLUMN table 'table of intel',
    COMMENT COLUMN disk 'ClickHouse\'s name of the disk',
    COMMENT COLUMN parts 'active parts',
    COMMENT COLUMN rows 'rows, copies that are not merged away yet included',
    COMMENT COLUMN bytes 'on disk, compressed',
    COMMENT COLUMN disk_free_bytes 'free on that disk',
    COMMENT COLUMN disk_total_bytes 'its size';

ALTER TABLE metrics.disks
    COMMENT COLUMN node 'its host name',
    COMMENT COLUMN disk 'ClickHouse\'s name of the disk',
    COMMENT COLUMN bytes 'what the tables take on it, compressed',
    COMMENT COLUMN free_bytes 'free',
    COMMENT COLUMN total_bytes 'its size',
    COMMENT COLUMN free_share 'free / size',
    COMMENT COLUMN bytes_per_day 'what a day\'s events take, by the arrivals of the last 7 days',
    COMMENT COLUMN days_left 'until it is full at that rate; NULL if nothing arrives';
