//! What the answers cost on a large week: `make answers-data` (10 million points, and InfluxDB stays up to be asked); alone,
//! `TAGLINE_INFLUXD=… cargo bench --bench answers` (a million points, and it ends).
//!
//! The week is the one of the tests (`tests/it/support/week.rs`), sent through the gateway. Then each query of `flux/queries` is asked for the
//! last hour, day and week of it. A row of the table is one query and range: how many rows it gives, the median of three times that it took, and the
//! median of InfluxDB's processor time for it: of the two it is the one that a busy machine stretches less. This is the only place where queries are timed; the figures of docs/answers.md are its.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark is not the gateway"
)]

/// The servers of the integration tests.
#[path = "../tests/it"]
mod it {
    pub mod support;
}

use it::support;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::influx::{Bucket, Influx, parse};
use support::week::{Generator, HOUR_MS, SEED, Step, delivered, sending};
use support::{Gateway, flux_string, http, now_ms};
use tagline::answers::{Literal, Script, library};

/// What a query may take, in seconds.
const BOUND: f64 = 2.0;

/// The ranges that are asked for, and the windows that fit them.
const RANGES: [(&str, i64, Duration); 3] = [
    ("1h", HOUR_MS, Duration::from_secs(60)),
    ("24h", 24 * HOUR_MS, Duration::from_secs(600)),
    ("7d", 7 * 24 * HOUR_MS, Duration::from_secs(3600)),
];

/// Of the hours before the last two, Telegraf's scrapes are so far apart.
const SCRAPES_MS: i64 = HOUR_MS / 12;

#[tokio::main]
async fn main() {
    let stay = std::env::args().any(|argument| argument == "--stay");
    let points = std::env::var("POINTS").map_or(1_000_000, |text| text.parse().expect("POINTS is a whole number"));
    let influx = Influx::own();
    let stored = Stored::write(&influx, points).await;
    stored.say(&influx);
    stored.count();
    stored.measure_queries();
    stored.measure_rollups(&influx);
    if stay {
        println!("\nInfluxDB stays up until Ctrl-C; then its folder is removed.");
        tokio::signal::ctrl_c().await.expect("a handler of Ctrl-C");
    }
}

/// A week that is stored.
struct Stored {
    bucket: Bucket,
    rollup_bucket: Bucket,
    generator: Generator,
    address: SocketAddr,
    /// Its process.
    influxd: u32,
}

impl Stored {
    async fn write(influx: &Influx, points: u64) -> Self {
        let [bucket, rollup_bucket] =
            ["app_observability", "app_observability_rollup"].map(|name| influx.bucket_named(name));
        [&bucket, &rollup_bucket].iter().for_each(|bucket| bucket.create(Duration::ZERO));
        let generator = Generator::with_points(SEED, now_ms(), points);
        // Where InfluxDB is slower than the gateway, the clients wait.
        let mut gateway =
            Gateway::start_with(&sending::settings(&bucket), &[("TAGLINE__SPOOL__MAX_BYTES", "1GiB")]).await;
        let begun = Instant::now();
        let progress = Progress::of(generator.points());
        let sent = sending::send(&generator, gateway.address(), false, &|points| progress.more(points));
        progress.end();
        delivered(&gateway, &sent, Duration::from_secs(3600)).await;
        let points: u64 = sent.points.values().sum();
        println!("{} points, delivered in {:.0} s", HumanCount(points), begun.elapsed().as_secs_f64());
        sending::write_edge(&bucket, &gateway, &sent, generator.end_ms, SCRAPES_MS).await;
        // As it ends it writes its outcomes.
        gateway.sigterm();
        gateway.wait_exit(Duration::from_secs(60)).await;
        // What the tasks would have written by now.
        for step in [Step::Minute, Step::Hour] {
            let begun = Instant::now();
            let lines = sent.durations.lines(step, 0, generator.end_ms);
            sending::write(&rollup_bucket, &lines).await;
            let (rows, seconds) = (HumanCount(lines.len() as u64), begun.elapsed().as_secs_f64());
            println!("{rows} rows of the rollup by {step:?}, written in {seconds:.0} s");
        }
        Self { bucket, rollup_bucket, generator, address: influx.address(), influxd: influx.id() }
    }

    /// How it can be asked.
    fn say(&self, influx: &Influx) {
        println!(
            "\nINFLUXDB_URL={} INFLUXDB_ORG={} INFLUXDB_READ_TOKEN={} (in {})\n",
            influx.url(),
            Influx::ORGANIZATION,
            self.bucket.token(),
            influx.folder().display()
        );
    }

    /// How much there is to be read.
    fn count(&self) {
        println!(
            "| range | events | of acme | rows of the 1m rollup, all and acme's | of the 1h rollup |\n|---|---|---|---|---|"
        );
        for (range, length_ms, _) in RANGES {
            let rows = |bucket: &Bucket, measurement: &str, field: &str, of: &str| {
                let (start, stop) = (self.generator.end_ms - length_ms, self.generator.end_ms);
                let flux = format!(
                    "from(bucket: {}) |> range(start: time(v: {start}000000), stop: time(v: {stop}000000))
                     |> filter(fn: (r) => r._measurement == \"{measurement}\" and r._field == \"{field}\" {of}) |> group() |> count()",
                    flux_string(bucket.name())
                );
                let rows = self.ask(&flux).and_then(|answer| parse(&answer)).expect("a count");
                HumanCount(rows.first().map_or(0, |row| row.int("_value").unsigned_abs()))
            };
            let (raw, minutes, hours) = (
                |of| rows(&self.bucket, "frontend_performance", "duration_ms", of),
                |of| rows(&self.rollup_bucket, "frontend_performance_1m", "count", of),
                |of| rows(&self.rollup_bucket, "frontend_performance_1h", "count", of),
            );
            let acme = "and r.tenant_id == \"acme\"";
            println!(
                "| {range} | {} | {} | {} / {} | {} / {} |",
                raw(""),
                raw(acme),
                minutes(""),
                minutes(acme),
                hours(""),
                hours(acme)
            );
        }
        println!();
    }

    fn measure_queries(&self) {
        println!("| query | range | rows | seconds | CPU seconds |\n|---|---|---|---|---|");
        let mut misses = Vec::new();
        for script in library::QUERIES {
            for (range, length_ms, every) in RANGES {
                let name = script.name.trim_start_matches("queries/");
                match self.cost(&self.bound(script, &self.rollup_bucket, length_ms, every)) {
                    Ok(Cost { rows, seconds, processor }) => {
                        println!("| `{name}` | {range} | {rows} | {seconds:.2} | {processor:.2} |");
                        if seconds > BOUND {
                            misses.push(format!("{name} of {range}: {seconds:.2} s"));
                        }
                        if rows == 0 {
                            misses.push(format!("{name} of {range}: no rows"));
                        }
                    }
                    Err(error) => misses.push(format!("{name} of {range}: {error}")),
                }
            }
        }
        println!("\nSlower than {BOUND} s, or without an answer: {}", misses.len());
        misses.iter().for_each(|miss| println!("- {miss}"));
    }

    /// What the rollups take of the last hours, into an empty bucket; and then again, when nothing is missing any more.
    fn measure_rollups(&self, influx: &Influx) {
        let rollup_bucket = influx.bucket("rollup-by-tasks");
        println!("\n| task | range | seconds | CPU seconds |\n|---|---|---|---|");
        for (task, range, length_ms) in [
            ("rollup-1m", "2h, missing", 2 * HOUR_MS),
            ("rollup-1m", "1h, nothing missing", HOUR_MS),
            ("rollup-1h", "2h", 2 * HOUR_MS),
        ] {
            let script = library::task(task).expect("the rollups are tasks");
            match self.once(&self.bound(script, &rollup_bucket, length_ms, Duration::from_secs(60))) {
                Ok(Cost { seconds, processor, .. }) => {
                    println!("| `{task}` | {range} | {seconds:.2} | {processor:.2} |");
                }
                Err(error) => println!("| `{task}` | {range} | {error} | |"),
            }
        }
    }

    /// The query of this range, with its own defaults for what is not of this week.
    fn bound(&self, script: &Script, rollup_bucket: &Bucket, length_ms: i64, every: Duration) -> String {
        let nanos = |ms: i64| Literal::moment(ms * 1_000_000);
        let values = [
            ("bucket", Literal::text(self.bucket.name())),
            ("rollup_bucket", Literal::text(rollup_bucket.name())),
            ("tenant_a", Literal::text("acme")),
            ("tenant_b", Literal::text("globex")),
            ("session", Literal::text(&self.session())),
            ("start", nanos(self.generator.end_ms - length_ms)),
            ("every", Literal::duration(every)),
        ];
        let inputs = script.inputs();
        let taken: Vec<_> =
            values.into_iter().filter(|(name, _)| inputs.iter().any(|input| input.name == *name)).collect();
        script.bind(&taken).expect("the inputs are named as the contract says")
    }

    /// A session of acme's, of half an hour before the end.
    fn session(&self) -> String {
        let begun = |number: u64| self.generator.session(number).events.first().cloned();
        let last = self.generator.sessions - self.generator.sessions / 300;
        let mut events = (last..).filter_map(begun).filter(|event| event.tenant == "acme");
        events.next().expect("sessions without end").session()
    }

    /// What a query takes, in the median of three times.
    fn cost(&self, flux: &str) -> Result<Cost, String> {
        let runs = [self.once(flux)?, self.once(flux)?, self.once(flux)?];
        let median = |of: fn(&Cost) -> f64| {
            let mut times: Vec<f64> = runs.iter().map(of).collect();
            times.sort_by(f64::total_cmp);
            times[1]
        };
        Ok(Cost { rows: runs[0].rows, seconds: median(|run| run.seconds), processor: median(|run| run.processor) })
    }

    fn once(&self, flux: &str) -> Result<Cost, String> {
        let (begun, before) = (Instant::now(), processor_seconds(self.influxd));
        let answer = self.ask(flux)?;
        let (seconds, processor) = (begun.elapsed().as_secs_f64(), processor_seconds(self.influxd) - before);
        Ok(Cost { rows: parse(&answer)?.len(), seconds, processor })
    }

    fn ask(&self, flux: &str) -> Result<Vec<u8>, String> {
        let dialect = json!({ "header": true, "annotations": ["datatype", "group", "default"] });
        let body = json!({ "query": flux, "type": "flux", "dialect": dialect }).to_string();
        let authorization = format!("Token {}", self.bucket.token());
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let target = format!("/api/v2/query?org={}", Influx::ORGANIZATION);
        let answer = http::try_request(self.address, "POST", &target, &headers, body.as_bytes());
        let answer = answer.map_err(|error| format!("no answer: {error}"))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(answer.text()) }
    }
}

/// What a query took.
struct Cost {
    /// That it gave.
    rows: usize,
    seconds: f64,
    /// InfluxDB's processor time, in seconds.
    processor: f64,
}

/// User and system time of a process so far, from its line in /proc (in ticks of 10 ms).
fn processor_seconds(id: u32) -> f64 {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    let rest = line.rsplit_once(") ").expect("its name ends").1;
    let ticks = rest.split(' ').skip(11).take(2).map(|word| word.parse::<f64>().expect("a number of ticks"));
    ticks.sum::<f64>() / 100.0
}

/// How far it is: a bar on a terminal, and elsewhere a line at each tenth.
struct Progress {
    bar: ProgressBar,
    sent: AtomicU64,
    all: u64,
    begun: Instant,
}

impl Progress {
    fn of(all: u64) -> Self {
        let bar = ProgressBar::new(all);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} points, {per_sec}, {eta} to go");
        bar.set_style(style.expect("a template"));
        Self { bar, sent: AtomicU64::new(0), all, begun: Instant::now() }
    }

    fn more(&self, points: u64) {
        let before = self.sent.fetch_add(points, Ordering::Relaxed);
        self.bar.set_position(before + points);
        let tenth = |points: u64| points * 10 / self.all.max(1);
        if self.bar.is_hidden() && tenth(before + points) > tenth(before) {
            let seconds = self.begun.elapsed().as_secs_f64();
            println!("{} of about {} points after {seconds:.0} s", HumanCount(before + points), HumanCount(self.all));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
