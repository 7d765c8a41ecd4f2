//! Mistakes in the settings, told like a compiler tells them: place, key, what is wrong, what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting stands. Ordered by file and line, then variables, then the built-in default.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In a file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// From 1; `None`: the file as a whole.
        line: Option<usize>,
        /// From 1, in characters; only where it helps (syntax errors).
        column: Option<usize>,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In the compiled-in default, or nowhere.
    BuiltIn,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn whole_file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None, column: None }
    }

    /// The folder that relative file names at this place start from; `None`: the working directory.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => path.parent(),
            Self::Variable(_) | Self::BuiltIn => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}", path.display())?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
                column.map_or(Ok(()), |column| write!(f, ":{column}"))
            }
            Self::Variable(name) => f.write_str(name),
            Self::BuiltIn => f.write_str("built-in default"),
        }
    }
}

/// One mistake. Its `Display` is one line: `place: key: message`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// The setting's dotted path; empty when the finding is about a file as a whole.
    pub key: String,
    /// What is wrong, and what to do. Never holds a secret.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Every mistake of the settings, sorted by place. Its `Display` is one line for each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a mistake.
    pub(crate) fn add(&mut self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { place, key: key.into(), message: message.into() });
    }

    /// Sorts by place and drops what was said twice.
    pub(crate) fn finish(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other, by place.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
