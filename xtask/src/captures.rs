//! `cargo xtask captures`: records the real client libraries anew.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    Usage,
    setup::{self, Need},
    shell::{self, command, must, on_path, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask captures [NAME]...

Records real client libraries (openai, anthropic, ollama, google-genai, litellm) while they talk to
servers in their dialects, and writes what went over the wire and what the client saw of it to
tests/data/clients/. Needs root, to capture. Installs the libraries under the target folder; for
`llamacpp`, builds llama.cpp's server there as well, from its Python package (several minutes).

Then renew the expected rows, and read the difference before you commit it:

  LLMTAP_RENEW=1 cargo test -p llmtap-tests --test golden

  NAME   record this capture alone; see tests/captures/record.py
";

/// The version of llama-cpp-python, the package that brings llama.cpp's sources, its server among them.
const LLAMA_CPP: &str = "0.3.36";

const TO_RECORD: [Need; 1] = [Need {
    package: "tcpdump",
    purpose: "records the clients",
    is_there: || on_path("tcpdump"),
}];

const TO_BUILD_LLAMA_CPP: [Need; 3] = [
    Need {
        package: "cmake",
        purpose: "builds llama.cpp's server",
        is_there: || on_path("cmake"),
    },
    Need {
        package: "ninja-build",
        purpose: "the same",
        is_there: || on_path("ninja"),
    },
    Need {
        package: "g++",
        purpose: "a C++ compiler, for the same",
        is_there: || on_path("c++"),
    },
];

/// The command.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    if let Some(flag) = names.iter().find(|name| name.starts_with('-')) {
        return Err(Usage(format!("unknown argument {flag}\n\n{USAGE}")).into());
    }
    setup::packages(TO_RECORD.iter())?;
    let python = setup::environment("captures", &["tests/captures/requirements.txt"])?;
    let python = python.join("bin/python");
    let mut record = command(&python);
    record
        .arg(shell::root().join("tests/captures/record.py"))
        .arg(shell::root().join("tests/data/clients"))
        .args(names);
    if names.is_empty() || names.iter().any(|name| name == "llamacpp") {
        record.env("LLAMA_SERVER", llama_server(command(&python))?);
    }
    must(&mut record)?;
    Ok(ExitCode::SUCCESS)
}

/// llama.cpp's server: the one that `LLAMA_SERVER` names, else one built from its package.
fn llama_server(mut python: Command) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("LLAMA_SERVER") {
        return Ok(named.into());
    }
    let folder = shell::state().join("llama.cpp");
    let built = folder.join("build/bin/llama-server");
    if built.is_file() {
        return Ok(built);
    }
    setup::packages(TO_BUILD_LLAMA_CPP.iter())?;
    say(&format!(
        "building: llama.cpp's server, from llama-cpp-python {LLAMA_CPP}, into {}",
        folder.display()
    ));
    let sources = folder.join("sources");
    std::fs::create_dir_all(&sources)
        .with_context(|| format!("cannot make {}", sources.display()))?;
    must(
        python
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--no-binary", "llama-cpp-python", "--dest"])
            .arg(&folder)
            .arg(format!("llama-cpp-python=={LLAMA_CPP}")),
    )?;
    must(
        command("tar")
            .args(["--strip-components", "1", "-xzf"])
            .arg(folder.join(format!("llama_cpp_python-{LLAMA_CPP}.tar.gz")))
            .arg("-C")
            .arg(&sources),
    )?;
    must(
        command("cmake")
            .args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-S"])
            .arg(sources.join("vendor/llama.cpp"))
            .arg("-B")
            .arg(folder.join("build"))
            // What answers must not depend on the machine's processor, nor reach out.
            .args([
                "-DGGML_NATIVE=OFF",
                "-DLLAMA_CURL=OFF",
                "-DLLAMA_OPENSSL=OFF",
            ])
            .args(["-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"]),
    )?;
    must(
        command("cmake")
            .arg("--build")
            .arg(folder.join("build"))
            .args(["--target", "llama-server"]),
    )?;
    Ok(built)
}
