// Who makes many more series than before?
//
// Raises SeriesGrowing ("warn") for each tenant that had points in `factor` times the series, and in `least` more, in the past 24 hours than in those
// of yesterday and in those of a week ago. Clears when that is not so any more. Only changes are told, see docs/alerts.md.
//
// Answers what it told: level, summary, answer (the endpoint's status; 200 where `notify` is off).
//
// Cost: InfluxDB's index counts the series, and looks whether each had a point in the day: three times for each tenant, an hour. No point is sent.
//
// Wrong to conclude: that growth is an error. More visitors make more series where sessions are a tag. A tenant that had none on both days is not
// judged: it is new. That the gateway holds nobody back: the tenant's budget of series does (docs/operations.md), and this tells before it is spent.

import "array"
import "date"
import "experimental"
import "http/requests"
import "influxdata/influxdb"
import "influxdata/influxdb/monitor"
import "influxdata/influxdb/schema"
import "influxdata/influxdb/secrets"
import "json"

option task = {name: "tagline series growth", every: 1h, offset: 7m}

bucket = "app_observability" // where the gateway writes
factor = 2.0 // a tenant with so many times the series of before
least = 1000 // and so many more
notify = "off" // "on": changes are sent to the URL in the secret TAGLINE_ALERT_URL too
again = 1d // a raised alert is told again after so long

check = {
    alert: "SeriesGrowing",
    name: "SeriesGrowing " + bucket,
    id: "7461676c696e6533",
    measurement: bucket,
    label: "tenant_id",
    over: "wrote nothing for a day",
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

// The series that had points in the 24 hours until so long ago. An array may not be empty, and a union not be of one: nobody is "".
series = (tenant, days) => {
    stop = date.sub(from: now(), d: duration(v: days * 86400000000000))

    return
        influxdb.cardinality(
            bucket: bucket,
            start: date.sub(from: stop, d: 1d),
            stop: stop,
            predicate: (r) => r.tenant_id == tenant,
        )
            |> map(fn: (r) => ({_value: r._value, tenant_id: tenant, name: ""}))
}
tenants =
    schema.tagValues(bucket: bucket, tag: "tenant_id", start: -1d, stop: now())
        |> findColumn(fn: (key) => true, column: "_value")
counted = (days, name) =>
    union(tables: array.map(arr: array.concat(arr: tenants, v: ["", ""]), fn: (x) => series(tenant: x, days: days)))
        |> filter(fn: (r) => r.tenant_id != "")
        |> set(key: "name", value: name)

union(tables: [counted(days: 0, name: "now"), counted(days: 1, name: "yesterday"), counted(days: 7, name: "last_week")])
    |> group()
    |> pivot(rowKey: ["tenant_id"], columnKey: ["name"], valueColumn: "_value")
    |> map(fn: (r) => ({r with before: if r.yesterday > r.last_week then r.yesterday else r.last_week}))
    |> map(
        fn: (r) => {
            grown = r.before > 0 and r.now - r.before >= least and float(v: r.now) >= factor * float(v: r.before)

            return {
                subject: r.tenant_id,
                level: if grown then "warn" else "ok",
                summary: "${r.tenant_id} made ${r.now} series in 24 hours${if grown then "" else " again"}: yesterday ${r.yesterday}, a week ago ${r.last_week}",
                description: "A series costs InfluxDB memory for as long as the bucket keeps it. flux/queries/series.flux shows which measurements make them.",
            }
        },
    )
    |> tell()
