// Is a tenant slower than it usually is at this hour of the week?
//
// Raises TenantSlowerThanUsual for each tenant whose P99 of the last full hour is more than `factor` times the usual and higher by more than `floor`:
// "warn", and "crit" from twice `factor` on. Usual is the median of the P99s of the same hour in the past `weeks`, of the hours that had `min_events`.
// What is raised stays until it is a tenth better than what raises it, or the hour has too few events to tell. The message names the view and action
// whose P99 moved most, by how many events felt it. Only changes are told, see docs/alerts.md.
//
// Answers what it told: level, summary, answer (the endpoint's status; 200 where `notify` is off).
//
// Runs at the 12th minute of the hour, when the rollup of the hour before was computed twice.
//
// Cost: reads the rows of one hour for each week and of the last one: about 100 values for each tenant, view and action of each. No event is read.
//
// Wrong to conclude: that an action is well because its tenant is: one that is rare, or faster than the tenant's slowest, can get slower without moving
// the tenant's P99 (explain.flux shows it). That the culprit is the cause: it is where the time is felt. That nothing is wrong in the first week: there
// is nothing to compare with.

import "array"
import "date"
import "experimental"
import "http/requests"
import "influxdata/influxdb/monitor"
import "influxdata/influxdb/secrets"
import "join"
import "json"
import "strings"

option task = {name: "tagline baseline", every: 1h, offset: 12m}

rollup_bucket = "app_observability_rollup"
weeks = 4 // how many weeks back
min_events = 200 // fewer events in an hour say nothing of its P99
floor = 100ms // a P99 that is higher by less is no alert
factor = 1.5 // nor is one below so many times the usual
notify = "off" // "on": changes are sent to the URL in the secret TAGLINE_ALERT_URL too
again = 1d // a raised alert is told again after so long

check = {
    alert: "TenantSlowerThanUsual",
    name: "TenantSlowerThanUsual " + rollup_bucket,
    id: "7461676c696e6532",
    measurement: "frontend_performance_1h",
    label: "tenant_id",
    over: "had no events in the last hour",
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

// The last full hour, and the same of the weeks before.
hour = date.sub(from: date.truncate(t: now(), unit: 1h), d: 1h)
week = 604800000000000
back = array.filter(
    arr: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52],
    fn: (x) => x <= weeks,
)

rows = (fields) =>
    union(
        tables:
            array.map(
                arr: back,
                fn: (x) => {
                    start = date.sub(from: hour, d: duration(v: x * week))

                    return
                        from(bucket: rollup_bucket)
                            |> range(start: start, stop: date.add(to: start, d: 1h))
                            |> filter(fn: (r) => r._measurement == "frontend_performance_1h")
                            |> filter(fn: fields)
                            |> keep(columns: ["_time", "_value", "_field", "tenant_id", "view_name", "action_name"])
                },
            ),
    )

// The buckets of all actions of a tenant in an hour; each as a step at its geometric middle `le` (see rollup-1h.flux).
buckets =
    rows(fields: (r) => r._field =~ /^b[0-9]/)
        |> group(columns: ["tenant_id"])
        |> sort(columns: ["_time"])
        |> map(fn: (r) => ({r with hex: float(v: "0x" + r._field + "p0") % 65536.0}))
        |> map(fn: (r) => ({r with ones: r.hex % 16.0, tens: (r.hex - r.hex % 16.0) / 16.0 % 16.0, hundreds: (r.hex - r.hex % 256.0) / 256.0}))
        |> map(fn: (r) => ({r with le: 2.0 ^ ((100.0 * r.hundreds + 10.0 * r.tens + r.ones - 0.5) / 20.0)}))
        |> keep(columns: ["_time", "_value", "le", "tenant_id"])

distribution =
    union(tables: [buckets, buckets |> map(fn: (r) => ({r with le: r.le * 0.999999, _value: 0.0}))])
        |> group(columns: ["tenant_id", "_time"])
        |> sort(columns: ["le"])
        |> cumulativeSum()

// As columns of one row: what is `name`d so.
column = (tables=<-, name) =>
    tables
        |> map(fn: (r) => ({r with name: name}))
        |> group()
in_rows = (tables, key) => union(tables: tables) |> pivot(rowKey: key, columnKey: ["name"], valueColumn: "_value")

// The P99 of each tenant and hour that had enough events.
p99s =
    in_rows(
        tables: [
            distribution |> histogramQuantile(quantile: 0.99 - 0.000000001) |> column(name: "p99"),
            distribution |> max() |> drop(columns: ["le"]) |> column(name: "events"),
        ],
        key: ["tenant_id", "_time"],
    )

usual = (tables=<-) =>
    tables
        |> filter(fn: (r) => r._time < hour)
        |> median(method: "exact_mean")
        |> column(name: "usual")
latest = (tables=<-, name) =>
    tables
        |> filter(fn: (r) => r._time == hour)
        |> drop(columns: ["_time"])
        |> column(name: name)

tenants =
    in_rows(
        tables: [
            p99s |> rename(columns: {p99: "_value"}) |> drop(columns: ["events"]) |> latest(name: "p99"),
            p99s |> rename(columns: {events: "_value"}) |> drop(columns: ["p99"]) |> latest(name: "events"),
            p99s
                |> filter(fn: (r) => r.events >= float(v: min_events))
                |> rename(columns: {p99: "_value"})
                |> drop(columns: ["events"])
                |> group(columns: ["tenant_id"])
                |> usual(),
        ],
        key: ["tenant_id"],
    )
        |> filter(fn: (r) => exists r.p99)

// Which action moved most: by its own P99, and by how many events felt it.
actions = rows(fields: (r) => r._field == "p99") |> drop(columns: ["_field"]) |> group(columns: ["tenant_id", "view_name", "action_name"])
culprits =
    in_rows(
        tables: [
            actions |> latest(name: "p99"),
            actions |> usual(),
            rows(fields: (r) => r._field == "count")
                |> drop(columns: ["_field"])
                |> group(columns: ["tenant_id", "view_name", "action_name"])
                |> latest(name: "events"),
        ],
        key: ["tenant_id", "view_name", "action_name"],
    )
        |> filter(fn: (r) => exists r.p99)
        |> map(fn: (r) => ({r with before: if exists r.usual then r.usual else 0.0}))
        |> map(fn: (r) => ({r with moved: (r.p99 - r.before) * r.events}))
        |> group(columns: ["tenant_id"])
        |> max(column: "moved")
        |> group()
        |> map(
            fn: (r) =>
                ({
                    tenant_id: r.tenant_id,
                    culprit:
                        "${r.view_name}/${r.action_name} moved most: P99 ${int(v: r.p99)} ms, ${if r.before > 0.0 then
                            "usually ${int(v: r.before)} ms"
                        else
                            "new at this hour"}, ${int(v: r.events)} events",
                }),
        )

join.left(
    left: tenants |> group(),
    right: culprits,
    on: (l, r) => l.tenant_id == r.tenant_id,
    as: (l, r) => ({l with culprit: r.culprit}),
)
    // What is raised stays so until it is a tenth better than what raises it.
    |> map(fn: (r) => ({r with before: level_before(subject: r.tenant_id), known: exists r.usual and r.events >= float(v: min_events)}))
    |> map(
        fn: (r) =>
            ({r with
                warn_ease: if r.before == "ok" then 1.0 else 0.9,
                crit_ease: if r.before == "crit" then 0.9 else 1.0,
                more: if r.known then r.p99 - r.usual else 0.0,
                times: if r.known and r.usual > 0.0 then r.p99 / r.usual else 0.0,
            }),
    )
    |> map(
        fn: (r) => {
            floor_ms = float(v: int(v: floor)) / 1000000.0
            level =
                if r.more > floor_ms * r.crit_ease and r.times > 2.0 * factor * r.crit_ease then
                    "crit"
                else if r.more > floor_ms * r.warn_ease and r.times > factor * r.warn_ease then
                    "warn"
                else
                    "ok"

            return {
                subject: r.tenant_id,
                level: level,
                summary:
                    if r.events < float(v: min_events) then
                        "${r.tenant_id} had too few events to tell how fast it is"
                    else if not exists r.usual then
                        "There is nothing to compare the P99 of ${r.tenant_id} with"
                    else if level == "ok" then
                        "${r.tenant_id} is as fast as usual: P99 ${int(v: r.p99)} ms, usually ${int(v: r.usual)} ms"
                    else
                        "${r.tenant_id} is slower than usual: P99 ${int(v: r.p99)} ms, usually ${int(v: r.usual)} ms at this hour",
                description: "${int(v: r.events)} events in the hour from ${strings.substring(v: string(v: hour), start: 0, end: 16)}Z. ${r.culprit}.",
            }
        },
    )
    |> tell()
