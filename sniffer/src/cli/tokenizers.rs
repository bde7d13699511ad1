//! `--tokenizer`: what counts tokens, by name or by file.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use analyzer::tokens::{Tokenizers, Vocabulary, prompt::Template};
use anyhow::{Context as _, bail};
use clap::Args;

/// The files of a model's folder that make a tokenizer, in the order in which they are looked for.
const FILES: [&str; 4] = [
    "tokenizer.json",
    "tekken.json",
    "tiktoken.model",
    "tokenizer.model",
];

/// Bytes of a file that is read at most; the largest tokenizer.json in use has 33 MB.
const MAX_FILE: u64 = 256 << 20;

/// What counts tokens.
#[derive(Debug, Args)]
pub(crate) struct TokenizerArgs {
    /// Count tokens with this tokenizer; repeatable (in the environment: one a line). NAME is one that is built in
    /// (cl100k_base, o200k_base, qwen2, ...) and counts for every model; cl100k_base counts by the old tracker's
    /// rule. PATTERN=PATH counts for the models whose name fits, such as 'llama-3*=/models/Llama-3.1-8B'; PATH is a
    /// tokenizer.json, a tekken.json, a tiktoken file, or a folder with one of them. Default: by the model's name,
    /// cl100k_base where that is unknown
    #[arg(
        long = "tokenizer",
        value_name = "NAME|PATTERN=PATH",
        env = "LLMTAP_TOKENIZER"
    )]
    #[arg(value_delimiter = '\n')]
    tokenizers: Vec<String>,
}

impl TokenizerArgs {
    /// Reads the files, and makes the choice for each call of it.
    pub(crate) fn read(&self) -> anyhow::Result<Tokenizers> {
        let settings = self.tokenizers.iter().map(|setting| setting.trim());
        let (given, named): (Vec<&str>, Vec<&str>) = settings
            .filter(|setting| !setting.is_empty())
            .partition(|setting| setting.contains('='));
        let mut tokenizers = match *named {
            [] => Tokenizers::by_model(),
            [name] => Tokenizers::always(Vocabulary::by_name(name).with_context(|| {
                format!("--tokenizer {name} (a file is given with its models, as in 'qwen*=PATH')")
            })?),
            [first, second, ..] => bail!(
                "--tokenizer {first} and --tokenizer {second}: only one can count for every model; give a pattern of \
                 models for the other, as in 'qwen*=PATH'"
            ),
        };
        for setting in given {
            let (pattern, path) = setting.split_once('=').unwrap_or_default();
            give(&mut tokenizers, pattern.trim(), Path::new(path.trim()))
                .with_context(|| format!("--tokenizer {setting}"))?;
        }
        Ok(tokenizers)
    }
}

/// The files that are read for these settings, as they stand now.
pub(crate) fn files(settings: &[String]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for setting in settings {
        let Some((_, path)) = setting.split_once('=') else {
            continue;
        };
        let path = Path::new(path.trim());
        let file = if path.is_dir() {
            in_folder(path).unwrap_or_else(|_| path.to_owned())
        } else {
            path.to_owned()
        };
        let file = file.canonicalize().unwrap_or(file);
        let of_template = Template::FILES.map(|name| file.with_file_name(name));
        files.extend(of_template.into_iter().filter(|beside| beside.exists()));
        files.push(file);
    }
    files
}

fn give(tokenizers: &mut Tokenizers, pattern: &str, path: &Path) -> anyhow::Result<()> {
    if pattern.is_empty() {
        bail!("there is no pattern of models before the =, such as 'qwen*'");
    }
    let file = if path.is_dir() {
        in_folder(path)?
    } else {
        path.to_owned()
    };
    // A folder named by `.` has a name, too.
    let file = file
        .canonicalize()
        .with_context(|| format!("cannot read {}", file.display()))?;
    let data = contents(&file)?;
    let template = match file.parent() {
        Some(folder) => Template::read(folder)?,
        None => None,
    };
    tokenizers
        .give(pattern, &file, &data, template)
        .with_context(|| format!("cannot take {}", file.display()))
}

/// What a regular file holds, up to the bound: a device's end may never come.
fn contents(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", file.display());
    if !fs::metadata(file).with_context(cannot)?.is_file() {
        bail!(
            "{} is no regular file; give the model's tokenizer.json",
            file.display()
        );
    }
    let mut data = Vec::new();
    let mut bounded = File::open(file).with_context(cannot)?.take(MAX_FILE + 1);
    bounded.read_to_end(&mut data).with_context(cannot)?;
    if data.len() as u64 > MAX_FILE {
        bail!(
            "{} has more than {MAX_FILE} bytes: it is no tokenizer; give the model's tokenizer.json",
            file.display()
        );
    }
    Ok(data)
}

fn in_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{} has none of {}", folder.display(), FILES.join(", ")))
}
