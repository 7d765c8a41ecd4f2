// Who makes the series that InfluxDB has to hold?
//
// Answers, one row for each measurement and tenant in it, the most series first:
//   tenant_id, measurement  "(none)": series without a tenant, such as Telegraf's
//   series                  how many combinations of tags have points in the range
//   share                   of all series in it: 0 to 1
//
// Cost: a look at the index for each tenant and measurement, and at each of their series whether it has points in the range; no point is
// sent.
//
// Wrong to conclude: that who makes most series sends most points (see summary); that these are all that the bucket holds (older ones cost
// memory until retention removes them: take a longer range); that a tenant is at its limit (its budget counts by the hour and day:
// docs/limits.md).

import "array"
import "influxdata/influxdb"
import "influxdata/influxdb/schema"
import "strings"

bucket = "app_observability" // where the gateway writes
start = -1h
stop = now()
most = 20 // rows at most

// A union takes no list of less than two. No measurement has this name.
nothing = "_"

// The tenants of each measurement, as one text each: "measurement\ntenant". Without a tenant is one, too.
tenants_of = (measurement) =>
    schema.tagValues(
        bucket: bucket,
        tag: "tenant_id",
        predicate: (r) => r._measurement == measurement,
        start: start,
        stop: stop,
    )
        |> map(fn: (r) => ({pair: measurement + "\n" + r._value}))
measurements =
    schema.measurements(bucket: bucket, start: start, stop: stop)
        |> findColumn(fn: (key) => true, column: "_value")
with_tenant =
    union(tables: array.map(arr: array.concat(arr: [nothing, nothing], v: measurements), fn: (x) => tenants_of(measurement: x)))
        |> findColumn(fn: (key) => true, column: "pair")
pairs = array.concat(arr: with_tenant, v: array.map(arr: array.concat(arr: [nothing, nothing], v: measurements), fn: (x) => x + "\n"))

counted = (pair) => {
    parts = strings.split(v: pair, t: "\n")
    measurement = parts[0]
    tenant = parts[1]

    return
        influxdb.cardinality(
            bucket: bucket,
            start: start,
            stop: stop,
            predicate: (r) => r._measurement == measurement and r.tenant_id == tenant,
        )
            |> map(
                fn: (r) =>
                    ({
                        tenant_id: if tenant == "" then "(none)" else tenant,
                        measurement: measurement,
                        series: r._value,
                        all: 0,
                    }),
            )
}

series =
    union(tables: array.map(arr: pairs, fn: (x) => counted(pair: x)))
        |> filter(fn: (r) => r.series > 0)
        |> group()

// All series, brought to each row: the sum is the first row, and hands itself down.
union(
    tables: [
        series,
        series
            |> sum(column: "series")
            |> map(fn: (r) => ({tenant_id: "", measurement: "", series: 0, all: r.series})),
    ],
)
    |> sort(columns: ["all", "series"], desc: true)
    |> cumulativeSum(columns: ["all"])
    |> filter(fn: (r) => r.series > 0)
    |> map(
        fn: (r) =>
            ({
                tenant_id: r.tenant_id,
                measurement: r.measurement,
                series: r.series,
                share: float(v: r.series) / float(v: r.all),
            }),
    )
    |> limit(n: most)
