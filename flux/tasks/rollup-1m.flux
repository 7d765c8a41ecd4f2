// How fast was each action of each tenant, minute by minute? Kept for longer than the events, and quick to ask over days.
//
// Writes `frontend_performance_1m` (tags tenant_id, view_name, action_name; a row's time is the beginning of its minute), all of duration_ms:
//
//   count, sum, min, max   of the minute's events
//   p50, p95, p99          of the minute alone: percentiles of minutes cannot be averaged
//   b0000, b0001 …         how many events fell in bucket i: 0 is up to 1 ms, i is above 2^((i-1)/20) up to 2^(i/20) ms. Buckets can be added up,
//                          over minutes, actions and tenants, and give any percentile back: the middle of its bucket is off by 1.75% at most.
//                          A bucket without events is not written.
//
// Answers the number of values that it wrote.
//
// Runs every minute over the ten minutes before: an event that comes up to nine minutes late is counted by a later run. A minute that is computed
// again overwrites itself. For events that come later than that, and for the past, `tagline rollup --since` runs this same file over older times.
//
// Cost: reads the events of the range once; writes 7 values and one for each used bucket, a minute, tenant, view and action.
//
// Wrong to conclude: that a minute without a row had no visitors. It had no event that arrived; and one that came late is missing until it is
// computed again.

import "date"

option task = {name: "tagline rollup 1m", every: 1m, offset: 10s}

bucket = "app_observability" // where the gateway writes
rollup_bucket = "app_observability_rollup"
start = -10m
stop = now() // the minute that is not over yet is left out

tags = ["tenant_id", "view_name", "action_name"]

// Each event with the number of its bucket, `i` = ceil(20 * log2(duration)): `i` takes the powers of two, 20 for each, until 1 < m <= 2; then the bounds
// between them, 2^(k/20), that `m` is above. So in comparisons because Flux runs these on whole columns, 100 times as fast as a function on each row.
minutes =
    from(bucket: bucket)
        |> range(start: date.truncate(t: start, unit: 1m), stop: date.truncate(t: stop, unit: 1m))
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms")
        |> group(columns: tags)
        |> keep(columns: ["_start", "_stop", "_time", "_value", "tenant_id", "view_name", "action_name"])
        |> toFloat()
        |> map(fn: (r) => ({r with n: 1.0, i: 0.0, m: r._value}))
        |> map(
            fn: (r) =>
                ({r with
                    i: if r.m > 65536.0 then r.i + 320.0 else r.i,
                    m: if r.m > 65536.0 then r.m / 65536.0 else r.m,
                }),
        )
        |> map(
            fn: (r) =>
                ({r with
                    i: if r.m > 256.0 then r.i + 160.0 else r.i,
                    m: if r.m > 256.0 then r.m / 256.0 else r.m,
                }),
        )
        |> map(
            fn: (r) =>
                ({r with
                    i: if r.m > 16.0 then r.i + 80.0 else r.i,
                    m: if r.m > 16.0 then r.m / 16.0 else r.m,
                }),
        )
        |> map(
            fn: (r) =>
                ({r with
                    i: if r.m > 4.0 then r.i + 40.0 else r.i,
                    m: if r.m > 4.0 then r.m / 4.0 else r.m,
                }),
        )
        |> map(
            fn: (r) =>
                ({r with
                    i: if r.m > 2.0 then r.i + 20.0 else r.i,
                    m: if r.m > 2.0 then r.m / 2.0 else r.m,
                }),
        )
        |> map(
            fn: (r) =>
                ({r with i: r.i
                        + (if r.m > 1.0 then 1.0 else 0.0)
                        + (if r.m > 1.0352649238413776 then 1.0 else 0.0)
                        + (if r.m > 1.0717734625362931 then 1.0 else 0.0)
                        + (if r.m > 1.109569472067845 then 1.0 else 0.0)
                        + (if r.m > 1.148698354997035 then 1.0 else 0.0)
                        + (if r.m > 1.189207115002721 then 1.0 else 0.0)
                        + (if r.m > 1.2311444133449163 then 1.0 else 0.0)
                        + (if r.m > 1.2745606273192622 then 1.0 else 0.0)
                        + (if r.m > 1.3195079107728942 then 1.0 else 0.0)
                        + (if r.m > 1.3660402567543954 then 1.0 else 0.0)
                        + (if r.m > 1.4142135623730951 then 1.0 else 0.0)
                        + (if r.m > 1.4640856959456254 then 1.0 else 0.0)
                        + (if r.m > 1.515716566510398 then 1.0 else 0.0)
                        + (if r.m > 1.5691681957935015 then 1.0 else 0.0)
                        + (if r.m > 1.624504792712471 then 1.0 else 0.0)
                        + (if r.m > 1.681792830507429 then 1.0 else 0.0)
                        + (if r.m > 1.7411011265922482 then 1.0 else 0.0)
                        + (if r.m > 1.8025009252216604 then 1.0 else 0.0)
                        + (if r.m > 1.8660659830736148 then 1.0 else 0.0)
                        + (if r.m > 1.931872657849691 then 1.0 else 0.0),
                }),
        )
        |> window(every: 1m)

as_field = (tables=<-, name) =>
    tables
        |> toFloat()
        |> set(key: "_field", value: name)
        |> duplicate(column: "_start", as: "_time")
        |> group(columns: tags)
        |> keep(columns: ["_time", "_value", "_field", "tenant_id", "view_name", "action_name"])

percentile = (q) => minutes |> quantile(q: q, method: "estimate_tdigest")

// The events of a minute by bucket: the last one of each bucket knows how many are up to there, and the one of the bucket before it how many are below.
buckets =
    minutes
        |> sort(columns: ["i"])
        |> cumulativeSum(columns: ["n"])
        |> sort(columns: ["i", "n"], desc: true)
        |> unique(column: "i")
        |> sort(columns: ["i"])
        |> duplicate(column: "n", as: "first")
        |> difference(columns: ["n"], keepFirst: true)
        |> duplicate(column: "_start", as: "_time")
        |> group(columns: tags)
        |> keep(columns: ["_time", "n", "first", "i", "tenant_id", "view_name", "action_name"])
        // The digits of the field's name.
        |> map(fn: (r) => ({r with _value: if exists r.n then r.n else r.first, ones: r.i % 10.0}))
        |> map(fn: (r) => ({r with tens: (r.i - r.ones) / 10.0 % 10.0}))
        |> map(fn: (r) => ({r with hundreds: (r.i - r.ones - 10.0 * r.tens) / 100.0}))
        |> map(
            fn: (r) =>
                ({r with _field: "b0"
                        + (if r.hundreds < 0.5 then "0" else if r.hundreds < 1.5 then "1" else if r.hundreds < 2.5 then "2" else if r.hundreds < 3.5 then "3" else if r.hundreds < 4.5 then "4" else if r.hundreds < 5.5 then "5" else if r.hundreds < 6.5 then "6" else if r.hundreds < 7.5 then "7" else if r.hundreds < 8.5 then "8" else "9")
                        + (if r.tens < 0.5 then "0" else if r.tens < 1.5 then "1" else if r.tens < 2.5 then "2" else if r.tens < 3.5 then "3" else if r.tens < 4.5 then "4" else if r.tens < 5.5 then "5" else if r.tens < 6.5 then "6" else if r.tens < 7.5 then "7" else if r.tens < 8.5 then "8" else "9")
                        + (if r.ones < 0.5 then "0" else if r.ones < 1.5 then "1" else if r.ones < 2.5 then "2" else if r.ones < 3.5 then "3" else if r.ones < 4.5 then "4" else if r.ones < 5.5 then "5" else if r.ones < 6.5 then "6" else if r.ones < 7.5 then "7" else if r.ones < 8.5 then "8" else "9"),
                }),
        )
        |> keep(columns: ["_time", "_value", "_field", "tenant_id", "view_name", "action_name"])

union(
    tables: [
        minutes |> count() |> as_field(name: "count"),
        minutes |> sum() |> as_field(name: "sum"),
        minutes |> min() |> as_field(name: "min"),
        minutes |> max() |> as_field(name: "max"),
        percentile(q: 0.5) |> as_field(name: "p50"),
        percentile(q: 0.95) |> as_field(name: "p95"),
        percentile(q: 0.99) |> as_field(name: "p99"),
        buckets,
    ],
)
    |> set(key: "_measurement", value: "frontend_performance_1m")
    |> to(bucket: rollup_bucket, tagColumns: tags)
    |> group()
    |> count()
    |> rename(columns: {_value: "values"})
