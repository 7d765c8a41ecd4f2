// How slow was each tenant over days, and how much did it send? From the rollups.
//
// Answers, one row a tenant, ordered by tenant_id:
//   tenant_id, events       whose, and how many events have a duration
//   p50, p95, p99           ms: half, 95% and 99% of them took no longer; off by 1.75% at most
//   last                    the last minute (of older ranges: hour) in which there was one
//
// Cost: adds up the buckets of whole hours, and those of minutes for what is left at both ends; no event is read, and the storage makes the
// sums.
//
// Wrong to conclude: that it is as new as summary (the newest minute is missing, and what came more than ten minutes late); that a tenant
// without a row sent nothing (the rollups may be younger than its events: `tagline rollup`); and what summary says of percentiles.

import "array"
import "date"
import "math"
import "strings"

rollup_bucket = "app_observability_rollup" // where the rollup tasks write
tenant = "" // one tenant; "" is all
view = "" // one view; "" is all
action = "" // one action; "" is all
start = -24h
stop = now()

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `tenant == "" or …` it takes none.
of_tenant = if tenant == "" then (r) => true else (r) => r.tenant_id == tenant
of_view = if view == "" then (r) => true else (r) => r.view_name == view
of_action = if action == "" then (r) => true else (r) => r.action_name == action

// Of a rollup all buckets between two moments; of an empty range those of the beginning of time, when there was nothing.
buckets = (measurement, from_time, to_time) =>
    from(bucket: rollup_bucket)
        |> range(
            start: if from_time < to_time then from_time else time(v: 0),
            stop: if from_time < to_time then to_time else time(v: 1),
        )
        |> filter(fn: (r) => r._measurement == measurement and r._field =~ /^b[0-9]+$/)
        |> filter(fn: of_tenant)
        |> filter(fn: of_view)
        |> filter(fn: of_action)

// Whole hours from the rollup of hours, as far as its task is sure to have run; the rest from that of minutes.
from_minute = date.truncate(t: start, unit: 1m)
to_minute = date.add(to: stop, d: 0s)
next_hour = date.truncate(t: date.add(to: from_minute, d: 59m), unit: 1h)
sure = date.truncate(t: date.sub(from: now(), d: 15m), unit: 1h)
end_hour = if sure < to_minute then sure else date.truncate(t: to_minute, unit: 1h)
has_hours = next_hour < end_hour
from_hour = if has_hours then next_hour else to_minute
to_hour = if has_hours then end_hour else to_minute

parts = [
    {measurement: "frontend_performance_1m", from_time: from_minute, to_time: from_hour},
    {measurement: "frontend_performance_1h", from_time: from_hour, to_time: to_hour},
    {measurement: "frontend_performance_1m", from_time: to_hour, to_time: to_minute},
]
sums = (part) =>
    buckets(measurement: part.measurement, from_time: part.from_time, to_time: part.to_time)
        |> group(columns: ["tenant_id", "_field"])
        |> sum()
lasts = (part) =>
    buckets(measurement: part.measurement, from_time: part.from_time, to_time: part.to_time)
        |> group(columns: ["tenant_id"])
        |> last()

// How many events are in each bucket and those below it (`up`), and in each and those above it (`down`); which share of all that `up` is.
steps =
    union(tables: array.map(arr: parts, fn: (x) => sums(part: x)))
        |> group(columns: ["tenant_id"])
        |> keep(columns: ["tenant_id", "_field", "_value"])
        |> sort(columns: ["_field"])
        |> duplicate(column: "_value", as: "up")
        |> cumulativeSum(columns: ["up"])
        |> sort(columns: ["up"], desc: true)
        |> duplicate(column: "_value", as: "down")
        |> cumulativeSum(columns: ["down"])
        |> map(fn: (r) => ({r with share: r.up / (r.up + r.down - r._value)}))

// The middle, as ratios go, of the lowest bucket that reaches a share of all events.
middle = (field) => math.pow(x: 2.0, y: (float(v: strings.substring(v: field, start: 1, end: 5)) - 0.5) / 20.0)
percentile = (q, name) =>
    steps
        |> filter(fn: (r) => r.share >= q)
        |> last(column: "up")
        |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: middle(field: r._field), column: name}))

union(
    tables: [
        percentile(q: 0.5, name: "p50"),
        percentile(q: 0.95, name: "p95"),
        percentile(q: 0.99, name: "p99"),
        steps |> max(column: "up") |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: r.up, column: "events"})),
        union(tables: array.map(arr: parts, fn: (x) => lasts(part: x)))
            |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: float(v: int(v: r._time) / 1000000)}))
            |> group(columns: ["tenant_id"])
            |> max()
            |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: r._value, column: "last_ms"})),
    ],
)
    |> group()
    |> pivot(rowKey: ["tenant_id"], columnKey: ["column"], valueColumn: "_value")
    |> map(
        fn: (r) =>
            ({
                tenant_id: r.tenant_id,
                events: int(v: r.events),
                p50: r.p50,
                p95: r.p95,
                p99: r.p99,
                last: time(v: int(v: r.last_ms) * 1000000),
            }),
    )
    |> sort(columns: ["tenant_id"])
