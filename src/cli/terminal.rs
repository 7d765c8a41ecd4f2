//! What standard output is: how wide, and whether it takes more than plain text.

use std::io::{self, IsTerminal as _};

/// Where a command's answer is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Terminal {
    /// Columns; `None`: as many as it takes.
    pub(super) width: Option<usize>,
    /// Bold, dim and links are understood and wanted.
    pub(super) styled: bool,
}

impl Terminal {
    /// Plain text, as wide as it is.
    pub(super) const PLAIN: Self = Self { width: None, styled: false };

    /// Standard output. `COLUMNS` tells the width where it is exported, also of what is no terminal; `NO_COLOR` and `TERM=dumb` want plain text.
    pub(super) fn of_stdout() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let told = set("COLUMNS").and_then(|columns| columns.parse().ok());
        let seen = || rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        Self {
            width: told.or_else(|| seen().filter(|_| terminal)).filter(|columns| *columns > 0),
            styled: terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// What is to be seen first.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("\x1b[1m", text)
    }

    /// What is only looked for.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("\x1b[2m", text)
    }

    /// A text that leads to `url` (OSC 8).
    pub(super) fn link(self, text: &str, url: &str) -> String {
        if self.styled { format!("\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\") } else { text.to_owned() }
    }

    fn with(self, style: &str, text: &str) -> String {
        if self.styled { format!("{style}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A stranger's text without what would move the cursor, colour the screen, or turn the order of letters round: such characters are shown by
/// their numbers.
pub(super) fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
            || matches!(c, '\u{e0000}'..='\u{e007f}')
    };
    if !text.contains(harmful) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            c if harmful(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}
