// How many requests did the backend answer with an error, by tenant and endpoint?
//
// Answers, a row for each tenant and endpoint, the highest share of errors first:
//   tenant_id, endpoint     the endpoint as a route (/orders/:id)
//   requests                that the backend told of
//   errors                  of them, those with a status of 5xx
//   error_share             errors / requests: 0 to 1
//
// Cost: two counts that the storage makes; a row for each tenant and endpoint is sent.
//
// Wrong to conclude: that an endpoint without a row has no errors (its backend may not send events, or be too broken to; the edge counts
// all requests: backend-frontend-edge); that 0% means no failure (4xx is not counted, and a 200 can hold an error). It takes the tag status_code,
// which the catalog must list: without it all shares are 0.

bucket = "app_observability" // where the gateway writes
tenant = "" // one tenant; "" is all
start = -1h
stop = now()

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `tenant == "" or …` it takes none.
of_tenant = if tenant == "" then (r) => true else (r) => r.tenant_id == tenant

// A function, so that each count is a read of its own, which the storage answers with its sums.
told = () =>
    from(bucket: bucket)
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement == "backend_api_latency" and r._field == "latency_ms")
        |> filter(fn: of_tenant)
counted = (tables=<-, column) =>
    tables
        |> group(columns: ["tenant_id", "endpoint"])
        |> count()
        |> map(fn: (r) => ({tenant_id: r.tenant_id, endpoint: r.endpoint, _value: r._value, column: column}))
        |> group()

union(
    tables: [
        told() |> counted(column: "requests"),
        told() |> filter(fn: (r) => r.status_code =~ /^5/) |> counted(column: "errors"),
    ],
)
    |> pivot(rowKey: ["tenant_id", "endpoint"], columnKey: ["column"], valueColumn: "_value")
    |> map(
        fn: (r) => {
            errors = if exists r.errors then r.errors else 0

            return {
                tenant_id: r.tenant_id,
                endpoint: r.endpoint,
                requests: r.requests,
                errors: errors,
                error_share: float(v: errors) / float(v: r.requests),
                order: -float(v: errors) / float(v: r.requests),
            }
        },
    )
    |> sort(columns: ["order", "tenant_id", "endpoint"])
    |> drop(columns: ["order"])
