// How fast was each action of each tenant, hour by hour? The minutes of `frontend_performance_1m`, added up.
//
// Writes `frontend_performance_1h` (tags tenant_id, view_name, action_name; a row's time is the beginning of its hour) with the fields of
// `frontend_performance_1m`: count, sum, min, max and the buckets are those of its minutes together; p50, p95 and p99 are taken from the buckets,
// off by 1.75% at most.
//
// Answers the number of values that it wrote; no row: nothing was to be written.
//
// Runs every ten minutes and looks a day back: it computes again from the first hour whose minutes count more events than its row does. An hour that is
// computed again overwrites itself. For the past, `tagline rollup --since` runs this same file over older times, after that of the minutes.
//
// Cost: the counts of the range's minutes are added up; the minutes of hours to compute are read once. No event is read.
//
// Wrong to conclude: that the newest hour is here. It is, up to ten minutes after its end; until then the minutes have it.

import "date"

option task = {name: "tagline rollup 1h", every: 10m, offset: 30s}

rollup_bucket = "app_observability_rollup"
start = -1d
stop = now() // the hour that is not over yet is left out

tags = ["tenant_id", "view_name", "action_name"]

from_hour = date.truncate(t: start, unit: 1h)
to_hour = date.truncate(t: stop, unit: 1h)

rows = (since, measurement) =>
    from(bucket: rollup_bucket)
        |> range(start: since, stop: to_hour)
        |> filter(fn: (r) => r._measurement == measurement)

counted = (measurement) => rows(since: from_hour, measurement: measurement) |> filter(fn: (r) => r._field == "count")

// How many events each tenant has in the minutes of an hour, less those that its row of the hour counts. Rows may count more: minutes expire before
// them where somebody wants that.
missing =
    union(
        tables: [
            counted(measurement: "frontend_performance_1m"),
            counted(measurement: "frontend_performance_1h") |> map(fn: (r) => ({r with _value: 0.0 - r._value})),
        ],
    )
        |> keep(columns: ["_start", "_stop", "_time", "_value", "tenant_id"])
        |> group(columns: ["tenant_id"])
        |> aggregateWindow(every: 1h, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._value > 0.0)
        |> group()
        |> sort(columns: ["_time"])
        |> limit(n: 1)
        |> findColumn(fn: (key) => true, column: "_time")

// The first hour to compute. When there is none, a nanosecond that has no minute in it, for a range may not be empty.
first = if length(arr: missing) > 0 then missing[0] else date.sub(from: to_hour, d: 1ns)

minutes = rows(since: first, measurement: "frontend_performance_1m")

as_rows = (tables=<-) =>
    tables
        |> duplicate(column: "_start", as: "_time")
        |> group(columns: tags)

simple = (fields, fn) =>
    minutes
        |> filter(fn: fields)
        |> window(every: 1h)
        |> fn()
        |> as_rows()

// The buckets of each hour, and how many events are in each and all below it (`n`).
buckets =
    minutes
        |> filter(fn: (r) => r._field =~ /^b[0-9]/)
        |> group(columns: tags)
        |> keep(columns: ["_start", "_stop", "_time", "_value", "_field", "tenant_id", "view_name", "action_name"])
        |> window(every: 1h)
        |> duplicate(column: "_value", as: "n")
        |> sort(columns: ["_field"])
        |> cumulativeSum(columns: ["n"])
        |> sort(columns: ["_field", "n"], desc: true)
        |> unique(column: "_field")
        |> sort(columns: ["_field"])
        |> duplicate(column: "n", as: "below")
        |> difference(columns: ["below"], keepFirst: true)
        |> as_rows()
        |> sort(columns: ["_time"])
        |> map(fn: (r) => ({r with _value: if exists r.below then r.below else r.n}))
        |> map(fn: (r) => ({r with below: r.n - r._value}))

// A bucket's number out of its name, whose digits are read as hexadecimal ones (Flux does that on whole columns), and its geometric middle; as
// a step of the cumulative distribution, which histogramQuantile() then gives back as it is: it interpolates from the lower end of a step to the upper.
middles =
    buckets
        |> map(fn: (r) => ({r with hex: float(v: "0x" + r._field + "p0") % 65536.0}))
        |> map(fn: (r) => ({r with ones: r.hex % 16.0, tens: (r.hex - r.hex % 16.0) / 16.0 % 16.0, hundreds: (r.hex - r.hex % 256.0) / 256.0}))
        |> map(fn: (r) => ({r with le: 2.0 ^ ((100.0 * r.hundreds + 10.0 * r.tens + r.ones - 0.5) / 20.0)}))
        |> keep(columns: ["_time", "n", "below", "le", "tenant_id", "view_name", "action_name"])

steps =
    union(
        tables: [
            middles |> map(fn: (r) => ({r with _value: r.n})),
            middles |> map(fn: (r) => ({r with _value: r.below, le: r.le * 0.999999})),
        ],
    )
        |> group(columns: ["_time", "tenant_id", "view_name", "action_name"])
        |> sort(columns: ["le"])

// By nearest rank. Where q of the events is a whole number of them, histogramQuantile() takes the event after that: hence a little less.
percentile = (q, name) =>
    steps
        |> histogramQuantile(quantile: q - 0.000000001)
        |> set(key: "_field", value: name)

union(
    tables: [
        simple(fields: (r) => r._field == "count" or r._field == "sum", fn: sum),
        simple(fields: (r) => r._field == "min", fn: min),
        simple(fields: (r) => r._field == "max", fn: max),
        percentile(q: 0.5, name: "p50"),
        percentile(q: 0.95, name: "p95"),
        percentile(q: 0.99, name: "p99"),
        buckets,
    ],
)
    |> group(columns: tags)
    |> keep(columns: ["_time", "_value", "_field", "tenant_id", "view_name", "action_name"])
    |> set(key: "_measurement", value: "frontend_performance_1h")
    |> to(bucket: rollup_bucket, tagColumns: tags)
    |> group()
    |> count()
    |> rename(columns: {_value: "values"})
