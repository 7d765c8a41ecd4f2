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
// Answers the number of values that it wrote; no row: nothing was to be written.
//
// Runs every minute and looks an hour back: it counts the events of each tenant and minute, and computes again from the first minute that has events
// which its row does not count. So late events cost a computation only where they came. A minute that is computed again overwrites itself. For events
// that come later than that, and for the past, `tagline rollup --since` runs this same file over older times.
//
// Cost: the events of the range are counted once (0.2 µs of CPU each), those of minutes to compute are read once (about 25 µs). Written are 7 values and
// one for each used bucket, a minute, tenant, view and action.
//
// Wrong to conclude: that a minute without a row had no visitors. It had no event that arrived; and one that came late is missing until it is
// computed again. A minute of which some events have expired keeps the row that it has.

import "date"

option task = {name: "tagline rollup 1m", every: 1m, offset: 10s}

bucket = "app_observability" // where the gateway writes
rollup_bucket = "app_observability_rollup"
start = -1h
stop = now() // the minute that is not over yet is left out

tags = ["tenant_id", "view_name", "action_name"]
from_minute = date.truncate(t: start, unit: 1m)
to_minute = date.truncate(t: stop, unit: 1m)

durations = (since) =>
    from(bucket: bucket)
        |> range(start: since, stop: to_minute)
        |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms")

// How many events each tenant has in a minute, less those that its row counts. Rows may count more: events expire before them.
missing =
    union(
        tables: [
            durations(since: from_minute)
                |> group(columns: ["tenant_id"])
                |> aggregateWindow(every: 1m, fn: count, createEmpty: false, timeSrc: "_start")
                |> toFloat(),
            from(bucket: rollup_bucket)
                |> range(start: from_minute, stop: to_minute)
                |> filter(fn: (r) => r._measurement == "frontend_performance_1m" and r._field == "count")
                |> group(columns: ["tenant_id"])
                |> map(fn: (r) => ({r with _value: 0.0 - r._value})),
        ],
    )
        |> keep(columns: ["_start", "_stop", "_time", "_value", "tenant_id"])
        |> group(columns: ["tenant_id"])
        |> aggregateWindow(every: 1m, fn: sum, createEmpty: false, timeSrc: "_start")
        |> filter(fn: (r) => r._value > 0.0)
        |> group()
        |> sort(columns: ["_time"])
        |> limit(n: 1)
        |> findColumn(fn: (key) => true, column: "_time")

// The first minute to compute. When there is none it is the newest, for a range may not be empty.
first = if length(arr: missing) > 0 then missing[0] else date.sub(from: to_minute, d: 1m)

// Each event with the number of its bucket: `i` = ceil(20 * log2(duration)). `i` takes the powers of two, 20 for each, until
// 1 < m <= 2; then the bounds between them, 2^(k/20), that `m` is above. So in comparisons because Flux runs these on whole columns, 100 times as fast
// as a function on each row.
events =
    durations(since: first)
        |> group(columns: tags)
        |> keep(columns: ["_start", "_stop", "_time", "_value", "tenant_id", "view_name", "action_name"])
        // One table of an action is made of the short ones of its sessions here, and not in each step below.
        |> sort(columns: ["_value"])
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
        |> drop(columns: ["m"])
        |> window(every: 1m)

as_rows = (tables=<-) =>
    tables
        |> duplicate(column: "_start", as: "_time")
        |> group(columns: tags)

// How many events of a minute are in each bucket: the last one of a bucket knows how many events are up to there.
buckets =
    events
        |> cumulativeSum(columns: ["n"])
        |> sort(columns: ["n"], desc: true)
        |> unique(column: "i")
        |> sort(columns: ["n"])
        |> duplicate(column: "n", as: "all")
        |> difference(columns: ["n"], keepFirst: true)
        |> as_rows()
        |> sort(columns: ["_time"])
        // The digits of the field's name.
        |> map(fn: (r) => ({r with _value: if exists r.n then r.n else r.all, ones: r.i % 10.0}))
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

value = (tables=<-, name) => tables |> as_rows() |> set(key: "_field", value: name)

percentile = (q) => events |> quantile(q: q, method: "exact_selector")

union(
    tables: [
        events |> sum(column: "n") |> rename(columns: {n: "_value"}) |> value(name: "count"),
        events |> sum() |> value(name: "sum"),
        events |> min() |> value(name: "min"),
        events |> max() |> value(name: "max"),
        percentile(q: 0.5) |> value(name: "p50"),
        percentile(q: 0.95) |> value(name: "p95"),
        percentile(q: 0.99) |> value(name: "p99"),
        buckets,
    ],
)
    |> keep(columns: ["_time", "_value", "_field", "tenant_id", "view_name", "action_name"])
    |> set(key: "_measurement", value: "frontend_performance_1m")
    |> to(bucket: rollup_bucket, tagColumns: tags)
    |> group()
    |> count()
    |> rename(columns: {_value: "values"})
