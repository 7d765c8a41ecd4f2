// Is one tenant slower than another, since when, and by how much, over days? From the rollups.
//
// Answers, a row for each window in which either has events, in the order of time:
//   _time                       when the window begins
//   events_a, events_b          how many events of each have a duration
//   p50_a, p50_b, p95_a, p95_b, p99_a, p99_b      ms, off by 1.75% at most; none where that tenant has no events
//   p99_difference              p99_a - p99_b, in ms; none where one of them is missing
//
// Cost: adds up the buckets of hours where `every` is whole hours, else those of minutes; no event is read.
//
// Wrong to conclude: that two P99s differ which differ by less than 3.5% (each is the middle of its bucket); that it is as new as compare (the
// newest minute is missing, and what came more than ten minutes late); and what compare says.

import "date"
import "math"
import "strings"

rollup_bucket = "app_observability_rollup" // where the rollup tasks write
tenant_a = "acme" // the one that is slow
tenant_b = "globex" // the one that it is held against
view = "" // one view; "" is all
action = "" // one action; "" is all
start = -24h
stop = now()
every = 1h // how long a window is

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `view == "" or …` it takes none.
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
        |> filter(fn: (r) => r.tenant_id == tenant_a or r.tenant_id == tenant_b)
        |> filter(fn: of_view)
        |> filter(fn: of_action)

// Windows of whole hours are made of the rollup of hours, as far as its task is sure to have run, and of that of minutes since; shorter
// ones of that of minutes.
from_window = date.truncate(t: start, unit: every)
to_minute = date.add(to: stop, d: 0s)
sure = date.truncate(t: date.sub(from: now(), d: 15m), unit: 1h)
end_hour = if sure < to_minute then sure else date.truncate(t: to_minute, unit: 1h)
whole_hours = int(v: every) % 3600000000000 == 0
to_hour = if whole_hours and from_window < end_hour then end_hour else from_window

hours =
    buckets(measurement: "frontend_performance_1h", from_time: from_window, to_time: to_hour)
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
minutes =
    buckets(measurement: "frontend_performance_1m", from_time: to_hour, to_time: to_minute)
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
// A window that is of hours and minutes begins with its hours.
whole_windows = if from_window < to_hour then minutes |> truncateTimeColumn(unit: every) else minutes

// How many events are in each bucket and those below it (`up`), and in each and those above it (`down`); which share of all that `up` is.
steps =
    union(tables: [hours, whole_windows])
        |> keep(columns: ["_time", "tenant_id", "_field", "_value"])
        // By tenant, and only when sorted by window too: to sort out mixed rows takes Flux ten times as long.
        |> group(columns: ["tenant_id"])
        |> sort(columns: ["_time", "_field"])
        |> group(columns: ["tenant_id", "_time"])
        |> duplicate(column: "_value", as: "up")
        |> cumulativeSum(columns: ["up"])
        |> sort(columns: ["up"], desc: true)
        |> duplicate(column: "_value", as: "down")
        |> cumulativeSum(columns: ["down"])
        |> map(fn: (r) => ({r with share: r.up / (r.up + r.down - r._value)}))

// The middle, as ratios go, of the lowest bucket that reaches a share of all events.
middle = (field) => math.pow(x: 2.0, y: (float(v: strings.substring(v: field, start: 1, end: 5)) - 0.5) / 20.0)
column = (r, name, value) =>
    ({_time: r._time, _value: value, column: name + (if r.tenant_id == tenant_a then "_a" else "_b")})
percentile = (q, name) =>
    steps
        |> filter(fn: (r) => r.share >= q)
        |> last(column: "up")
        |> map(fn: (r) => column(r: r, name: name, value: middle(field: r._field)))

union(
    tables: [
        percentile(q: 0.5, name: "p50"),
        percentile(q: 0.95, name: "p95"),
        percentile(q: 0.99, name: "p99"),
        steps |> max(column: "up") |> map(fn: (r) => column(r: r, name: "events", value: r.up)),
    ],
)
    |> group()
    |> pivot(rowKey: ["_time"], columnKey: ["column"], valueColumn: "_value")
    |> map(
        fn: (r) =>
            ({
                _time: r._time,
                events_a: if exists r.events_a then int(v: r.events_a) else 0,
                events_b: if exists r.events_b then int(v: r.events_b) else 0,
                p50_a: r.p50_a,
                p50_b: r.p50_b,
                p95_a: r.p95_a,
                p95_b: r.p95_b,
                p99_a: r.p99_a,
                p99_b: r.p99_b,
                p99_difference: r.p99_a - r.p99_b,
            }),
    )
    |> sort(columns: ["_time"])
