//! What the files hold that settings name: told apart by a hash, so that a reload says what changed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    hash::{DefaultHasher, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    super::{places, tokenizers},
    resolve::Value,
};

/// Bytes read at a time.
const CHUNK: u64 = 64 * 1024;

/// Settings whose value is a file that is read. `db` is written.
const FILES: [&str; 9] = [
    "api-token-file",
    "key-file",
    "otlp-ca",
    "otlp-header-file",
    "prices",
    "redact-file",
    "report-token-file",
    "tls-cert",
    "tls-key",
];

/// The setting that names files behind patterns.
const TOKENIZER: &str = "tokenizer";

/// The setting whose file llmtap makes itself where none is named: its token, beside the store.
const TOKEN: &str = "api-token-file";

/// A hash of what each setting's files hold, by the setting's key. One whose files cannot be read, or are no files
/// (a pipe would be emptied), has none.
#[derive(Debug, Default)]
pub(super) struct Contents(BTreeMap<String, u64>);

impl Contents {
    /// As they are now.
    pub(super) fn of(values: &[Value]) -> Self {
        let named = |value: &Value| {
            let key = value.setting.key.as_str();
            let files = match key {
                TOKENIZER => tokenizers::files(&value.values),
                TOKEN if value.values.is_empty() => own_token(values).into_iter().collect(),
                _ if FILES.contains(&key) => value.values.iter().map(PathBuf::from).collect(),
                _ => Vec::new(),
            };
            Some((key.to_owned(), hash(&files)?))
        };
        Self(values.iter().filter_map(named).collect())
    }

    /// Whether one setting's files hold something else there.
    pub(super) fn differ(&self, other: &Self, key: &str) -> bool {
        self.0.get(key) != other.0.get(key)
    }

    /// Takes over what is said of one setting.
    pub(super) fn take(&mut self, key: &str, from: &Self) {
        match from.0.get(key) {
            Some(hash) => self.0.insert(key.to_owned(), *hash),
            None => self.0.remove(key),
        };
    }

    /// llmtap made its own token just now.
    pub(super) fn add_own_token(&mut self, values: &[Value]) {
        let is_named = |value: &Value| value.setting.key == TOKEN && !value.values.is_empty();
        if values.iter().any(is_named) {
            return;
        }
        if let Some(hash) = own_token(values).and_then(|path| hash(&[path])) {
            self.0.entry(TOKEN.to_owned()).or_insert(hash);
        }
    }
}

fn own_token(values: &[Value]) -> Option<PathBuf> {
    let db = values.iter().find(|value| value.setting.key == "db")?;
    let db = match db.values.first() {
        Some(db) => PathBuf::from(db),
        None => places::default_db().ok()?,
    };
    Some(places::token_of(&db))
}

/// Nothing where there are no files, or one cannot be read.
fn hash(files: &[PathBuf]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        read(file, &mut hasher).ok()?;
    }
    (!files.is_empty()).then(|| hasher.finish())
}

fn read(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        let length = file.by_ref().take(CHUNK).read_to_end(&mut chunk)?;
        // The length, too: else two files would be as good as one with all of it.
        hasher.write_usize(length);
        hasher.write(&chunk);
        if length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::definition::settings, *};

    #[test]
    fn every_setting_that_names_a_file_to_read_is_known() {
        // What is written; where the daemon's certificate is looked at by another command.
        let others = ["db", "ca-cert"];
        for setting in settings() {
            let names_file = setting.value_name().as_deref() == Some("FILE");
            let key = setting.key.as_str();
            let is_known = FILES.contains(&key) || others.contains(&key);
            assert_eq!(names_file, is_known, "{key}");
        }
    }

    #[test]
    fn a_hash_tells_contents_apart_and_a_pipe_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (one, two) = (path("one"), path("two"));
        fs::write(&one, "ab").unwrap();
        fs::write(&two, "c").unwrap();
        let both = hash(&[one.clone(), two.clone()]);
        assert_eq!(both, hash(&[one.clone(), two.clone()]));
        fs::write(&one, "a").unwrap();
        fs::write(&two, "bc").unwrap();
        assert_ne!(both, hash(&[one, two]));
        assert_eq!(hash(&[path("gone")]), None);
        assert_eq!(hash(&[PathBuf::from("/dev/null")]), None);
    }
}
