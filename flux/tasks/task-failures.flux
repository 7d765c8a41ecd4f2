// Which tasks fail?
//
// Raises TaskFailing ("warn") for each task whose name begins with `named` and whose last run failed, with the error of that run. Clears when a run
// succeeds. Only changes are told, see docs/alerts.md. It leaves itself out: an alert of it could go nowhere.
//
// Answers what it told: level, summary, answer (the endpoint's status; 200 where `notify` is off).
//
// Cost: reads a day of `_tasks`, two short values for each run: 1,500 a day for a task that runs every minute.
//
// Wrong to conclude: that tasks run because none fails. One that is switched off, or an InfluxDB that stands still, says nothing here: rows in the
// rollup bucket that grow old do. A failure between two good runs is not told either: the last run counts.

import "date"
import "experimental"
import "http/requests"
import "influxdata/influxdb/monitor"
import "influxdata/influxdb/secrets"
import "json"
import "regexp"
import "strings"

option task = {name: "tagline task failures", every: 5m, offset: 40s}

named = "tagline " // how the names of the tasks begin that are looked at
notify = "off" // "on": changes are sent to the URL in the secret TAGLINE_ALERT_URL too
again = 1d // a raised alert is told again after so long

check = {
    alert: "TaskFailing",
    name: "TaskFailing " + named,
    id: "7461676c696e6534",
    measurement: "runs",
    label: "task",
    over: "has not run for a day",
}

labels = (r, severity) => ({alertname: check.alert, task: r.subject, severity: severity, source: "influxdb"})

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

// The last run of each task, with its log.
from(bucket: "_tasks")
    |> range(start: -1d)
    |> filter(fn: (r) => r._measurement == "runs" and (r._field == "name" or r._field == "logs"))
    |> group(columns: ["taskID", "_field"])
    |> max(column: "_time")
    |> group()
    |> pivot(rowKey: ["taskID", "_time", "status"], columnKey: ["_field"], valueColumn: "_value")
    |> filter(fn: (r) => strings.hasPrefix(v: r.name, prefix: named) and not strings.hasPrefix(v: r.name, prefix: named + "task failures"))
    // A task that was deleted and made again has a new id: its last run counts.
    |> group(columns: ["name"])
    |> max(column: "_time")
    |> group()
    |> map(
        fn: (r) => {
            why = regexp.replaceAllString(r: /^.*"message":"|"\}\]$/, v: r.logs, t: "")

            return {
                subject: r.name,
                level: if r.status == "failed" then "warn" else "ok",
                summary: if r.status == "failed" then "The task \"${r.name}\" fails" else "The task \"${r.name}\" runs again",
                description: if strings.strlen(v: why) > 500 then strings.substring(v: why, start: 0, end: 500) else why,
            }
        },
    )
    |> tell()
