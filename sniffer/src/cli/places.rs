//! Where things lie on this machine: the store, and the secret beside it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, bail};

/// The shortest secret that is worth the name: 128 bits.
const KEY_BYTES_MIN: usize = 16;

/// The length of the secrets that llmtap makes: HMAC-SHA256 takes no more good from a longer one.
const KEY_BYTES: usize = 32;

/// The name of the secret's file beside the store.
const KEY_NAME: &str = "llmtap.key";

/// The store's file where none was named.
pub(crate) fn default_db() -> anyhow::Result<PathBuf> {
    // /proc/self belongs to the effective user, and needs no unsafe call to ask for.
    if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        return Ok(PathBuf::from("/var/lib/llmtap/llmtap.db"));
    }
    let state = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    match state {
        Some(state) => Ok(state.join("llmtap/llmtap.db")),
        None => bail!("no place for the store: HOME is not set; name one with --db FILE"),
    }
}

/// Where the totals of the metrics are kept beside a store.
pub(crate) fn totals_beside(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".metrics");
    name.into()
}

/// The secret beside a store; made when missing.
pub(crate) fn key_beside(db: &Path) -> anyhow::Result<Vec<u8>> {
    let folder = db
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let path = folder.join(KEY_NAME);
    if !folder.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match read_key(&path) {
        Err(_) if !path.exists() => {}
        known => return known,
    }
    // Written whole under another name, then given its own: whoever else starts now reads all of it.
    let draft = folder.join(format!("{KEY_NAME}.{}", process::id()));
    let made = new_key(&draft).and_then(|key| match fs::hard_link(&draft, &path) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_key(&path),
        Err(error) => Err(error.into()),
    });
    let _ = fs::remove_file(&draft);
    made.with_context(|| {
        format!(
            "cannot make the key file {}: name another with --key-file",
            path.display()
        )
    })
}

/// A new secret in a new file.
fn new_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).context("the system gives no random bytes")?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key.to_vec())
}

/// The secret in a file.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key =
        fs::read(path).with_context(|| format!("cannot read the key file {}", path.display()))?;
    if key.len() < KEY_BYTES_MIN {
        bail!(
            "the key file {} holds {} bytes; at least {KEY_BYTES_MIN} random ones are needed \
             (head -c {KEY_BYTES} /dev/urandom > FILE)",
            path.display(),
            key.len()
        );
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("new/llmtap.db");
        let key = key_beside(&db).unwrap();
        assert_eq!(key.len(), KEY_BYTES);
        assert_eq!(key_beside(&db).unwrap(), key);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("new")), 0o700);
        assert_eq!(mode(&folder.path().join("new/llmtap.key")), 0o600);
    }

    #[test]
    fn a_short_key_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short");
        fs::write(&path, b"abc").unwrap();
        let error = read_key(&path).unwrap_err().to_string();
        assert!(
            error.contains("holds 3 bytes") && error.contains("/dev/urandom"),
            "{error}"
        );
    }
}
