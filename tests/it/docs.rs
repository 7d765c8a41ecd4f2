//! What the documents say is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;
use tagline::auth::Code;
use tagline::cli::Arguments;
use tagline::outcome::Reason;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root().join(name)).into();
    pages.extend(files(&root().join("docs"), "md"));
    pages
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A page's text outside of its fenced blocks.
fn prose(text: &str) -> String {
    let parts = text.split("\n```").enumerate().filter(|(part, _)| part % 2 == 0);
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("\n")
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_relative_link_leads_somewhere() {
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let lands = target.exists()
                && (fragment.is_empty() || {
                    let text = std::fs::read_to_string(&target).unwrap_or_default();
                    prose(&text)
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment)
                });
            if !lands {
                broken.push(format!("{}: {link}", short(&page)));
            }
        }
    }
    assert!(followed >= 8, "only {followed} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The lines of fenced shell blocks and of code spans that call the binary, each without what a shell makes of it.
fn command_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        // A line of its own, in a block.
        let bare = line.trim().trim_start_matches("$ ").trim_start_matches("eval \"$(");
        let bare = bare.split(['|', '#']).next().unwrap_or_default().trim_end().trim_end_matches(")\"");
        let words: Vec<&str> = bare
            .split_whitespace()
            .skip_while(|word| word.contains('=') && word.starts_with(char::is_uppercase))
            .collect();
        if words.first() == Some(&"tagline") && !line.contains('`') {
            found.push(words.join(" "));
        }
        // A code span in a sentence.
        for span in line.split('`').skip(1).step_by(2) {
            if span.starts_with("tagline ") {
                found.push(span.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_command_line_in_the_documents_is_one_that_the_binary_takes() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    let mut texts: Vec<(String, String)> =
        pages().iter().map(|page| (short(page), std::fs::read_to_string(page).unwrap())).collect();
    for file in files(&root().join("config"), "toml") {
        // The examples stand in comments.
        let text = std::fs::read_to_string(&file).unwrap();
        let comments: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
        texts.push((short(&file), comments.join("\n")));
    }
    for (page, text) in texts {
        for line in command_lines(&text) {
            // In the documents' own words: FILE, PATH and … stand for anything.
            let words: Vec<&str> =
                line.split_whitespace().filter(|word| *word != "…").map(|word| word.trim_matches('"')).collect();
            seen.extend(words.get(1).map(|command| (*command).to_owned()));
            let Err(error) = Arguments::try_parse_from(&words) else { continue };
            // Two words, such as `tagline query` in a sentence, may name a command that wants more.
            let named = [ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, ErrorKind::MissingRequiredArgument];
            if error.exit_code() != 0 && !(words.len() == 2 && named.contains(&error.kind())) {
                wrong.push(format!("{page}: `{line}`: {}", error.to_string().lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for command in ["serve", "check", "setup", "token", "replay", "spool", "query"] {
        assert!(seen.contains(command), "no document shows `tagline {command}`");
    }
}

/// The first column of a table's rows, each cell split at `·` and freed of its marks.
fn first_column<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split(['·', ',']))
        .map(|cell| cell.trim().trim_matches('`'))
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn the_codes_of_identity_are_the_codes_of_the_page() {
    let page = read("docs/identity.md");
    let told: BTreeSet<(String, String)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            Some((cells.next()?, cells.next()?))
        })
        .filter(|(_, status)| matches!(status.as_str(), "401" | "403" | "429" | "503"))
        .collect();
    let ours: BTreeSet<(String, String)> = Code::ALL
        .iter()
        .map(|code| {
            let status = match code.kind() {
                tagline::auth::Refusal::Unauthenticated => "401",
                tagline::auth::Refusal::Forbidden => "403",
                tagline::auth::Refusal::Limited => "429",
                tagline::auth::Refusal::Unavailable => "503",
            };
            (code.as_str().to_owned(), status.to_owned())
        })
        .collect();
    assert_eq!(told, ours);
}

#[test]
fn the_page_of_errors_has_every_reason_and_every_code_and_no_other() {
    let page = read("docs/errors.md");
    let told: BTreeSet<&str> = first_column(&page, "| reason |").into_iter().collect();
    assert_eq!(told, Reason::ALL.iter().map(|reason| reason.as_str()).collect());

    let http: String =
        files(&root().join("src/http"), "rs").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let told: BTreeSet<&str> = first_column(&page, "| code |").into_iter().collect();
    // A code stands behind its status: `StatusCode::NOT_FOUND, "not_found"`.
    let behind_a_status = http.split("StatusCode::").skip(1).filter_map(|rest| {
        let (_, after) = rest.split_once(',')?;
        after.trim_start().strip_prefix('"')?.split('"').next()
    });
    // What a client cannot bring about: the wiring of the handlers.
    let given: BTreeSet<&str> = behind_a_status
        .filter(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && *code != "internal")
        .collect();
    assert!(given.len() > 10, "the codes are not found: {given:?}");
    assert!(given.is_subset(&told), "not on the page: {:?}", given.difference(&told));
    for code in told {
        assert!(http.contains(&format!("\"{code}\"")), "{code} is on the page and never given");
    }
}

#[test]
fn every_code_and_reason_is_given_somewhere_in_the_code() {
    // What the closed lists name must be made by some line of the code, or the list is a wish.
    let sources: String = files(&root().join("src"), "rs")
        .iter()
        .filter(|path| {
            !path.ends_with("auth/code.rs") && !path.ends_with("outcome.rs") && !short(path).contains("tests")
        })
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for code in Code::ALL {
        assert!(sources.contains(&format!("Code::{code:?}")), "{code:?} is never given");
    }
    for reason in Reason::ALL {
        assert!(sources.contains(&format!("Reason::{reason:?}")), "{reason:?} is never given");
    }
}

#[test]
fn the_status_table_of_the_readme_is_the_statuses_of_the_code() {
    let told: BTreeSet<u16> =
        first_column(&read("README.md"), "| status | when |").iter().map(|cell| cell.parse().unwrap()).collect();
    // What the metrics label by name are the statuses that the ingest routes answer; 200 is a preflight's.
    let metrics = read("src/metrics.rs");
    let labels = metrics.split("fn status_label").nth(1).unwrap().split("\n}").next().unwrap();
    let labelled = labels.lines().filter_map(|line| line.trim().split(" =>").next()?.parse::<u16>().ok());
    let ours: BTreeSet<u16> = labelled.filter(|status| *status != 200).collect();
    assert_eq!(told, ours);
    // And every status that the HTTP room names is in the table.
    let names = [
        ("ACCEPTED", 202),
        ("BAD_REQUEST", 400),
        ("UNAUTHORIZED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("METHOD_NOT_ALLOWED", 405),
        ("REQUEST_TIMEOUT", 408),
        ("PAYLOAD_TOO_LARGE", 413),
        ("UNSUPPORTED_MEDIA_TYPE", 415),
        ("TOO_MANY_REQUESTS", 429),
        ("SERVICE_UNAVAILABLE", 503),
    ];
    for file in files(&root().join("src/http"), "rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in text.split("StatusCode::").skip(1) {
            let name: String = name.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            // A 500 is a mistake of ours in wiring, not an answer of the contract.
            if name.is_empty() || name == "INTERNAL_SERVER_ERROR" {
                continue;
            }
            let status = names.iter().find(|(known, _)| *known == name);
            let (_, status) =
                status.unwrap_or_else(|| panic!("{}: StatusCode::{name} is not in the README's table", short(&file)));
            assert!(told.contains(status), "{}: {status} is not in the README's table", short(&file));
        }
    }
}

#[test]
fn the_routes_of_the_readme_are_the_routes_of_the_code() {
    let readme = read("README.md");
    let ingest = read("src/http/ingest.rs");
    let list = ingest.split("for path in [").nth(1).unwrap().split(']').next().unwrap();
    let ours: BTreeSet<String> =
        list.split('"').skip(1).step_by(2).map(|path| path.replace("{key}", "{write key}")).collect();
    let told: BTreeSet<String> = first_column(&readme, "| route | body |")
        .iter()
        .map(|cell| cell.trim_matches('`').trim_start_matches("POST ").to_owned())
        .collect();
    assert_eq!(told, ours);
    for route in ["/healthz", "/readyz", "/metrics", "/admin/ledger", "/admin/rejections", "/admin/dead-letters"] {
        assert!(readme.contains(&format!("`{route}`")), "{route} is not in the README");
    }
}

#[test]
fn the_changelog_tells_of_what_is_unreleased_and_the_licence_is_there() {
    let changelog = read("CHANGELOG.md");
    assert!(changelog.contains("## [Unreleased]"));
    for command in ["serve", "check", "setup", "token", "replay", "spool", "query"] {
        assert!(changelog.contains(&format!("`{command}`")), "{command}");
    }
    assert!(read("LICENSE").contains("Apache License"));
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let sources: String = [files(&root().join("src"), "rs"), files(&root().join("tests/it"), "rs")]
        .concat()
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let page = read("SECURITY.md");
    let spans = page.split('`').skip(1).step_by(2);
    // Settings and headers have dots, dashes or few words: a test's name is a sentence.
    let is_test = |span: &&str| {
        span.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && span.matches('_').count() >= 3
    };
    let named: BTreeSet<&str> = spans.filter(is_test).collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let gone: Vec<&str> = named.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(gone.is_empty(), "{}", gone.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_400_lines() {
    let long: Vec<String> = files(&root().join("src"), "rs")
        .into_iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (lines > 400).then(|| format!("{}: {lines} lines", short(&path)))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn only_the_http_room_knows_actix() {
    let mut inside = 0;
    for path in files(&root().join("src"), "rs") {
        let name = short(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let uses = code
            .filter(|line| line.contains("actix_web") || line.contains("actix_cors") || line.contains("actix_rt"))
            .count();
        if name == "src/http.rs" || name.starts_with("src/http/") {
            inside += uses;
        } else {
            assert_eq!(uses, 0, "{name} knows actix");
        }
    }
    assert!(inside > 5, "the search finds nothing");
}

#[test]
fn every_folder_of_the_source_has_its_door_beside_it_with_a_word_about_it() {
    for path in files(&root().join("src"), "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}: a door stands beside its folder", short(&path));
        if short(&path).matches('/').count() == 1 && !path.ends_with("main.rs") {
            assert!(text.starts_with("//!"), "{} says nothing about itself", short(&path));
        }
    }
}
