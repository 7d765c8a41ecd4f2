//! Headers: a tenant is proven by a right credential and by nothing else, however headers, query and path are spelled.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use influxdb_line_protocol::parse_lines;

use crate::auth::{Proof, Tenant};
use crate::enrich::Context;
use crate::fuzz::{COOKIE, GLOBEX, Gateway, KEYS, NOW, PROXY_SECRET, is_tenant_id, origin as normal};
use crate::http::extract::presented;
use crate::http::inflate::encoding;
use crate::ingest::Limits;

/// What a request says, split by this module and not by the gateway.
struct Said<'i> {
    target: &'i str,
    peer: Option<IpAddr>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Proves the tenant of a request, and reads what else its headers say. The input is lines: the request's target, the peer's address, then headers;
/// in a header `{acme}` and `{globex}` stand for tokens that hold.
pub fn headers(input: &[u8]) -> bool {
    let Some(said) = Said::read(input) else { return false };
    let mut request = TestRequest::post().uri(said.target);
    if let Some(peer) = said.peer {
        request = request.peer_addr(SocketAddr::new(peer, 40_000));
    }
    for (name, value) in &said.headers {
        request = request.append_header((name.clone(), value.clone()));
    }
    if let Some(key) = said.path_key() {
        request = request.param("key", key.to_owned());
    }
    let request = request.to_http_request();
    let gateway = Gateway::shared();
    let presented = presented(&request);
    let verdict = gateway.authenticator.verify(&presented, NOW, &|| Ok(()));
    if let Some(client) = gateway.authenticator.client_address(&presented) {
        said.must_come_from(client);
    }
    match &verdict {
        Ok(tenant) => said.must_prove(tenant, gateway),
        Err(refused) => {
            let secrets = KEYS.iter().map(|(key, ..)| *key).chain([PROXY_SECRET]);
            secrets.for_each(|secret| assert!(!refused.detail.contains(secret), "{}", refused.detail));
            assert!(refused.detail.is_ascii() && refused.detail.len() < 300, "{}", refused.detail);
        }
    }
    said.encoding_is_known();
    said.reaches_no_line_unread(gateway);
    verdict.is_ok()
}

impl<'i> Said<'i> {
    fn read(input: &'i [u8]) -> Option<Self> {
        let mut lines = input.split(|byte| *byte == b'\n');
        let target = std::str::from_utf8(lines.next()?).ok()?;
        // Another form of target never comes to a handler.
        target.parse::<Uri>().ok().filter(|_| target.starts_with('/'))?;
        let peer = std::str::from_utf8(lines.next().unwrap_or_default()).ok().and_then(|text| text.parse().ok());
        let header = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = filled_in(line[colon + 1..].trim_ascii());
            Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(&value).ok()?))
        };
        Some(Self { target, peer, headers: lines.filter_map(header).take(64).collect() })
    }

    fn all(&self, wanted: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(name, _)| name.as_str() == wanted).map(|(_, value)| value.as_bytes()).collect()
    }

    fn path_key(&self) -> Option<&'i str> {
        let path = self.target.split(['?', '#']).next().unwrap_or_default();
        path.strip_prefix("/v1/telemetry/").filter(|key| !key.is_empty() && !key.contains('/'))
    }

    /// The values of a name in the query, decoded.
    fn query(&self, wanted: &str) -> Vec<String> {
        let query = self.target.split('#').next().unwrap_or_default().split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(name, _)| decoded(name) == wanted).map(|(_, value)| decoded(value)).collect()
    }

    /// All that this request carries is right, and of this tenant.
    fn must_prove(&self, tenant: &Tenant, gateway: &Gateway) {
        let id = tenant.id().as_str();
        assert!(is_tenant_id(id));
        let mut keys = self.query("k");
        keys.extend(self.path_key().map(str::to_owned));
        keys.extend(self.all("x-api-key").into_iter().map(|key| String::from_utf8_lossy(key).into_owned()));
        for key in &keys {
            let known = KEYS.iter().find(|(known, ..)| known == key);
            let (_, owner, origins) = known.unwrap_or_else(|| panic!("{id} by a key that nobody has: {key}"));
            assert_eq!(*owner, id, "another tenant's key");
            assert!(origins.split(',').any(|rule| self.comes_from(rule)), "{origins} took {:?}", self.all("origin"));
        }
        let bearers = self.all("authorization").into_iter().filter_map(bearer);
        let tokens: Vec<String> = bearers.chain(self.query("access_token")).collect();
        for token in &tokens {
            assert_eq!(*token, gateway.good_token(id), "another token than the one that holds");
        }
        let named = self.all("x-tenant-id");
        assert!(named.iter().all(|named| *named == id.as_bytes()) && named.len() <= 1, "{id} against {named:?}");
        let by_proxy = !named.is_empty() && self.is_proxied();
        // A cookie counts only when it is alone, is sent once, and comes from one of the tenant's pages.
        let by_cookie = keys.is_empty() && tokens.is_empty() && !by_proxy;
        if by_cookie {
            assert_eq!(self.cookies(), [gateway.good_token(id)], "{id} by nothing else");
            assert!(tenant.host().is_some(), "a cookie from a page that is not the tenant's");
        }
        match tenant.proof() {
            Proof::Jwt(_) => assert!(by_cookie || !tokens.is_empty()),
            Proof::WriteKey(_) => assert!(!keys.is_empty()),
            Proof::Proxy => assert!(by_proxy),
            Proof::UploadToken(name) => panic!("no backend minted a token: {name}"),
        }
        if let Some(host) = tenant.host() {
            let listed = KEYS.iter().filter(|(_, owner, _)| *owner == id).flat_map(|(.., rules)| rules.split(','));
            assert!(listed.filter(|rule| *rule != "*").any(|rule| self.comes_from(rule)), "{host} is not listed");
        }
    }

    /// The values of the cookie that may carry a token.
    fn cookies(&self) -> Vec<String> {
        let headers: Vec<String> =
            self.all("cookie").into_iter().map(|header| String::from_utf8_lossy(header).into_owned()).collect();
        let pairs = headers.iter().flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).collect()
    }

    fn is_proxied(&self) -> bool {
        self.peer.is_some_and(is_proxy) && self.all("x-proxy-secret") == [PROXY_SECRET.as_bytes()]
    }

    /// The client is the peer; or, behind a proxy that shows the secret, the last of those whom the proxies saw that is none of them.
    fn must_come_from(&self, client: IpAddr) {
        let Some(peer) = self.peer.map(|peer| peer.to_canonical()) else { panic!("{client} without a peer") };
        if !is_proxy(peer) {
            assert_eq!(client, peer, "what anybody can write was believed");
            return;
        }
        assert!(self.is_proxied() && !is_proxy(client), "{client} behind {peer}");
        let chain = self.all("x-forwarded-for").join(&b',');
        let mut entries = chain.rsplit(|byte| *byte == b',').map(|entry| address(&String::from_utf8_lossy(entry)));
        let seen = entries.find(|entry| !entry.is_some_and(is_proxy));
        assert_eq!(seen, Some(Some(client)), "{}", String::from_utf8_lossy(&chain));
    }

    /// Whether the request's one origin fits a rule, compared as text.
    fn comes_from(&self, rule: &str) -> bool {
        let origins = self.all("origin");
        if rule == "*" {
            return true;
        }
        let [origin] = origins.as_slice() else { return false };
        let (origin, rule_text) = (normal(&String::from_utf8_lossy(origin)), normal(rule));
        match rule_text.split_once("*.") {
            None => origin == rule_text,
            Some((scheme, domain)) => {
                let labels = origin.strip_prefix(scheme).and_then(|host| host.strip_suffix(&format!(".{domain}")));
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                labels.is_some_and(|labels| !labels.is_empty() && labels.chars().all(plain))
            }
        }
    }

    fn encoding_is_known(&self) {
        for value in self.all("content-encoding") {
            let name = String::from_utf8_lossy(value).trim().to_ascii_lowercase();
            let known = ["", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"].contains(&&*name);
            assert_eq!(encoding(Some(value), b"{}").is_ok(), known, "{name}");
        }
    }

    /// What `User-Agent` and `traceparent` become: a line that parses, families from a closed list, and a trace id that is one.
    fn reaches_no_line_unread(&self, gateway: &Gateway) {
        let first = |name| self.all(name).first().and_then(|value| std::str::from_utf8(value).ok());
        let by_key = crate::auth::Presented { write_keys: vec![KEYS[3].0.to_owned()], ..Default::default() };
        let tenant = gateway.authenticator.verify(&by_key, NOW, &|| Ok(())).expect("a good key");
        let context = Context {
            tenant: &tenant,
            received: NOW,
            sent_at_ms: None,
            client: None,
            user_agent: first("user-agent"),
            traceparent: first("traceparent"),
        };
        let body = br#"{"viewName":"v","actionName":"a","metrics":{"duration_ms":1}}"#;
        let limits = Limits { max_events: 1, max_lines: 4096 };
        let Ok(lines) =
            crate::ingest::ingest::<std::convert::Infallible>(&gateway.enricher, context, body, limits, |_| Ok(()));
        let lines = lines.expect("a good event");
        let text = String::from_utf8(lines.body).expect("lines are UTF-8");
        let parsed: Vec<_> = parse_lines(&text).collect();
        let [Ok(line)] = parsed.as_slice() else { panic!("one event is one line: {text}") };
        assert_eq!(line.tag_value("tenant_id").map(|tag| tag.as_str()), Some(GLOBEX));
        for name in ["browser", "os", "device"] {
            let family = line.tag_value(name).map(|tag| tag.as_str().to_owned()).unwrap_or_default();
            assert!(family.len() < 40 && family.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{name}: {family}");
        }
        if let Some(trace) = line.field_value("trace_id") {
            let header = first("traceparent").unwrap_or_default().to_ascii_lowercase();
            let id = trace.to_string().trim_matches('"').to_owned();
            assert!(
                id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && header.contains(&id),
                "{id} of {header}"
            );
        }
    }
}

/// Whether the settings list this address among the proxies.
fn is_proxy(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// An address, with or without brackets and a port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    let inner = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, "")) => inner,
        Some((inner, port)) => port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).map(|_| inner)?,
        None => match entry.rsplit_once(':') {
            Some((inner, port)) if !inner.contains(':') && port.parse::<u16>().is_ok() => inner,
            _ => entry,
        },
    };
    inner.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The value with its tokens.
fn filled_in(value: &[u8]) -> Vec<u8> {
    let gateway = Gateway::shared();
    let mut value = value.to_vec();
    for tenant in ["acme", GLOBEX] {
        let mark = format!("{{{tenant}}}");
        if let Some(at) = value.windows(mark.len()).position(|window| window == mark.as_bytes()) {
            value.splice(at..at + mark.len(), gateway.good_token(tenant).into_bytes());
        }
    }
    value
}

/// What follows `Bearer`, if that is the scheme.
fn bearer(header: &[u8]) -> Option<String> {
    let header = String::from_utf8_lossy(header).into_owned();
    let (scheme, token) = header.split_once(' ').unwrap_or((&header, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Percent-decoded, with `+` for a blank.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let hex = hex.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = &more[2..];
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        rest = more;
    }
    String::from_utf8_lossy(&out).into_owned()
}
