// When did a tenant's browsers send last?
//
// Answers, one row, or none where there is nothing in the range:
//   last                    when the last event with a duration happened
//
// Cost: next to nothing: InfluxDB's storage finds the last point itself, and sends that.
//
// Wrong to conclude: that a tenant without a row was never there (its points may be older than the bucket's retention); that the gateway is
// down when a tenant is silent (ask ingest-health, and the deadman check tells of those that are expected).

bucket = "app_observability" // where the gateway writes
tenant = "acme" // which one
start = -30d
stop = now()

from(bucket: bucket)
    |> range(start: start, stop: stop)
    |> filter(fn: (r) => r._measurement == "frontend_performance" and r._field == "duration_ms")
    |> filter(fn: (r) => r.tenant_id == tenant)
    // In this order it is the storage that finds it.
    |> group(columns: ["tenant_id"])
    |> last()
    |> group()
    |> map(fn: (r) => ({last: r._time}))
