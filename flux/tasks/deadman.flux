// Who is expected to send, and is silent?
//
// Raises TenantSilent ("crit") for each tenant of `expected` of whom nothing came for as long as it says, also for one that was never there. Any
// measurement counts, but not what the gateway says about itself, such as refused points. Clears when something comes. Only changes are told,
// see docs/alerts.md.
//
// Answers what it told: level, summary, answer (the endpoint's status; 200 where `notify` is off).
//
// Cost: next to nothing: InfluxDB's storage finds the last point of each tenant and field itself. It looks a day back, or as far as the longest `within`.
//
// Wrong to conclude: that the tenant's site is down. It may have no visitors, a new origin that the gateway refuses (ingest-health.flux), or a key that
// was taken away. Times are those of the events: a browser that delivers late, from a time when it was offline, does not wake its tenant up.

import "array"
import "date"
import "experimental"
import "http/requests"
import "influxdata/influxdb/monitor"
import "influxdata/influxdb/secrets"
import "json"
import "strings"

option task = {name: "tagline deadman", every: 1m, offset: 20s}

bucket = "app_observability" // where the gateway writes
expected = [{tenant_id: "acme", within: 15m}]
notify = "off" // "on": changes are sent to the URL in the secret TAGLINE_ALERT_URL too
again = 1d // a raised alert is told again after so long

check = {
    alert: "TenantSilent",
    name: "TenantSilent " + bucket,
    id: "7461676c696e6531",
    measurement: bucket,
    label: "tenant_id",
    over: "is not expected any more",
}

labels = (r, severity) => ({alertname: check.alert, tenant_id: r.subject, severity: severity, source: "influxdb"})

// What was told before, by `_monitoring`, which keeps it for 7 days. This and `tell` are the same text in every check.
told =
    from(bucket: "_monitoring")
        |> range(start: date.sub(from: now(), d: 7d), stop: date.add(to: now(), d: 1ns))
        |> filter(fn: (r) => r._measurement == "statuses" and r._check_name == check.name and r._field == "_message")
        |> rename(fn: (column) => if column == check.label then "subject" else column)
        |> group(columns: ["subject"])
        |> max(column: "_time")
        |> group()
        |> keep(columns: ["_time", "_level", "subject"])

subjects = (fn) => told |> filter(fn: fn) |> findColumn(fn: (key) => true, column: "subject")
critical = subjects(fn: (r) => r._level == "crit")
warned = subjects(fn: (r) => r._level == "warn")
recent = subjects(fn: (r) => r._time > date.sub(from: now(), d: again))

// The level that was told last.
level_before = (subject) =>
    if contains(value: subject, set: critical) then
        "crit"
    else if contains(value: subject, set: warned) then
        "warn"
    else
        "ok"

// An alert as an Alertmanager takes it. One that is raised ends by itself when nobody tells of it again.
secret = experimental.catch(fn: () => if notify == "on" then secrets.get(key: "TAGLINE_ALERT_URL") else "")
url = if exists secret.code then die(msg: "InfluxDB has no secret TAGLINE_ALERT_URL: `tagline setup` writes it") else secret.value
alert = (r, level, ends) =>
    ({
        labels: labels(r: r, severity: if level == "crit" then "critical" else "warning"),
        annotations: {summary: r.summary, description: r.description},
        startsAt: string(v: now()),
        endsAt: string(v: ends),
    })

// One alert is told to be over by the level that it was raised with: an Alertmanager knows it by its labels.
alerts = (r) => {
    raised = alert(r: r, level: r.level, ends: date.add(to: now(), d: 7d))
    over = alert(r: r, level: r.before, ends: now())

    return if r.level == "ok" then [over] else if r.before == "ok" or r.before == r.level then [raised] else [over, raised]
}

// The status of the answer, or 0 for none: what Flux says of a failed request would tell the URL, and the log of the run is no place for it.
config = requests.defaultConfig
post = (r) => {
    answer =
        experimental.catch(
            fn: () =>
                requests.post(
                    url: url,
                    headers: ["Content-Type": "application/json"],
                    body: json.encode(v: alerts(r: r)),
                    config: {config with timeout: 5s},
                ).statusCode,
        )

    return if exists answer.code then 0 else answer.value
}

// Takes rows of (subject, level, summary, description). A subject that was raised and has no row any more is over. What has changed is sent first, and
// what the endpoint took is written to `_monitoring` then: what it did not take is a change again at the next run, and this run fails.
tell = (tables=<-) => {
    changes =
        union(
            tables: [
                tables |> map(fn: (r) => ({subject: r.subject, level: r.level, summary: r.summary, description: r.description, rank: 1})),
                told
                    |> filter(fn: (r) => r._level != "ok")
                    |> map(fn: (r) => ({subject: r.subject, level: "ok", summary: r.subject + " " + check.over, description: "", rank: 0})),
            ],
        )
            |> group(columns: ["subject"])
            |> max(column: "rank")
            |> group()
            |> map(fn: (r) => ({r with before: level_before(subject: r.subject)}))
            |> filter(fn: (r) => r.level != r.before or r.level != "ok" and not contains(value: r.subject, set: recent))
    sent = changes |> map(fn: (r) => ({r with answer: if notify == "on" then post(r: r) else 200}))
    taken =
        sent
            |> filter(fn: (r) => r.answer >= 200 and r.answer < 300)
            |> map(
                fn: (r) =>
                    ({
                        _time: now(),
                        _measurement: check.measurement,
                        subject: r.subject,
                        state: r.level,
                        description: r.description,
                        summary: r.summary,
                        answer: r.answer,
                    }),
            )
            |> rename(fn: (column) => if column == "subject" then check.label else column)
            |> group(columns: ["_measurement", check.label])
            |> monitor.check(
                data: {_check_id: check.id, _check_name: check.name, _type: "custom", tags: {alertname: check.alert}},
                crit: (r) => r.state == "crit",
                warn: (r) => r.state == "warn",
                messageFn: (r) => r.summary,
            )
            |> map(fn: (r) => ({level: r._level, summary: r.summary, answer: r.answer}))
    refused = sent |> filter(fn: (r) => r.answer < 200 or r.answer >= 300) |> map(fn: (r) => ({level: r.level, summary: r.summary, answer: r.answer}))

    return
        union(tables: [taken, refused])
            |> group()
            |> sort(columns: ["answer"])
            |> map(
                fn: (r) =>
                    if r.answer >= 200 and r.answer < 300 then
                        r
                    else
                        die(
                            msg:
                                "an alert was not taken by what listens at the URL in the secret TAGLINE_ALERT_URL (answer: "
                                    + (if r.answer == 0 then "none" else string(v: r.answer))
                                    + "); it is sent again at the next run",
                        ),
            )
}

awaited =
    array.from(rows: array.map(arr: expected, fn: (x) => ({tenant_id: x.tenant_id, within: int(v: x.within), came: 0})))

// The longest of them, and a day at least, so that it can be said since when somebody is silent.
look_back = (awaited |> max(column: "within") |> findColumn(fn: (key) => true, column: "within"))[0]
start = date.sub(from: now(), d: duration(v: if look_back > 86400000000000 then look_back else 86400000000000))

came =
    from(bucket: bucket)
        |> range(start: start)
        |> filter(fn: (r) => exists r.tenant_id and r._measurement !~ /^(gateway|telegraf)_/)
        // By field, because one table takes values of one type. In this order it is the storage that finds the last point.
        |> group(columns: ["tenant_id", "_measurement", "_field"])
        |> last()
        |> drop(columns: ["_value"])
        |> group(columns: ["tenant_id"])
        |> max(column: "_time")
        |> map(fn: (r) => ({tenant_id: r.tenant_id, within: 0, came: int(v: r._time)}))

second = (t) => strings.substring(v: string(v: t), start: 0, end: 19) + "Z"

union(tables: [awaited, came])
    |> group(columns: ["tenant_id"])
    |> reduce(identity: {within: 0, came: 0}, fn: (r, accumulator) => ({within: r.within + accumulator.within, came: r.came + accumulator.came}))
    |> group()
    |> filter(fn: (r) => r.within > 0)
    |> map(
        fn: (r) => {
            silent = r.came < int(v: now()) - r.within

            return {
                subject: r.tenant_id,
                level: if silent then "crit" else "ok",
                summary:
                    if not silent then
                        "Events of ${r.tenant_id} come again"
                    else if r.came == 0 then
                        "${r.tenant_id} sent nothing since ${second(t: start)}"
                    else
                        "${r.tenant_id} is silent since ${second(t: time(v: r.came))}",
                description: "It is expected to send something every ${duration(v: r.within)}.",
            }
        },
    )
    |> tell()
