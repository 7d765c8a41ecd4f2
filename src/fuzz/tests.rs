//! The corpora, replayed. What fuzzing found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a folder of `fuzz/`, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).unwrap_or_else(|error| panic!("fuzz/{folder}: {error}"));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Runs every file of a target's corpus; how many there are, and how many of them were taken.
fn replay(name: &str) -> (usize, usize) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let folder = fuzz().join("corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut taken = 0;
    for file in &files {
        let input = fs::read(file).unwrap();
        match std::panic::catch_unwind(|| target(&input)) {
            Ok(was_taken) => taken += usize::from(was_taken),
            Err(_) => panic!("{name} breaks its promise with {}", file.display()),
        }
    }
    println!("{name}: {} inputs replayed, {taken} of them taken", files.len());
    (files.len(), taken)
}

macro_rules! replayed {
    ($($target:ident)+) => { $(
        #[test]
        fn $target() {
            let (inputs, taken) = replay(stringify!($target));
            assert!((20..=300).contains(&inputs), "{inputs} inputs: a corpus is some, and not a load for every test run");
            assert!(taken > 0 && taken < inputs, "{taken} of {inputs} taken: the corpus tries one side only");
        }
    )+ };
}

/// Every target's corpus holds no broken promise.
mod replayed {
    use super::replay;

    replayed!(decode headers inflate ingest jwks log refusal token);
}

#[test]
fn every_target_has_a_binary_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    for name in &targets {
        let path = fuzz().join("fuzz_targets").join(format!("{name}.rs"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("tagline::fuzz::{name}(")), "{}", path.display());
    }
}
