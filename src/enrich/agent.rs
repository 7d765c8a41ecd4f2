//! What a `User-Agent` says of the browser, the operating system and the device: families, never versions, so that the tags stay few.
//!
//! The names are those of the woothee data set, a closed list, with the systems' usual spelling. What it cannot know: an iPad that asks for
//! desktop sites calls itself a Mac, and a Chromium that is not in the list is Chrome.

#[cfg(test)]
mod tests;

use woothee::parser::Parser;

/// The longest header that is looked at, bytes; real ones have 60 to 300.
const LONGEST: usize = 1_024;

/// Compiles the patterns, so that no request waits for it. A header of no known browser is held against all of them.
pub(super) fn warm_up() {
    Agent::read("none of the known");
}

/// The families; none where the header does not say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Agent<'r> {
    browser: Option<&'r str>,
    os: Option<&'r str>,
    device: Option<&'r str>,
}

impl<'r> Agent<'r> {
    /// Reads the header.
    pub(super) fn read(header: &'r str) -> Self {
        let Some(seen) = Parser::new().parse(&header[..header.floor_char_boundary(LONGEST)]) else {
            return Self::default();
        };
        let device = match (seen.category, seen.os) {
            (_, "iPad") => "tablet",
            // Android tablets leave the word out: https://developer.chrome.com/docs/multidevice/user-agent
            ("smartphone", "Android") if !header.contains("Mobile") => "tablet",
            ("pc", _) => "desktop",
            ("smartphone" | "mobilephone", _) => "mobile",
            ("crawler", _) => "bot",
            (other, _) => other,
        };
        let os = match seen.os {
            "Mac OSX" => "macOS",
            "iPhone" | "iPad" | "iPod" => "iOS",
            windows if windows.starts_with("Windows Phone") => "Windows Phone",
            windows if windows.starts_with("Windows") => "Windows",
            other => other,
        };
        let known = |name: &'r str| Some(name).filter(|name| !matches!(*name, "" | "UNKNOWN"));
        Self { browser: known(seen.name), os: known(os), device: known(device) }
    }

    /// What there is, as tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'static str, &'r str)> {
        let tags = [("browser", self.browser), ("os", self.os), ("device", self.device)];
        tags.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
