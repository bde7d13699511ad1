//! The committed corpora: one small input for all that was reached.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    Features, Target, features,
    run::{Length, Settings, Verdict, execute, run},
};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

fn folder(target: &Target) -> PathBuf {
    workspace().join("tests/data/fuzz").join(target.name)
}

/// The corpus of a target, in the order of its files' names; empty where there is none.
///
/// # Errors
/// Where a file cannot be read.
pub fn read(target: &Target) -> Result<Vec<Vec<u8>>> {
    read_folder(&folder(target))
}

/// All files of a folder, in the order of their names; none where there is no such folder.
///
/// # Errors
/// Where a file cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<Vec<u8>>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).with_context(|| format!("cannot read {}", file.display())))
        .collect()
}

/// Puts inputs under the target folder, for a later renewal.
///
/// # Errors
/// Where they cannot be written.
pub fn keep(target: &Target, inputs: &[Vec<u8>]) -> Result<()> {
    write(&scratch("fuzz-found").join(target.name), inputs)
}

/// A folder of this name under Cargo's target folder.
pub(super) fn scratch(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(target).join(name)
}

fn write(folder: &Path, inputs: &[Vec<u8>]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for input in inputs {
        let file = folder.join(format!("{:016x}", features::hash(&[input])));
        fs::write(&file, input).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Makes a target's corpus anew: from its seeds, its old corpus, `more` inputs, and what mutations
/// of them find.
///
/// # Errors
/// Where an input is a fault (its text says which), or a file cannot be written.
pub fn renew(
    target: &'static Target,
    more: Vec<Vec<u8>>,
    seed: u64,
    mutations: u64,
) -> Result<(usize, usize)> {
    let mut inputs = (target.seeds)();
    inputs.extend(read(target)?);
    inputs.extend(more);
    let tally = run(
        target,
        inputs,
        Settings::new(seed, Length::Mutations(mutations)),
    );
    let tally = tally.map_err(|fault| match fault.save(target) {
        Ok(text) => anyhow::anyhow!(text),
        Err(error) => error,
    })?;
    let kept = minimised(target, tally.kept);
    let folder = folder(target);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    write(&folder, &kept)?;
    Ok((kept.len(), kept.iter().map(Vec::len).sum()))
}

/// As few and small inputs as reach the same: from small to large, those that add something; of these,
/// from large to small, those that add something still.
fn minimised(target: &Target, mut inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let mut needed = those_that_add(target, inputs);
    needed.reverse();
    those_that_add(target, needed)
}

fn those_that_add(target: &Target, inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut reached = Features::default();
    let mut adds = |input: &Vec<u8>| match execute(target, input) {
        Verdict::Good(features) => reached.absorb(&features) > 0,
        Verdict::Fault(_) => false,
    };
    inputs.into_iter().filter(|input| adds(input)).collect()
}
