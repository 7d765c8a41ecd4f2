// Who is slow: the backend, the edge before it, or the page itself? All three, joined by host and time.
//
// Answers, a row for each window and host, ordered by both:
//   _time, host             when the window begins; the site
//   frontend_events, frontend_p99_ms      of browsers on its pages, with a duration
//   edge_requests, edge_errors, edge_p99_ms      what Caddy answered; of it 5xx; how long it took there, from the histogram's buckets: off by a
//                           bucket's width at most
//   backend_requests, backend_errors, backend_p99_ms      what the backend told of; of it 5xx
// What a host and window does not have is empty.
//
// Cost: reads each duration of browsers and backend in the range once, and cuts them into windows; and Caddy's counters: pods * methods * statuses *
// 12 buckets * scrapes. An hour at a time.
//
// Wrong to conclude: that the backend's rows are those of that host for sure. Backends name no host: their tenant's is taken, which is the one
// that its browsers are on in this range; a tenant that is on several, or whose events bear none, has its backend in a row of its own, host
// "(unknown)". That what is slow in one window was caused in it (a long request counts where it ends at the edge, and where it
// began in the page). That the last window is better than the others (it is not over yet).

import "array"
import "date"
import "dict"
import "strings"

bucket = "app_observability" // where the gateway and Telegraf write
start = -1h
stop = now()
every = 1m // how long a window is; not less than the time between two scrapes

from_window = date.truncate(t: start, unit: every)

per_window = (tables=<-, fn) =>
    tables
        |> group(columns: ["host"])
        |> keep(columns: ["host", "_start", "_stop", "_time", "_value"])
        |> aggregateWindow(every: every, fn: fn, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._time >= from_window)

// What becomes a column of the result.
column = (tables=<-, name) =>
    tables
        |> map(fn: (r) => ({_time: r._time, host: r.host, column: name, _value: float(v: r._value)}))
        |> group()

p99 = (column="_value", tables=<-) => tables |> quantile(q: 0.99, method: "estimate_tdigest", column: column)

// Caddy's counters grow for as long as their pod lives. What was counted is the difference from one scrape to the next, for each pod,
// host, method and status by itself; a pod that starts again starts at zero. It takes a scrape from before the first window.
caddy =
    from(bucket: bucket)
        |> range(start: date.sub(from: from_window, d: every), stop: stop)
        |> filter(fn: (r) => r._measurement == "caddy_http_requests")
        |> filter(fn: (r) => r._field == "count" or r._field == "duration_seconds_bucket")
        // A scrape on the minute (12:01:00) tells of the minute before.
        |> timeShift(duration: -1s)
        |> difference(nonNegative: true, initialZero: true)
requests = caddy |> filter(fn: (r) => r._field == "count")
edge_p99 =
    caddy
        |> filter(fn: (r) => r._field == "duration_seconds_bucket")
        |> group(columns: ["host", "le"])
        |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._time >= from_window)
        |> map(fn: (r) => ({r with le: float(v: r.le)}))
        |> group(columns: ["host", "_time"])
        |> histogramQuantile(quantile: 0.99, onNonmonotonic: "force")
        |> filter(fn: (r) => exists r._value)
        |> map(fn: (r) => ({r with _value: r._value * 1000.0}))

browsers = () =>
    from(bucket: bucket)
        |> range(start: from_window, stop: stop)
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms" and exists r.host)
durations = browsers() |> toFloat()

// The host of each tenant, if it is on one only.
hosts =
    browsers()
        |> group(columns: ["tenant_id", "host"])
        |> first()
        |> group(columns: ["tenant_id"])
        |> reduce(
            identity: {host: ""},
            fn: (r, accumulator) => ({host: if accumulator.host == "" then r.host else "(unknown)"}),
        )
        |> map(fn: (r) => ({pair: r.tenant_id + "\n" + r.host}))
        |> group()
        |> findColumn(fn: (key) => true, column: "pair")
host_of =
    dict.fromList(
        pairs:
            array.map(
                arr: array.concat(arr: ["\n(unknown)"], v: hosts),
                fn: (x) => ({key: strings.split(v: x, t: "\n")[0], value: strings.split(v: x, t: "\n")[1]}),
            ),
    )
backend = () =>
    from(bucket: bucket)
        |> range(start: from_window, stop: stop)
        |> filter(fn: (r) => r._measurement == "backend_api_latency" and r._field == "latency_ms")
with_host = (tables=<-) =>
    tables
        |> map(
            fn: (r) =>
                ({
                    _time: r._time,
                    _start: r._start,
                    _stop: r._stop,
                    _value: float(v: r._value),
                    host: if exists r.host then r.host else dict.get(dict: host_of, key: r.tenant_id, default: "(unknown)"),
                }),
        )
latencies = backend() |> with_host()

union(
    tables: [
        durations |> per_window(fn: count) |> column(name: "frontend_events"),
        durations |> per_window(fn: p99) |> column(name: "frontend_p99_ms"),
        requests |> per_window(fn: sum) |> column(name: "edge_requests"),
        requests |> filter(fn: (r) => r.status_code =~ /^5/) |> per_window(fn: sum) |> column(name: "edge_errors"),
        edge_p99 |> column(name: "edge_p99_ms"),
        latencies |> per_window(fn: count) |> column(name: "backend_requests"),
        backend()
            |> filter(fn: (r) => r.status_code =~ /^5/)
            |> with_host()
            |> per_window(fn: count)
            |> column(name: "backend_errors"),
        latencies |> per_window(fn: p99) |> column(name: "backend_p99_ms"),
    ],
)
    |> pivot(rowKey: ["_time", "host"], columnKey: ["column"], valueColumn: "_value")
    |> group()
    |> sort(columns: ["_time", "host"])
