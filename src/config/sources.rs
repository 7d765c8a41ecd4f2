//! Where settings come from, and how they become [`Settings`].

use std::path::{Path, PathBuf};

use config::Config;

use super::build::{self, Given};
use super::check::check;
use super::environment;
use super::files::{Files, Reading};
use super::finding::{Findings, Place};
use super::settings::{Installation, Settings};
use super::tree::{Layer, Places, Value};

/// The compiled-in default: the lowest layer.
pub(crate) const DEFAULT: &str = include_str!("../../config/default.toml");

/// Where settings come from.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config FILE`
    pub file: Option<PathBuf>,
    /// The environment: names and values. Given, not read, so that a test decides it.
    pub env: Vec<(String, String)>,
}

/// Shows the names of the variables that matter and no values: there are secrets among them.
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ours = |name: &&String| name.starts_with("TAGLINE__") || name.starts_with("INFLUXDB_");
        let names: Vec<&String> = self.env.iter().map(|(name, _)| name).filter(ours).collect();
        f.debug_struct("Sources").field("file", &self.file).field("variables", &names).finish()
    }
}

impl Sources {
    /// Takes `file` and the environment of this process. What is no Unicode in a value is replaced, so that it is told where the value is
    /// checked and not passed over.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, text(value))));
        Self { file, env: env.collect() }
    }

    /// The value of a variable, if it is set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Settings, and what they were read from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings, or every mistake at once.
    pub settings: Result<Settings, Findings>,
    /// The files that were read, as far as the mistakes let the loader come.
    pub files: Files,
}

/// Loads the settings: default < file < tenants file < `TAGLINE__…` < `INFLUXDB_…`. Layers merge by name, key by key; a list replaces
/// the list below it. Reads the files that the settings name. Errors: every mistake at once.
pub fn load(sources: &Sources) -> Result<Settings, Findings> {
    read(sources).settings
}

/// The same, with the files that were read.
pub fn read(sources: &Sources) -> Loaded {
    layer_up(sources).finish(sources, true)
}

/// The same for a command that sends no points: that nothing says where they would go is no mistake.
pub fn load_without_destination(sources: &Sources) -> Result<Settings, Findings> {
    layer_up(sources).finish(sources, false).settings
}

/// What of the settings says how an InfluxDB is set up. Only mistakes in that, and in the form of the rest, are told.
pub fn load_installation(sources: &Sources) -> Result<Installation, Findings> {
    layer_up(sources).build(sources, false, build::installation)
}

fn layer_up(sources: &Sources) -> Loading {
    let mut loading = Loading::default();
    let default = Layer::built_in(DEFAULT, &mut loading.findings);
    loading.take(default);
    let file = sources.file.as_deref().and_then(|path| {
        let layer = Layer::file(path, "--config (or TAGLINE_CONFIG)", &loading.reading, &mut loading.findings);
        loading.take(layer)
    });
    if let Some(path) = tenants_file(sources, file.as_ref()) {
        let mut layer = Layer::file(&path, "`tenants_file`", &loading.reading, &mut loading.findings);
        if let Some(layer) = &mut layer {
            only_tenants(layer, &mut loading.findings);
        }
        loading.take(layer);
    }
    for layer in environment::layers(&sources.env, &loading.places, &mut loading.findings) {
        loading.take(Some(layer));
    }
    loading
}

#[derive(Default)]
struct Loading {
    layers: Vec<Layer>,
    places: Places,
    reading: Reading,
    findings: Findings,
    /// A layer could not be read at all: what it would have set must not be called missing.
    broken: bool,
}

impl Loading {
    /// Checks a layer and lays it on top. Gives it back as it stands then.
    fn take(&mut self, layer: Option<Layer>) -> Option<Layer> {
        let Some(mut layer) = layer else {
            self.broken = true;
            return None;
        };
        check(&mut layer, &mut self.places, &mut self.findings);
        self.places.learn(&layer);
        self.layers.push(layer.clone());
        Some(layer)
    }

    fn finish(mut self, sources: &Sources, needs_destination: bool) -> Loaded {
        let settings = self.build(sources, needs_destination, build::build);
        Loaded { settings, files: self.reading.files() }
    }

    fn build<T>(
        &mut self,
        sources: &Sources,
        needs_destination: bool,
        build: impl Fn(&Given<'_>, &mut Findings) -> T,
    ) -> Result<T, Findings> {
        let mut findings = std::mem::take(&mut self.findings);
        if self.broken {
            return Err(findings.finish());
        }
        let layers = std::mem::take(&mut self.layers);
        let builder = layers.into_iter().fold(Config::builder(), |builder, layer| builder.add_source(layer));
        let merged = match builder.build() {
            Ok(merged) => merged.cache,
            Err(error) => {
                findings.add(Place::BuiltIn, "", format!("the layers do not merge: {error}"));
                return Err(findings.finish());
            }
        };
        let given = Given { merged: &merged, places: &self.places, reading: &self.reading, sources, needs_destination };
        let built = build(&given, &mut findings);
        if findings.is_empty() { Ok(built) } else { Err(findings.finish()) }
    }
}

/// The tenants file: its name in a variable is relative to the working directory, in a file to that file.
fn tenants_file(sources: &Sources, file: Option<&Layer>) -> Option<PathBuf> {
    if let Some(path) = sources.variable("TAGLINE__TENANTS_FILE") {
        return Some(path.into());
    }
    let Value::Table(entries) = &file?.root.value else {
        return None;
    };
    let node = entries.get("tenants_file")?;
    match &node.value {
        Value::Text(path) => Some(node.place.folder().unwrap_or(Path::new("")).join(path)),
        _ => None,
    }
}

fn only_tenants(layer: &mut Layer, findings: &mut Findings) {
    let Value::Table(entries) = &mut layer.root.value else {
        return;
    };
    entries.retain(|name, node| {
        let fits = matches!(name.as_str(), "tenants" | "tenant_defaults");
        if !fits {
            let message = "only [tenants.ID] and [tenant_defaults] may stand in the tenants file; move it to the file that names this one";
            findings.add(node.place.clone(), name.clone(), message);
        }
        fits
    });
}
