//! What the settings promise, through their public door.

mod admission;
mod answers;
mod cross;
mod examples;
mod files;
mod identity;
mod layers;
mod private;
mod reading;
mod series;
mod start;
mod values;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Findings, Settings, Sources, load};

/// A folder with settings files, and an environment.
struct Case {
    dir: TempDir,
    env: Vec<(String, String)>,
    file: Option<PathBuf>,
}

const INFLUXDB: [(&str, &str); 3] =
    [("INFLUXDB_URL", "http://localhost:8086"), ("INFLUXDB_ORG", "acme"), ("INFLUXDB_TOKEN", "the-token-nobody-sees")];

/// A tenant that makes a file complete.
const TENANT: &str = "[tenants.acme.keys.web]\nkey = \"wk_acme_0123456789\"\norigins = [\"https://app.example\"]\n";

impl Case {
    /// No file and no variables.
    fn empty() -> Self {
        Self { dir: TempDir::new().unwrap(), env: vec![("HOSTNAME".into(), "tagline-2".into())], file: None }
    }

    /// `settings.toml` with this text.
    fn of(text: &str) -> Self {
        let mut case = Self::empty();
        case.file = Some(case.write("settings.toml", text));
        case
    }

    /// The same with an InfluxDB in the environment.
    fn with_influxdb(text: &str) -> Self {
        Self::of(text).env(&INFLUXDB)
    }

    fn env(mut self, env: &[(&str, &str)]) -> Self {
        self.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Writes another file into the folder.
    fn beside(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self) -> Result<Settings, Findings> {
        load(&Sources { file: self.file.clone(), env: self.env.clone() })
    }

    #[track_caller]
    fn good(&self) -> Settings {
        match self.load() {
            Ok(settings) => settings,
            Err(findings) => panic!("these settings are good, but:\n{findings}"),
        }
    }

    /// The findings, one line each, without the folder's name.
    #[track_caller]
    fn findings(&self) -> Vec<String> {
        let findings = self.load().err().map(|findings| findings.to_string()).unwrap_or_default();
        let folder = format!("{}/", self.dir.path().display());
        findings.lines().map(|line| line.replace(&folder, "")).collect()
    }

    /// Holds the findings to exactly these: each begins with the first text, and contains the second.
    #[track_caller]
    fn finds(&self, wanted: &[(&str, &str)]) {
        let found = self.findings();
        let all = found.join("\n");
        assert_eq!(found.len(), wanted.len(), "found:\n{all}\nwanted: {wanted:#?}");
        for (found, (begin, part)) in found.iter().zip(wanted) {
            assert!(
                found.starts_with(begin) && found.contains(part),
                "found: {found}\nwanted: {begin} … {part}\nall:\n{all}"
            );
        }
    }
}

/// A public key in PEM, as an issuer publishes it. Generated, because a repository holds no keys.
fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
        if text.len() % 65 == 64 {
            text.push('\n');
        }
    }
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim_end())
}

/// A new RSA public key.
fn rsa_pem() -> String {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref())
}

/// A new public key of the curve P-256.
fn ec_pem() -> String {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref())
}
