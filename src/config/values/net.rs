//! Addresses, networks, URLs, origins.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Outcome, quote};
use crate::config::{OriginRule, Replicas};

/// `127.0.0.1:8080`, `[::1]:8080`.
pub(crate) fn listener(text: &str) -> Outcome<SocketAddr> {
    text.parse().map_err(|_| {
        let hint = match text.split_once(':') {
            Some(("localhost", port)) => format!("\"127.0.0.1:{port}\""),
            Some(("" | "*", port)) => format!("\"0.0.0.0:{port}\""),
            _ => "for example \"0.0.0.0:8080\" or \"[::1]:8080\"".into(),
        };
        format!("{} is no IP address with a port; write {hint}", quote(text))
    })
}

/// `10.244.0.0/16`, or one address.
pub(crate) fn network(text: &str) -> Outcome<IpNet> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().map(|net| net.trunc()).or_else(|_| one()).map_err(|_| {
        format!("{} is no address or network; write for example \"10.240.8.0/28\" or \"10.0.0.7\"", quote(text))
    })
}

/// What stands between the scheme and the path; `None` unless it is a host with an optional port.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], Some(authority[at + 1..].parse().ok()?)),
        None => (authority, None),
    };
    let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host(host),
    };
    good.then_some((host, port))
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// A base URL without credentials, query or fragment; a trailing slash is cut. Credentials are never echoed.
pub(crate) fn url(text: &str) -> Outcome<String> {
    let example = "write for example \"https://influxdb:8086\"";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if text.contains('@') {
        return Err(format!("the URL holds credentials, which belong into `token_file` or INFLUXDB_TOKEN; {example}"));
    }
    let rest = rest.ok_or_else(|| format!("{} is no URL of http or https; {example}", quote(text)))?;
    let wrong = || format!("{} is no base URL; {example}", quote(text));
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = !text.contains(['?', '#', '\\']) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    split_authority(authority).filter(|_| plain).ok_or_else(wrong)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// Where an issuer's keys are published: `https`, or `http` to a loopback address. A key that somebody on the way can change proves nothing.
pub(crate) fn jwks_url(text: &str) -> Outcome<String> {
    let example = "write for example \"https://login.example/.well-known/jwks.json\"";
    let wrong = |why: &str| format!("{} is no URL of keys: {why}; {example}", quote(text));
    if text.contains('@') {
        return Err(format!("the URL holds credentials, and keys are public; {example}"));
    }
    if text.contains(['#', '\\']) || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it holds a fragment, a backslash, a space or a control character"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, _) = split_authority(authority).ok_or_else(|| wrong("its host or port is none"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(text.to_owned()),
        "http" if loopback => Ok(text.to_owned()),
        _ => Err(wrong("only https is taken, or http on loopback")),
    }
}

/// Where a trace is looked at. Its id takes the place of `{trace_id}`.
pub(crate) fn trace_url(text: &str) -> Outcome<String> {
    let example = "write for example \"https://tempo.example/trace/{trace_id}\"";
    let wrong = |why: &str| Err(format!("{} leads to no trace: {why}; {example}", quote(text)));
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return wrong("it is no URL of http or https");
    };
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\' | '<' | '>')) {
        return wrong("it holds a space, a quote, a backslash, < or >");
    }
    match rest.split_once('/') {
        Some((host, path)) if !host.is_empty() && path.matches("{trace_id}").count() == 1 => Ok(text.to_owned()),
        _ => wrong("behind the host it should hold {trace_id} once"),
    }
}

/// Where alerts go. It may hold a credential: no message echoes it.
pub(crate) fn alert_url(text: &str) -> Outcome<()> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if host.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            "it is no URL of http or https; write for example \"http://alertmanager:9093/api/v2/alerts\"".to_owned()
        );
    }
    Ok(())
}

/// `dns:tagline-headless.telemetry.svc`
pub(crate) fn replicas(text: &str) -> Outcome<Replicas> {
    let name = text.strip_prefix("dns:").filter(|name| is_host(name.strip_suffix('.').unwrap_or(name)));
    name.map(|name| Replicas::Dns(name.to_owned())).ok_or_else(|| {
        format!(
            "{} is no number of replicas; write a whole number, or \"dns:NAME\" with a headless service's name",
            quote(text)
        )
    })
}

/// An origin as a browser writes it, or a pattern; see [`OriginRule`].
pub(crate) fn origin(text: &str) -> Outcome<OriginRule> {
    if text == "*" {
        return Ok(OriginRule::Any);
    }
    let wrong = |why: &str| {
        format!(
            "{} is no origin: {why}; write for example \"https://app.example\", \"https://*.example\" or \"*\"",
            quote(text)
        )
    };
    let (scheme, authority) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let scheme = scheme.to_ascii_lowercase();
    let clean = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !clean {
        return Err(wrong("its scheme is none"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(wrong("an origin ends with its host and port, without a slash or path"));
    }
    let (wild, host) = authority.strip_prefix("*.").map_or((false, authority), |rest| (true, rest));
    let (host, port) = split_authority(host)
        .ok_or_else(|| wrong("its host or port is none; \"*\" may only stand for the first labels"))?;
    if wild && host.starts_with('[') {
        return Err(wrong("an address has no subdomains"));
    }
    // A browser leaves the default port out.
    let port = port.filter(|port| !matches!((scheme.as_str(), *port), ("https", 443) | ("http", 80)));
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let host = host.to_ascii_lowercase();
    Ok(if wild {
        OriginRule::Subdomains { scheme: format!("{scheme}://"), suffix: format!(".{host}{port}") }
    } else {
        OriginRule::Exact(format!("{scheme}://{host}{port}"))
    })
}
