//! The table of what a reader fills in, held against the files of the overlay.

use super::{guide, read, section};
use toml_edit::{DocumentMut, Item, Table};

const OVERLAY: &str = "k8s/overlays/aks";

/// The table's rows: a value's name, and the file that it stands in.
fn rows(guide: &str) -> Vec<(String, String)> {
    let table = section(guide, "### 6. Fill in the values");
    let rows = table.lines().skip_while(|line| !line.starts_with("| value | file |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().expect("a first cell"), cells.next().expect("a second cell"))
    });
    rows.collect()
}

/// What there is to fill in, by the files themselves.
fn values() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |name: String, file: &str| found.push((name, file.to_owned()));
    for line in read(&format!("{OVERLAY}/values.env")).lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, _)) = line.split_once('=') {
            add(name.to_owned(), "values.env");
        }
    }
    for name in ["newName", "newTag"] {
        let text = read(&format!("{OVERLAY}/kustomization.yaml"));
        let count = text.lines().filter(|line| line.trim().starts_with(&format!("{name}:"))).count();
        (0..count).for_each(|_| add(format!("images.{name}"), "kustomization.yaml"));
    }
    for file in ["tagline.toml", "tenants.toml"] {
        let text = read(&format!("{OVERLAY}/{file}"));
        let document: DocumentMut = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut keys = Vec::new();
        leaves(document.as_table(), "", &mut keys);
        // The only one that is no choice of the reader's.
        keys.retain(|key| key != "tenants_file");
        keys.sort();
        keys.dedup();
        keys.into_iter().for_each(|key| add(key, file));
    }
    found
}

/// The keys of a file, with `NAME` and `ID` for what its author chose.
fn leaves(table: &Table, path: &str, found: &mut Vec<String>) {
    for (key, item) in table {
        let key = match path {
            "issuers" | "tenants.ID.keys" => "NAME",
            "tenants" => "ID",
            _ => key,
        };
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match item {
            Item::Table(table) => leaves(table, &path, found),
            _ => found.push(path),
        }
    }
}

/// What the table has and the files have not, or the other way round; a row that stands twice too.
fn faults(guide: &str) -> Vec<String> {
    let (told, there) = (rows(guide), values());
    let mut faults = Vec::new();
    for row in &told {
        let times = told.iter().filter(|other| other.0 == row.0).count();
        if times > 1 {
            faults.push(format!("{} stands in {times} rows", row.0));
        }
        if !there.contains(row) {
            faults.push(format!("{} does not hold {}", row.1, row.0));
        }
    }
    faults.extend(
        there.iter().filter(|row| !told.contains(row)).map(|(name, file)| format!("no row for {name} of {file}")),
    );
    faults
}

#[test]
fn each_value_to_fill_in_stands_in_the_guides_table_once() {
    let guide = guide();
    assert!(rows(&guide).len() > 20, "{:?}", rows(&guide));
    let faults = faults(&guide);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_row_too_few_too_many_or_of_another_file_is_noticed() {
    let guide = guide();
    let row = |name: &str| {
        let start = format!("| `{name}` |");
        guide.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {name}")).to_owned()
    };
    for (from, to) in [
        (row("INSTANCE"), row("INFLUXDB_ORG")),
        (row("issuers.NAME.audience"), row("issuers.NAME.audience").replace("audience`", "audiences`")),
        (row("tenants.ID.require"), row("tenants.ID.require").replace("`tenants.toml`", "`tagline.toml`")),
        (format!("{}\n", row("images.newTag")), String::new()),
        (row("SITES"), format!("{0}\n{0}", row("SITES"))),
    ] {
        assert!(!faults(&guide.replace(&from, &to)).is_empty(), "{from} as {to}");
    }
}

#[test]
fn the_guide_prints_a_value_by_the_command_that_its_file_names() {
    let (values, guide) = (read(&format!("{OVERLAY}/values.env")), guide());
    let printing = values.lines().filter_map(|line| line.strip_prefix('#').map(str::trim));
    let printing: Vec<_> = printing.filter(|line| line.starts_with("az ") && line.contains("--query")).collect();
    assert!(printing.len() >= 4, "{printing:?}");
    for command in printing {
        assert!(guide.contains(&format!("`{command}`")), "{command} is not in the guide");
    }
}
