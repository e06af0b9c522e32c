-- Takes along what is known of signals from facts that may be deleted, those of days before `kept`. Reads intel.signals of
-- the older generations; writes a new one. The other facts are added to it afterwards.

INSERT INTO intel.signals
    (risk_signal_id, generation, first_viewed_at, first_view, view_days, first_decided_at, cycle)
SELECT
    risk_signal_id,
    {generation:UInt32} AS generation,
    minOrNullIf(s.first_viewed_at, toDate(s.first_viewed_at, {time_zone:String}) < {kept:Date}) AS first_viewed_at,
    argMinMergeStateIf(s.first_view, ifNull(toDate(s.first_viewed_at, {time_zone:String}) < {kept:Date}, false)) AS first_view,
    arrayFilter(day -> day < {kept:Date}, groupUniqArrayArray(s.view_days)) AS view_days,
    minOrNullIf(s.first_decided_at, toDate(s.first_decided_at, {time_zone:String}) < {kept:Date}) AS first_decided_at,
    {cycle:UInt32} AS cycle
FROM intel.signals AS s
WHERE s.generation < {generation:UInt32}
GROUP BY risk_signal_id
HAVING isNotNull(first_viewed_at) OR isNotNull(first_decided_at);
