// How long does one of the things take that the gateway measures of itself?
//
// Answers, a row for each window, ordered by time:
//   _time           the beginning of each window
//   p50, p95, p99   in ms, all replicas together, from the histogram's buckets: off by a bucket's width at most
//
// Cost: the histogram's points in the range: one for each scrape (15 s), replica and bucket. Two hours of
// one replica with 14 buckets are 6,700 points.
//
// Wrong to conclude: a time for a single tenant; all of them wait for the same disk and the same InfluxDB. A window in which nothing was measured
// is left out, which is no zero.

import "date"

bucket = "app_observability"
histogram = "spool_fsync_seconds" // a metric of the type histogram that is in seconds, without `tagline_`: docs/operations.md has them all
start = -1h
stop = now()
every = 1m

first = date.truncate(t: start, unit: every)

grown =
    from(bucket: bucket)
        // A window's first difference needs the scrape before it.
        |> range(start: date.sub(from: first, d: every), stop: stop)
        |> filter(fn: (r) => r._measurement == "gateway_metrics" and r._field == histogram + "_bucket")
        // For each series by itself. A gateway that starts again begins at zero.
        |> difference(nonNegative: true, initialZero: true)
        // A scrape on the minute (12:01:00) tells of the minute before.
        |> timeShift(duration: -1s)
        |> group(columns: ["le"])
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._time >= first)
        |> map(fn: (r) => ({_time: r._time, le: float(v: r.le), _value: r._value}))
        |> group(columns: ["_time"])

quantile_of = (q, name) =>
    grown
        |> histogramQuantile(quantile: q, onNonmonotonic: "force")
        |> filter(fn: (r) => exists r._value)
        |> map(fn: (r) => ({_time: r._time, name: name, _value: r._value * 1000.0}))

union(
    tables: [
        quantile_of(q: 0.5, name: "p50"),
        quantile_of(q: 0.95, name: "p95"),
        quantile_of(q: 0.99, name: "p99"),
    ],
)
    |> group()
    |> pivot(rowKey: ["_time"], columnKey: ["name"], valueColumn: "_value")
    |> sort(columns: ["_time"])
