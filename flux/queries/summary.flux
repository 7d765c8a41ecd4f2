// How slow is each tenant, and how much did it send?
//
// Answers, one row a tenant, ordered by tenant_id:
//   tenant_id, events       whose, and how many events have a duration
//   p50, p95, p99           ms: half, 95% and 99% of them took no longer
//   last                    when the last of them happened, to the millisecond
//
// Cost: reads each duration in the range once. Measured: 1.4 million rows of 8,000 series in 2.0 s,
// 60,000 in 0.6 s. For more than some hours of everybody ask summary-rollup.
//
// Wrong to conclude: that a tenant without a row is well (it sent nothing: see the deadman check); that the P99 of few events
// means much (below 100 events it is the slowest of them); that two P99s can be averaged, or their views' be added up to theirs.

bucket = "app_observability" // where the gateway writes
tenant = "" // one tenant; "" is all
view = "" // one view; "" is all
action = "" // one action; "" is all
start = -1h
stop = now()

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `tenant == "" or …` it takes none.
of_tenant = if tenant == "" then (r) => true else (r) => r.tenant_id == tenant
of_view = if view == "" then (r) => true else (r) => r.view_name == view
of_action = if action == "" then (r) => true else (r) => r.action_name == action

values =
    from(bucket: bucket)
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms")
        |> filter(fn: of_tenant)
        |> filter(fn: of_view)
        |> filter(fn: of_action)
        // One percentile a tenant, not one for each series.
        |> group(columns: ["tenant_id"])
        // Fewer columns first: that halves the time.
        |> keep(columns: ["tenant_id", "_time", "_value"])
        |> toFloat()
percentile = (q, name) =>
    values
        |> quantile(q: q, method: "estimate_tdigest")
        |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: r._value, column: name}))
events = values |> count() |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: float(v: r._value), column: "events"}))
last_ms =
    values
        |> max(column: "_time")
        |> map(fn: (r) => ({tenant_id: r.tenant_id, _value: float(v: int(v: r._time) / 1000000), column: "last_ms"}))

union(
    tables: [
        percentile(q: 0.5, name: "p50"),
        percentile(q: 0.95, name: "p95"),
        percentile(q: 0.99, name: "p99"),
        events,
        last_ms,
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
