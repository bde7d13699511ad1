//! Whether the committed object was built from the sources as they are.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// The committed object, and beside it the hashes of the sources that it was built from.
pub(super) const OBJECT: &str = "sniffer/src/capture/ebpf/llmtap.bpf.o";
const SUMS: &str = "sniffer/src/capture/ebpf/llmtap.bpf.sha256";
/// What the object is built from; folders with all that is in them.
const SOURCES: [&str; 5] = [
    "sniffer-ebpf/Cargo.toml",
    "sniffer-ebpf/src",
    "sniffer-ebpf/program/Cargo.toml",
    "sniffer-ebpf/program/Cargo.lock",
    "sniffer-ebpf/program/src",
];

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It was built from the sources with this hash, which are those that there are.
    Fresh { sources: String },
    /// It was not.
    Stale,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh { sources } => write!(f, "{OBJECT} is that of its sources ({sources:.12})"),
            Self::Stale => write!(
                f,
                "{OBJECT} is stale: it is not that of {}. Run `cargo xtask ebpf` and commit both \
                 files that it writes.",
                SOURCES.join(", ")
            ),
        }
    }
}

/// Looks at the files below a workspace's folder.
pub(super) fn of(root: &Path) -> Result<Freshness> {
    let sums = fs::read_to_string(root.join(SUMS))
        .with_context(|| format!("cannot read {SUMS}; `cargo xtask ebpf` writes it"))?;
    let sources = hash_sources(root)?;
    Ok(if sums == sums_text(&sources, &hash_object(root)?) {
        Freshness::Fresh { sources }
    } else {
        Freshness::Stale
    })
}

/// Writes down that the object is that of the sources.
pub(super) fn stamp(root: &Path) -> Result<()> {
    let text = sums_text(&hash_sources(root)?, &hash_object(root)?);
    fs::write(root.join(SUMS), text).with_context(|| format!("cannot write {SUMS}"))
}

fn hash_object(root: &Path) -> Result<String> {
    let object = fs::read(root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
    Ok(hex(&Sha256::digest(object)))
}

/// The hash of all sources: their names, lengths and bytes, in the order of names.
fn hash_sources(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(root, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = fs::read(root.join(&file)).with_context(|| format!("cannot read {file}"))?;
        hasher.update(format!("{file}\0{}\0", bytes.len()));
        hasher.update(&bytes);
    }
    Ok(hex(&hasher.finalize()))
}

fn collect(root: &Path, path: &Path, files: &mut Vec<String>) -> Result<()> {
    let full = root.join(path);
    if !full.is_dir() {
        files.push(path.to_string_lossy().into_owned());
        return Ok(());
    }
    for entry in fs::read_dir(&full).with_context(|| format!("cannot read {}", full.display()))? {
        collect(root, &path.join(entry?.file_name()), files)?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sums_text(sources: &str, object: &str) -> String {
    format!("{sources}  sources\n{object}  llmtap.bpf.o\n")
}

#[cfg(test)]
mod tests {
    use std::{env, path::PathBuf, process};

    use super::*;
    use crate::shell::root;

    /// A copy of all that counts, in a folder of the test's own.
    fn copy(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("llmtap-xtask-{name}-{}", process::id()));
        let mut files = vec![OBJECT.to_owned(), SUMS.to_owned()];
        for source in SOURCES {
            collect(&root(), Path::new(source), &mut files).unwrap();
        }
        for file in files {
            let copy = folder.join(&file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(root().join(&file), copy).unwrap();
        }
        folder
    }

    #[test]
    fn the_committed_object_is_that_of_its_sources_wherever_they_lie() {
        let folder = copy("fresh");
        let here = of(&root()).unwrap();
        assert_ne!(here, Freshness::Stale);
        assert_eq!(of(&folder).unwrap(), here);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_change_of_a_source_or_the_object_is_noticed_and_a_stamp_mends_it() {
        for changed in ["sniffer-ebpf/program/src/main.rs", OBJECT] {
            let folder = copy(&format!("stale-{}", changed.len()));
            let path = folder.join(changed);
            let mut bytes = fs::read(&path).unwrap();
            bytes.push(b'\n');
            fs::write(&path, bytes).unwrap();
            assert_eq!(of(&folder).unwrap(), Freshness::Stale, "{changed}");
            stamp(&folder).unwrap();
            assert_ne!(of(&folder).unwrap(), Freshness::Stale, "{changed}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
