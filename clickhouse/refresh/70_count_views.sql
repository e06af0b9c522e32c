-- View events of the days that new ones are of. Reads the facts; writes intel.days_engagement.

INSERT INTO intel.days_engagement
    (day, service_name, engine_version, admin_id, view_kind, events, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day
    FROM intel.admin_views
    WHERE cycle >= {since:UInt32}
        AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
        AND day >= {kept:Date}
)
SELECT
    day, service_name, engine_version, admin_id, view_kind,
    sum(count) AS events,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT toDate(timestamp, {time_zone:String}) AS day, service_name, engine_version, admin_id, view_kind, count() AS count
    FROM intel.admin_views FINAL
    WHERE day GLOBAL IN (SELECT day FROM touched)
    GROUP BY day, service_name, engine_version, admin_id, view_kind
    UNION ALL
    SELECT day, service_name, engine_version, admin_id, view_kind, 0
    FROM intel.days_engagement
    WHERE day GLOBAL IN (SELECT day FROM touched)
)
GROUP BY day, service_name, engine_version, admin_id, view_kind;
