//! What was taken out of strings.

/// What was taken out of a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScrubRule {
    /// An e-mail address.
    Email,
    /// A bearer token.
    Bearer,
    /// A card number.
    Card,
    /// What a pattern of the settings is for: all of them are one label.
    Pattern,
}

impl ScrubRule {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Bearer => "bearer",
            Self::Card => "card",
            Self::Pattern => "pattern",
        }
    }
}
