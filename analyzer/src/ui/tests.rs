use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path as FilePath};

use sha2::{Digest as _, Sha256};

use super::*;

/// uPlot 1.6.32 as npm has it, and its licence.
const VENDORED: &[(&str, &str)] = &[
    (
        "LICENSE-uplot",
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    ),
    (
        "uplot.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    (
        "uplot.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
];

fn folder() -> std::path::PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/ui")
}

fn own() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = FILES.iter().map(|(name, asset)| (*name, asset.text));
    let own = files.filter(|(name, _)| !name.starts_with("uplot."));
    own.chain([("index.html", PAGE.text)])
}

#[test]
fn what_others_wrote_is_unchanged() {
    let mut there: Vec<_> = fs::read_dir(folder().join("vendor"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort_unstable();
    let known: Vec<_> = VENDORED.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, known);
    for (name, digest) in VENDORED {
        let bytes = fs::read(folder().join("vendor").join(name)).unwrap();
        let mut digits = String::new();
        for byte in Sha256::digest(bytes) {
            write!(digits, "{byte:02x}").unwrap();
        }
        assert_eq!(&digits, digest, "{name}");
    }
}

/// Each file of the folder is served, and each that a file names is there.
#[test]
fn the_files_are_all_there_and_all_used() {
    let served: BTreeSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let there: BTreeSet<_> = ["", "vendor"]
        .iter()
        .flat_map(|place| fs::read_dir(folder().join(place)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            let extension = FilePath::new(name).extension();
            extension.is_some_and(|extension| extension == "js" || extension == "css")
        })
        .collect();
    assert_eq!(served, there);
    let mut named = BTreeSet::new();
    for (_, text) in own() {
        for quoted in text.split('"').skip(1).step_by(2) {
            let name = quoted.strip_prefix("./").or(quoted.strip_prefix("ui/"));
            named.extend(name.map(str::to_owned));
        }
    }
    assert_eq!(served, named);
}

#[test]
fn nothing_comes_from_elsewhere_and_no_markup_is_made_of_data() {
    for (name, text) in own() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "eval(",
            "new Function",
            "localStorage.setItem(\"token",
            " style=",
            " onclick=",
            "<script>",
            "<style>",
            "@import",
        ] {
            assert!(!text.contains(word), "{name}: {word}");
        }
        let addresses = text.matches("://").count();
        // The name of a namespace, which nobody fetches.
        let namespaces = text.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(addresses, namespaces, "{name}");
    }
}

#[test]
fn the_policy_lets_nothing_in() {
    assert!(POLICY.starts_with("default-src 'none'; script-src 'self';"));
    assert!(!POLICY.contains("unsafe"));
}
