-- View events of `days`, that new ones are of. Reads the facts; writes intel.days_engagement.

INSERT INTO intel.days_engagement
    (day, service_name, engine_version, admin_id, view_kind, events, hours, cycle)
SELECT
    toDate(timestamp, {time_zone:String}) AS day,
    service_name, engine_version, admin_id, view_kind,
    count() AS events,
    sumMap(map(toHour(timestamp, {time_zone:String}), toUInt64(1))) AS hours,
    {cycle:UInt32} AS cycle
FROM intel.admin_views FINAL
WHERE day IN {days:Array(Date)}
GROUP BY day, service_name, engine_version, admin_id, view_kind;
