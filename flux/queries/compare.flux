// Is one tenant slower than another, since when, and by how much?
//
// Answers, a row for each window in which either has events, in the order of time:
//   _time                       when the window begins
//   events_a, events_b          how many events of each have a duration
//   p50_a, p50_b, p95_a, p95_b, p99_a, p99_b      ms; none where that tenant has no events
//   p99_difference              p99_a - p99_b, in ms; none where one of them is missing
//
// Cost: reads each duration of the two tenants in the range once, and cuts it into windows, which costs more than reading it. Measured: 40,000
// rows of 6,000 series in 0.5 s, 1.1 million in 5 s. For more than a few hours ask compare-rollup.
//
// Wrong to conclude: that the slower tenant has the worse software (it may use other views: explain tells; narrow both to one view and
// action first); that a window with few events means much (below 100 events a P99 is the slowest event); that the last window is better
// than the others (it is not over yet).

import "date"

bucket = "app_observability" // where the gateway writes
tenant_a = "acme" // the one that is slow
tenant_b = "globex" // the one that it is held against
view = "" // one view; "" is all
action = "" // one action; "" is all
start = -1h
stop = now()
every = 5m // how long a window is

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `view == "" or …` it takes none.
of_view = if view == "" then (r) => true else (r) => r.view_name == view
of_action = if action == "" then (r) => true else (r) => r.action_name == action

values =
    from(bucket: bucket)
        // Whole windows only: the first would otherwise be a part.
        |> range(start: date.truncate(t: start, unit: every), stop: stop)
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms")
        |> filter(fn: (r) => r.tenant_id == tenant_a or r.tenant_id == tenant_b)
        |> filter(fn: of_view)
        |> filter(fn: of_action)
        // One percentile a tenant, not one for each series.
        |> group(columns: ["tenant_id"])
        // Fewer columns first: that halves the time.
        |> keep(columns: ["tenant_id", "_time", "_value"])
        |> toFloat()
        |> window(every: every)

column = (tables=<-, name) =>
    tables
        |> map(
            fn: (r) =>
                ({
                    _time: r._start,
                    _value: float(v: r._value),
                    column: name + (if r.tenant_id == tenant_a then "_a" else "_b"),
                }),
        )
percentile = (q, name) => values |> quantile(q: q, method: "estimate_tdigest") |> column(name: name)

union(
    tables: [
        percentile(q: 0.5, name: "p50"),
        percentile(q: 0.95, name: "p95"),
        percentile(q: 0.99, name: "p99"),
        values |> count() |> column(name: "events"),
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
