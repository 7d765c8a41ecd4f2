//! Origins: what a browser says of the page that sends, and the rules that it is held against.
//!
//! Both sides go through the same normalisation (RFC 6454 section 4: lower case, no default port), and a match compares
//! whole origins, or whole labels from the right: never a prefix of text.

use crate::config::OriginRule;

use super::{AuthError, Code};

/// The longest origin looked at: scheme, `://`, a host name of 253 characters, `:`, a port.
const MAX_LEN: usize = 300;

/// The origin of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// No `Origin` header: a server, `curl`, or a same-origin GET.
    Absent,
    /// `null`: a sandboxed frame, a `file:` page, a redirect across origins.
    Opaque,
    /// Something that no browser sends.
    Malformed,
    /// Scheme, host and port.
    Tuple(Tuple),
}

/// A normalised origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tuple {
    scheme: String,
    /// Host, and `:port` where it is not the scheme's default.
    authority: String,
}

impl Origin {
    /// Reads the `Origin` headers of a request.
    pub(super) fn read(headers: &[&[u8]]) -> Result<Self, AuthError> {
        match headers {
            [] => Ok(Self::Absent),
            [b"null"] => Ok(Self::Opaque),
            [one] => Ok(std::str::from_utf8(one).ok().and_then(Tuple::parse).map_or(Self::Malformed, Self::Tuple)),
            _ => Err(Code::HeaderDuplicated.because("Origin was sent more than once: send it once")),
        }
    }

    /// The refusal of what is no origin.
    pub(super) fn malformed() -> AuthError {
        Code::OriginMalformed.because("Origin must be scheme://host[:port], as a browser writes it")
    }
}

impl Tuple {
    /// Reads `scheme://host[:port]`. `None` where there is anything else: a path, user information, an empty label.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let first_is_letter = scheme.starts_with(|c: char| c.is_ascii_lowercase());
        if !first_is_letter || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let (host, port) = split_port(rest)?;
        let host = host.to_ascii_lowercase();
        if !(is_name(&host) || is_v6_literal(&host)) {
            return None;
        }
        let authority = match port {
            Some(port) if Some(port) != default_port(&scheme) => format!("{host}:{port}"),
            _ => host,
        };
        Some(Self { scheme, authority })
    }

    /// Host, and the port where it is not the default: the `host` tag.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an IPv6 literal stand before its bracket.
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[host_end..].find(':').map(|at| at + host_end) else {
        return Some((authority, None));
    };
    let digits = &authority[colon + 1..];
    // `parse` alone would take `+80`.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((&authority[..colon], Some(digits.parse().ok()?)))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// A host name or IPv4 address; one trailing dot is a name of its own, which equals no rule without it.
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}

fn is_v6_literal(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// A rule, normalised for comparing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    Any,
    Exact(Tuple),
    /// Every name that ends in this, `.example.com[:port]`, with a label before it.
    Subdomains {
        scheme: String,
        suffix: String,
    },
}

impl Rule {
    /// Takes a rule of the settings; `None` if it can match nothing.
    pub(super) fn new(rule: &OriginRule) -> Option<Self> {
        match rule {
            OriginRule::Any => Some(Self::Any),
            OriginRule::Exact(text) => Tuple::parse(text).map(Self::Exact),
            OriginRule::Subdomains { scheme, suffix } => {
                let scheme = scheme.trim_end_matches("://");
                let domain = suffix.strip_prefix('.')?;
                let Tuple { scheme, authority } = Tuple::parse(&format!("{scheme}://{domain}"))?;
                Some(Self::Subdomains { scheme, suffix: format!(".{authority}") })
            }
        }
    }

    /// Whether a request of this origin may pass by this rule.
    pub(super) fn admits(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Any, _) => true,
            (rule, Origin::Tuple(tuple)) => rule.lists(tuple),
            _ => false,
        }
    }

    /// Whether the rule names this origin; `*` names none.
    pub(super) fn lists(&self, origin: &Tuple) -> bool {
        match self {
            Self::Any => false,
            Self::Exact(exact) => exact == origin,
            // The origin's labels are not empty, so what stands before the suffix is whole labels.
            Self::Subdomains { scheme, suffix } => {
                *scheme == origin.scheme
                    && origin.authority.strip_suffix(suffix.as_str()).is_some_and(|labels| !labels.is_empty())
            }
        }
    }
}

/// Reads a rule as it is written in settings: `*`, `https://app.example`, `https://*.example.com`.
pub(crate) fn rule_from_text(text: &str) -> Option<OriginRule> {
    if text == "*" {
        return Some(OriginRule::Any);
    }
    let rule = match text.split_once("://*.") {
        Some((scheme, domain)) => {
            OriginRule::Subdomains { scheme: format!("{scheme}://"), suffix: format!(".{domain}").to_ascii_lowercase() }
        }
        None => OriginRule::Exact(text.to_owned()),
    };
    match Rule::new(&rule)? {
        Rule::Any => Some(OriginRule::Any),
        Rule::Exact(Tuple { scheme, authority }) => Some(OriginRule::Exact(format!("{scheme}://{authority}"))),
        Rule::Subdomains { scheme, suffix } => Some(OriginRule::Subdomains { scheme: format!("{scheme}://"), suffix }),
    }
}
