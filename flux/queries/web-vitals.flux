// Which pages do their visitors find good, and which poor?
//
// Answers, a row for each tenant, metric and path, the poorest first:
//   tenant_id, metric, path       metric: lcp, inp, cls, fcp or ttfb; path as a template (/orders/:id), "(none)" where none was sent
//   events                        how many visits measured it
//   good_share, fair_share, poor_share      by the published thresholds; 0 to 1, together 1
//   p75                           ms (cls: without a unit): three visits of four were no worse; what the thresholds are meant for
//
//   metric      good up to      poor beyond
//   lcp         2500 ms         4000 ms
//   inp          200 ms          500 ms
//   cls          0.1             0.25
//   fcp         1800 ms         3000 ms
//   ttfb         800 ms         1800 ms
//
// Cost: reads each measured value in the range once for the P75; the shares are counts that the storage makes.
//
// Wrong to conclude: that a page is good because its mean is (look at poor_share); that a path with few visits tells (below 100, hardly); that
// browsers which do not measure a metric (INP and LCP only in some) find it good.

import "strings"

bucket = "app_observability" // where the gateway writes
tenant = "" // one tenant; "" is all
start = -1h
stop = now()

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `tenant == "" or …` it takes none.
of_tenant = if tenant == "" then (r) => true else (r) => r.tenant_id == tenant

// A function, so that each count is a read of its own, which the storage answers with its sums.
measured = () =>
    from(bucket: bucket)
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement =~ /^web_vitals_(lcp|inp|cls|fcp|ttfb)$/ and r._field == "value")
        |> filter(fn: of_tenant)
good = (r) =>
    r._measurement == "web_vitals_lcp" and r._value <= 2500.0 or r._measurement == "web_vitals_inp" and r._value
        <=
        200.0 or r._measurement == "web_vitals_cls" and r._value <= 0.1 or r._measurement == "web_vitals_fcp" and r._value
        <=
        1800.0 or r._measurement == "web_vitals_ttfb" and r._value <= 800.0
poor = (r) =>
    r._measurement == "web_vitals_lcp" and r._value > 4000.0 or r._measurement == "web_vitals_inp" and r._value
        >
        500.0 or r._measurement == "web_vitals_cls" and r._value > 0.25 or r._measurement == "web_vitals_fcp" and r._value
        >
        3000.0 or r._measurement == "web_vitals_ttfb" and r._value > 1800.0

page = ["tenant_id", "_measurement", "path"]
column = (tables=<-, name) =>
    tables
        |> map(
            fn: (r) =>
                ({
                    tenant_id: r.tenant_id,
                    measurement: r._measurement,
                    // Who groups by a tag that some series do not have gets "" for it.
                    path: if exists r.path and r.path != "" then r.path else "(none)",
                    _value: float(v: r._value),
                    column: name,
                }),
        )
        |> group()

union(
    tables: [
        measured() |> group(columns: page) |> count() |> column(name: "events"),
        measured() |> filter(fn: good) |> group(columns: page) |> count() |> column(name: "good"),
        measured() |> filter(fn: poor) |> group(columns: page) |> count() |> column(name: "poor"),
        measured()
            |> group(columns: page)
            |> keep(columns: ["tenant_id", "_measurement", "path", "_value"])
            |> quantile(q: 0.75, method: "estimate_tdigest")
            |> column(name: "p75"),
    ],
)
    |> pivot(rowKey: ["tenant_id", "measurement", "path"], columnKey: ["column"], valueColumn: "_value")
    |> map(
        fn: (r) => {
            good = (if exists r.good then r.good else 0.0) / r.events
            poor = (if exists r.poor then r.poor else 0.0) / r.events

            return {
                tenant_id: r.tenant_id,
                metric: strings.trimPrefix(v: r.measurement, prefix: "web_vitals_"),
                path: r.path,
                events: int(v: r.events),
                good_share: good,
                fair_share: 1.0 - good - poor,
                poor_share: poor,
                p75: r.p75,
                order: -poor,
            }
        },
    )
    |> sort(columns: ["order", "tenant_id", "metric", "path"])
    |> drop(columns: ["order"])
