//! As much of a Dockerfile as ours uses. What it does not know fails the test, so that nothing in the file goes unchecked.

/// A stage: what follows a `FROM`.
#[derive(Debug)]
pub struct Stage {
    /// The image that it begins with.
    pub base: String,
    /// What `AS` calls it.
    pub name: Option<String>,
    /// Its instructions, in order.
    pub instructions: Vec<Instruction>,
}

/// A keyword in capitals, and the rest of its line or lines.
#[derive(Debug)]
pub struct Instruction {
    pub keyword: String,
    pub arguments: String,
}

/// A `COPY --from=STAGE SOURCE DESTINATION`.
#[derive(Debug)]
pub struct Copy<'a> {
    pub source: &'a str,
    pub destination: &'a str,
    /// `USER:GROUP`
    pub owner: Option<&'a str>,
}

impl Stage {
    /// What follows a keyword, for each time that it stands in the stage.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.instructions.iter().filter(move |instruction| instruction.keyword == keyword);
        found.map(|instruction| instruction.arguments.as_str())
    }

    /// What follows a keyword that stands in the stage once.
    pub fn the<'a>(&'a self, keyword: &'a str) -> &'a str {
        let all: Vec<_> = self.all(keyword).collect();
        assert_eq!(all.len(), 1, "{keyword} stands once in the stage from {}: {all:?}", self.base);
        all[0]
    }

    /// What it copies from another stage.
    pub fn copies_from<'a>(&'a self, stage: &str) -> Vec<Copy<'a>> {
        let from = format!("--from={stage}");
        let copies = self.all("COPY").map(|arguments| {
            let (options, paths): (Vec<_>, Vec<_>) =
                arguments.split_ascii_whitespace().partition(|word| word.starts_with("--"));
            assert!(options.contains(&from.as_str()), "COPY {arguments} is not from {stage}");
            let [source, destination] = paths[..] else { panic!("COPY {arguments}: one source, one destination") };
            let owner = options.iter().find_map(|option| option.strip_prefix("--chown="));
            Copy { source, destination, owner }
        });
        copies.collect()
    }
}

/// The stages of a Dockerfile.
pub fn parse(text: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut joined = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            continue;
        }
        joined.push_str(line);
        let instruction = std::mem::take(&mut joined);
        let (keyword, arguments) = instruction.split_once(' ').expect("an instruction has arguments");
        let (keyword, arguments) = (keyword.to_uppercase(), arguments.trim().to_owned());
        if keyword == "FROM" {
            let words: Vec<_> = arguments.split_ascii_whitespace().collect();
            let name = (words.len() == 3 && words[1].eq_ignore_ascii_case("as")).then(|| words[2].to_owned());
            stages.push(Stage { base: words[0].to_owned(), name, instructions: Vec::new() });
        } else {
            stages.last_mut().expect("FROM comes first").instructions.push(Instruction { keyword, arguments });
        }
    }
    stages
}

/// The packages that a `RUN` installs with apt-get.
pub fn packages(run: &str) -> Vec<&str> {
    let installs = run.split("&&").map(str::trim).filter_map(|part| part.strip_prefix("apt-get install "));
    installs.flat_map(str::split_ascii_whitespace).filter(|word| !word.starts_with('-')).collect()
}
