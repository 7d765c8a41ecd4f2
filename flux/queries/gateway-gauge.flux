// How large was one of the gateway's own gauges?
//
// Answers, a row for each window, ordered by time:
//   _time     the beginning of each window
//   largest   the largest value that a scrape of it found, apart by the tags that `by` names
//
// Cost: the gauge's points in the range: one for each scrape (15 s), replica and combination of its labels. Two hours of
// one replica are 480 points.
//
// Wrong to conclude: that it was never larger. Between two scrapes nobody looks; what filled up and emptied within 15 s was not there.

import "date"

bucket = "app_observability"
gauge = "spool_oldest_seconds" // a metric of the type gauge, without `tagline_`: docs/operations.md has them all
by = ["replica"] // labels that keep lines apart
start = -1h
stop = now()
every = 1m

first = date.truncate(t: start, unit: every)

from(bucket: bucket)
    |> range(start: first, stop: stop)
    |> filter(fn: (r) => r._measurement == "gateway_metrics" and r._field == gauge)
    |> group(columns: by)
    |> aggregateWindow(every: every, fn: max, createEmpty: false, timeSrc: "_start")
    |> rename(columns: {_value: "largest"})
    |> group(columns: by)
    |> sort(columns: ["_time"])
