// Is it Caddy and what stands behind it that is slow, or the page itself? Edge and frontend, joined by host and minute.
//
//   requests          that Caddy answered
//   errors            of them, those answered with 5xx
//   edge_p99_ms       the 99th percentile of how long they took there, from the histogram's buckets: off by a bucket's width at most
//   events            of browsers, with a duration
//   frontend_p99_ms   the 99th percentile of these durations
//
// A host and minute that has only one of the two sides is a row with the other's columns empty. The last minute is not over yet.

import "date"

bucket = "app_observability"
start = -1h
stop = now()
every = 1m

from_minute = date.truncate(t: start, unit: every)

// Caddy's counters grow for as long as their pod lives. What was counted is the difference from one scrape to the next, for each pod,
// host, method and status by itself; a pod that starts again starts at zero. It takes a scrape from before the first minute.
caddy =
    from(bucket: bucket)
        |> range(start: date.sub(from: from_minute, d: every), stop: stop)
        |> filter(fn: (r) => r._measurement == "caddy_http_requests")
        // A scrape on the minute (12:01:00) tells of the minute before.
        |> timeShift(duration: -1s)
        |> difference(nonNegative: true, initialZero: true)

// What a host counted in each minute, all its pods, methods and statuses together.
per_minute = (tables=<-) =>
    tables
        |> group(columns: ["host"])
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._time >= from_minute)

// What becomes a column of the result.
column = (tables=<-, name) =>
    tables
        |> map(fn: (r) => ({_time: r._time, host: r.host, column: name, _value: float(v: r._value)}))
        |> group()

requests = caddy |> filter(fn: (r) => r._field == "count") |> per_minute() |> column(name: "requests")

errors =
    caddy
        |> filter(fn: (r) => r._field == "count" and r.status_code =~ /^5/)
        |> per_minute()
        |> column(name: "errors")

edge_p99 =
    caddy
        |> filter(fn: (r) => r._field == "duration_seconds_bucket")
        |> group(columns: ["host", "le"])
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._time >= from_minute)
        |> map(fn: (r) => ({r with le: float(v: r.le)}))
        |> group(columns: ["host", "_time"])
        |> histogramQuantile(quantile: 0.99, onNonmonotonic: "force")
        |> filter(fn: (r) => exists r._value)
        |> map(fn: (r) => ({r with _value: r._value * 1000.0}))
        |> column(name: "edge_p99_ms")

browsers =
    from(bucket: bucket)
        |> range(start: from_minute, stop: stop)
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms" and exists r.host)
        |> toFloat()
        // One percentile a host, not one for each session, view and action.
        |> group(columns: ["host"])

events =
    browsers
        |> aggregateWindow(every: every, fn: count, createEmpty: false, timeSrc: "_start")
        |> column(name: "events")

frontend_p99 =
    browsers
        |> aggregateWindow(
            every: every,
            fn: (column, tables=<-) => tables |> quantile(q: 0.99, method: "estimate_tdigest", column: column),
            createEmpty: false,
            timeSrc: "_start",
        )
        |> column(name: "frontend_p99_ms")

union(tables: [requests, errors, edge_p99, events, frontend_p99])
    |> pivot(rowKey: ["_time", "host"], columnKey: ["column"], valueColumn: "_value")
    |> group()
    |> sort(columns: ["_time", "host"])
