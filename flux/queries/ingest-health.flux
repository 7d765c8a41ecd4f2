// What became of what each tenant sent: how much is stored, how much was refused, and why?
//
// Answers, a row for each tenant and outcome, the largest share of each tenant first:
//   tenant_id, outcome      `delivered`, or why it was not: docs/operations.md has the list
//   points                  how many had this end
//   share                   of all that the tenant sent in the range: 0 to 1
//
// Cost: the points of gateway_outcomes: one a minute, tenant, outcome and replica. Next to nothing.
//
// Wrong to conclude: that a tenant without a row is down (it sent nothing, or its gateways are: last-event tells which); that what is
// missing is lost (the last minute is not written yet, and what is spooled has no end yet: gateway_metrics has it as pending).

bucket = "app_observability" // where the gateway writes
tenant = "" // one tenant; "" is all
start = -1h
stop = now()

// Written as a choice between predicates, because InfluxDB's storage takes each of them; of `tenant == "" or …` it takes none.
of_tenant = if tenant == "" then (r) => true else (r) => r.tenant_id == tenant

outcomes =
    from(bucket: bucket)
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement == "gateway_outcomes" and r._field == "points")
        |> filter(fn: of_tenant)
        |> group(columns: ["tenant_id", "outcome"])
        |> sum()
        |> map(fn: (r) => ({tenant_id: r.tenant_id, outcome: r.outcome, points: r._value, all: 0}))

// All of a tenant, brought to each of its rows: the sum is the first row, and hands itself down.
union(
    tables: [
        outcomes,
        outcomes
            |> group(columns: ["tenant_id"])
            |> sum(column: "points")
            |> map(fn: (r) => ({tenant_id: r.tenant_id, outcome: "", points: 0, all: r.points})),
    ],
)
    |> group(columns: ["tenant_id"])
    |> sort(columns: ["all"], desc: true)
    |> cumulativeSum(columns: ["all"])
    |> filter(fn: (r) => r.outcome != "")
    |> map(
        fn: (r) =>
            ({
                tenant_id: r.tenant_id,
                outcome: r.outcome,
                points: r.points,
                share: if r.all == 0 then 0.0 else float(v: r.points) / float(v: r.all),
                order: -r.points,
            }),
    )
    |> group()
    |> sort(columns: ["tenant_id", "order", "outcome"])
    |> drop(columns: ["order"])
