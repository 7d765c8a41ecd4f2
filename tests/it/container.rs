//! The image, without a container engine: the build stage's commands run as a script on a copy of the build context, and what
//! they make starts in an empty folder, as the image's user, with only the libraries that the image has.

mod context;
mod dockerfile;

use crate::support::{Gateway, http};
use dockerfile::Stage;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user that distroless calls `nonroot`.
const NONROOT: u32 = 65532;

/// The shared libraries of distroless `cc` that a Rust program may need.
const LIBRARIES: [&str; 8] = [
    "linux-vdso.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Where the image is built: in the cache that the servers are in too, so that a release build of every dependency is paid once a machine
/// and not once a clone.
fn build_folder() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = from("TAGLINE_CACHE").or_else(|| {
        let cache = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?;
        Some(cache.join("tagline"))
    });
    let cache = cache.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    std::fs::create_dir_all(&cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
    cache.join("image")
}

fn stages() -> (Stage, Stage) {
    let mut stages = dockerfile::parse(&read("Dockerfile"));
    let (last, first) = (stages.pop().expect("a final stage"), stages.pop().expect("a build stage"));
    assert!(stages.is_empty() && first.name.as_deref() == Some("build"), "a stage `build` and a final one");
    (first, last)
}

#[test]
fn the_image_runs_without_root_and_without_a_shell() {
    let (build, image) = stages();
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'));
    let channel = channel.expect("rust-toolchain.toml pins a channel");
    assert_eq!(build.base, format!("rust:{channel}-slim-bookworm"), "the toolchain of rust-toolchain.toml");

    assert_eq!(image.base, "gcr.io/distroless/cc-debian12:nonroot");
    assert_eq!(image.all("RUN").count(), 0, "nothing runs where there is no shell");
    assert_eq!(
        image.the("USER"),
        format!("{NONROOT}:{NONROOT}"),
        "a number: Kubernetes' runAsNonRoot cannot look up a name"
    );
    assert_eq!(image.the("EXPOSE"), "8080 8081");

    let copies = image.copies_from("build");
    let entrypoint = format!("[\"{}\"]", copies[0].destination);
    assert_eq!(image.the("ENTRYPOINT"), entrypoint, "the list form, of the binary that is copied: no shell is needed");
    let state =
        copies.iter().find(|copy| copy.destination == image.the("VOLUME")).expect("the volume is a copied folder");
    assert_eq!(state.owner, Some(image.the("USER")), "who runs the gateway can write to its volume");
}

#[test]
fn the_image_can_be_built_without_buildkit() {
    // `az acr build` (docs/deploy-aks.md) has the classic builder: it knows no options of RUN, no here-documents, and no other syntax.
    let (build, image) = stages();
    for command in build.all("RUN").chain(image.all("RUN")) {
        assert!(!command.starts_with("--") && !command.contains("<<"), "RUN {command}: only BuildKit takes this");
    }
    let text = read("Dockerfile");
    assert!(!text.contains("# syntax="), "a syntax of its own is for BuildKit alone");
}

#[tokio::test]
async fn what_the_build_stage_makes_starts_in_an_empty_folder() {
    let (build, image) = stages();
    let context = build_folder();
    // One checkout builds at a time.
    let lock = std::fs::File::create(context.with_extension("lock")).expect("a file in the cache");
    lock.lock().expect("the cache can be locked");
    run_build_stage(&build, &context);

    let workdir = build.the("WORKDIR");
    let made = |source: &str| {
        let inside = source.strip_prefix(workdir).unwrap_or_else(|| panic!("COPY {source}: not from {workdir}"));
        context.join(inside.trim_start_matches('/'))
    };
    let copies = image.copies_from("build");
    let binary = made(copies[0].source);
    for copy in &copies[1..] {
        assert!(made(copy.source).is_dir(), "COPY {}: the build stage does not make it", copy.source);
    }
    for library in needed_libraries(&binary) {
        assert!(LIBRARIES.contains(&library.as_str()), "distroless cc has no {library}");
    }

    let folder = tempfile::tempdir().expect("a temporary folder");
    let copied = folder.path().join("tagline");
    std::fs::copy(&binary, &copied).expect("the binary can be copied");
    // As the image's user, if the tests run as root and may become it; else as who they are.
    let is_root = folder.path().metadata().expect("a folder that was just made").uid() == 0;
    let gateway = if is_root {
        chown(folder.path(), Some(NONROOT), Some(NONROOT)).expect("root may give a folder away");
        let user = [format!("--reuid={NONROOT}"), format!("--regid={NONROOT}"), "--clear-groups".to_owned()];
        let arguments = user.into_iter().chain([copied.display().to_string()]).collect();
        Gateway::start_program("setpriv".as_ref(), arguments, folder.path()).await
    } else {
        Gateway::start_program(&copied, Vec::new(), folder.path()).await
    };
    for listener in [gateway.address(), gateway.admin_address()] {
        assert_eq!(http::request(listener, "GET", "/healthz", &[], b"").status, 200, "{}", gateway.log());
    }
    if is_root {
        let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).expect("it runs");
        let user = status.lines().find(|line| line.starts_with("Uid:")).expect("a process has a user");
        assert_eq!(user, format!("Uid:\t{NONROOT}\t{NONROOT}\t{NONROOT}\t{NONROOT}"));
    }
}

/// Runs the build stage with `context` in place of its working folder.
fn run_build_stage(build: &Stage, context: &Path) {
    for instruction in &build.instructions {
        let arguments = instruction.arguments.as_str();
        match instruction.keyword.as_str() {
            "WORKDIR" => std::fs::create_dir_all(context).expect("the context's folder"),
            "COPY" => {
                assert_eq!(arguments, ". .", "the build stage copies the context as a whole");
                context::copy(repository(), context, &["target", "out"]);
            }
            "RUN" if arguments.starts_with("apt-get ") => {
                for package in dockerfile::packages(arguments) {
                    assert!(is_installed(package), "the build needs the package {package}: apt-get install {package}");
                }
            }
            "RUN" => run(arguments, context),
            other => panic!("Dockerfile: this test does not know {other} in the build stage"),
        }
    }
}

/// Runs a command of the build stage with none of the settings that `cargo test` gives to its children.
fn run(command: &str, context: &Path) {
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).current_dir(context);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if (text.starts_with("CARGO") && text != "CARGO_HOME") || text.starts_with("RUSTFLAGS") {
            shell.env_remove(&name);
        }
    }
    let ran = shell.output().expect("sh can be started");
    assert!(ran.status.success(), "RUN {command}\n{}", String::from_utf8_lossy(&ran.stderr));
}

/// Whether Debian's package is here, or, on another system, a command of that name.
fn is_installed(package: &str) -> bool {
    let succeeds = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    succeeds("dpkg", &["-s", package]) || succeeds("sh", &["-c", &format!("command -v {package}")])
}

/// The shared libraries that the dynamic linker would load for this binary.
fn needed_libraries(binary: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(binary).output().expect("ldd, which comes with the C library");
    assert!(output.status.success(), "ldd: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first_words = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    let names: Vec<_> = first_words.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect();
    assert!(names.iter().any(|name| name == "libc.so.6"), "ldd's answer is not understood: {text}");
    names
}
