// How fast does one of the gateway's own counters grow?
//
// Answers, a row for each window, ordered by time:
//   _time        the beginning of each window
//   per_second   by how much it grew, a second; all replicas together, apart by the tags that `by` names
//
// Cost: the counter's points in the range: one for each scrape (15 s), replica and combination of its labels. Two hours of
// one replica are 480 points.
//
// Wrong to conclude: that nothing was lost where nothing is shown. A counter with labels begins with what it counts, and a difference needs a
// value before: the first loss of a tenant is not seen here. `ingest-health` sees it. The 20 busiest tenants have a name of their own, and all
// others are `_other`: a tenant that enters or leaves them makes a jump.

import "date"

bucket = "app_observability"
counter = "points_accepted_total" // a metric of the type counter, without `tagline_`: docs/operations.md has them all
by = ["tenant_id"] // labels that keep lines apart; `replica` is one too
start = -1h
stop = now()
every = 1m

first = date.truncate(t: start, unit: every)

from(bucket: bucket)
    // A window's first difference needs the scrape before it.
    |> range(start: date.sub(from: first, d: every), stop: stop)
    |> filter(fn: (r) => r._measurement == "gateway_metrics" and r._field == counter)
    // For each series by itself. A gateway that starts again begins at zero.
    |> difference(nonNegative: true, initialZero: true)
    // A scrape on the minute (12:01:00) tells of the minute before.
    |> timeShift(duration: -1s)
    |> group(columns: by)
    |> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start")
    |> filter(fn: (r) => r._time >= first)
    |> map(fn: (r) => ({r with per_second: r._value / (float(v: int(v: every)) / 1000000000.0)}))
    |> drop(columns: ["_value"])
    |> group(columns: by)
    |> sort(columns: ["_time"])
