//! A whole body on its way to lines: held against another parser of line protocol, InfluxDB's own.

use std::collections::BTreeSet;
use std::convert::Infallible;

use influxdb_line_protocol::{ParsedLine, parse_lines};

use super::gateway::{self, KEYS, NOW};
use crate::auth::{Presented, Tenant};
use crate::config::Settings;
use crate::encode;
use crate::enrich::{Context, Enricher};
use crate::ingest::{Limits, Lines, Unusable};

/// Where the request comes from; these settings store no address.
const CLIENT: &str = "203.0.113.9";

const LIMITS: Limits = Limits { max_events: 50, max_lines: 64 << 10 };

/// Makes lines of a body of tenant `acme`: each parses to one point of `acme` and of a measurement of the catalog, with the server's own tags; every
/// item has one end; and sent again, to another process, events that carry `timestamp` and `seq` are the same points.
///
/// The whole input is the body; its length chooses how the tenant stores its sessions.
pub fn ingest(body: &[u8]) -> bool {
    let settings = stored(body.len());
    let Ok((lines, items)) = ingested(&settings, body) else {
        return false;
    };
    assert_eq!(lines.points + lines.rejected.len(), items, "every item has one end");
    let mut ends: Vec<usize> = lines.rejected.iter().map(|rejection| rejection.index).collect();
    ends.dedup();
    assert!(ends.len() == lines.rejected.len() && ends.iter().all(|index| *index < items), "{ends:?} of {items}");
    let text = std::str::from_utf8(&lines.body).expect("lines are UTF-8");
    assert!(text.len() <= LIMITS.max_lines);
    let parsed: Vec<ParsedLine<'_>> =
        parse_lines(text).map(|line| line.unwrap_or_else(|error| panic!("{error}: {text:?}"))).collect();
    assert_eq!(parsed.len(), lines.points, "{text:?}");
    assert_eq!(encode::lines(&lines.body).count(), lines.points, "{text:?}");
    parsed.iter().for_each(|line| is_sound(line, &settings));

    let sent_twice = crate::decode::decode(body, LIMITS.max_events)
        .is_ok_and(|read| read.items.iter().flatten().all(|event| event.timestamp_ms.is_some() && event.seq.is_some()));
    if sent_twice {
        let (again, _) = ingested(&settings, body).expect("it was taken the first time");
        assert_eq!(again.body, lines.body, "a second copy is another point");
    }
    lines.points > 0
}

/// Settings for each way of storing sessions, and for a tenant whose budget of series is soon used up.
fn stored(which: usize) -> Settings {
    use std::sync::LazyLock;
    static ALL: LazyLock<[Settings; 4]> = LazyLock::new(|| {
        let with = |name, value| {
            let mut settings = gateway::settings(&[(name, value)]);
            settings.issuers.clear();
            settings
        };
        [
            with("TAGLINE__TENANTS__ACME__SESSION", "tag"),
            with("TAGLINE__TENANTS__ACME__SESSION", "field"),
            with("TAGLINE__TENANTS__ACME__SESSION", "hash:8"),
            with("TAGLINE__TENANTS__ACME__LIMITS__SERIES_PER_HOUR", "2"),
        ]
    });
    ALL[which % ALL.len()].clone()
}

/// The lines of a body, and how many items were charged. All budgets are fresh, so that an input alone decides what comes of it.
fn ingested(settings: &Settings, body: &[u8]) -> Result<(Lines, usize), Unusable> {
    let tenant = proven(settings);
    let enricher = Enricher::new(settings);
    let client = Some(CLIENT.parse().expect("an address"));
    let context =
        Context { tenant: &tenant, received: NOW, sent_at_ms: None, client, user_agent: None, traceparent: None };
    let mut items = 0;
    let charge = |count| {
        items = count;
        Ok(())
    };
    let Ok(ingested) = crate::ingest::ingest::<Infallible>(&enricher, context, body, LIMITS, charge);
    ingested.map(|lines| (lines, items))
}

fn proven(settings: &Settings) -> Tenant {
    let presented = Presented {
        write_keys: vec![KEYS[0].0.to_owned()],
        origin: vec![b"https://app.example"],
        ..Presented::default()
    };
    gateway::authenticator(settings).verify(&presented, NOW, &|| Ok(())).expect("a good key")
}

fn is_sound(line: &ParsedLine<'_>, settings: &Settings) {
    let measurement = line.series.measurement.as_str();
    assert!(settings.catalog.get(measurement).is_some(), "{line:?}");
    let tags = line.series.tag_set.as_ref().expect("the server's tags");
    assert!(tags.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, and none twice: {line:?}");
    for (name, value) in [("tenant_id", "acme"), ("instance", "aks-weu-1"), ("host", "app.example"), ("env", "prod")] {
        let values: Vec<&str> = tags.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, [value], "{name}: {line:?}");
    }
    assert!(line.tag_value("client_address").is_none() && line.field_value("client_address").is_none(), "{line:?}");
    let fields = line.field_set.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = fields.chain(tags.iter().map(|(name, _)| name.as_str())).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "no name stands twice: {line:?}");
    assert!(!names.iter().any(|name| name.starts_with('_') || *name == "time"), "{line:?}");
    assert!(!line.field_set.is_empty() && line.timestamp.is_some(), "{line:?}");
    // A query or a fragment of an address is never kept.
    for (name, value) in tags {
        let path = matches!(name.as_str(), "path" | "endpoint");
        assert!(!(path && value.as_str().contains(['?', '#'])), "{line:?}");
    }
}
