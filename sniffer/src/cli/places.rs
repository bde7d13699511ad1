//! Where things lie on this machine: the store, and the secret beside it.

use std::{
    env,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, anyhow, bail};

/// The shortest secret that is worth the name: 128 bits.
const KEY_BYTES_MIN: usize = 16;

/// The length of the secrets that llmtap makes: HMAC-SHA256 takes no more good from a longer one.
const KEY_BYTES: usize = 32;

/// The name of the secret's file beside the store.
const KEY_NAME: &str = "llmtap.key";

/// The name of the token's file beside the store.
const TOKEN_NAME: &str = "llmtap.token";

/// What is said of a file of bytes where one of text was meant.
pub(crate) const NO_TEXT: &str = "it is no text in UTF-8";

/// The store's file where none was named.
pub(crate) fn default_db() -> anyhow::Result<PathBuf> {
    if is_root() {
        return Ok(PathBuf::from("/var/lib/llmtap/llmtap.db"));
    }
    match xdg_folder("XDG_STATE_HOME", ".local/state") {
        Some(state) => Ok(state.join("llmtap/llmtap.db")),
        None => bail!("no place for the store: HOME is not set; name one with --db FILE"),
    }
}

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    // /proc/self belongs to the effective user, and needs no unsafe call to ask for.
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// The user's folder of a kind: the variable's, or that below HOME (XDG base directories; a relative one counts
/// for nothing).
pub(crate) fn xdg_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(below_home)))
}

/// Where the totals of the metrics are kept beside a store.
pub(crate) fn totals_beside(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".metrics");
    name.into()
}

/// The secret beside a store; made when missing.
pub(crate) fn key_beside(db: &Path) -> anyhow::Result<Vec<u8>> {
    let path = beside(db, KEY_NAME)?;
    if !path.exists() {
        make(&path, &random()?).map_err(|error| {
            anyhow!(
                "cannot make the key file {} ({error}): name another with --key-file",
                path.display()
            )
        })?;
    }
    read_key(&path)
}

/// The file beside a store with the token that shows what was said; made when missing.
pub(crate) fn token_beside(db: &Path) -> anyhow::Result<PathBuf> {
    let path = beside(db, TOKEN_NAME)?;
    if !path.exists() {
        let mut token = String::with_capacity(2 * KEY_BYTES + 1);
        for byte in random()? {
            let _ = write!(token, "{byte:02x}");
        }
        token.push('\n');
        make(&path, token.as_bytes()).map_err(|error| {
            anyhow!(
                "cannot make the token file {} ({error}): name another with --api-token-file",
                path.display()
            )
        })?;
    }
    Ok(path)
}

/// Where that file is, or would be.
pub(crate) fn token_of(db: &Path) -> PathBuf {
    db.with_file_name(TOKEN_NAME)
}

/// A file's path in a store's folder, which is made when missing.
fn beside(db: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = db
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| {
                anyhow!(
                    "cannot make the folder {} ({error}): name another place with --db FILE",
                    folder.display()
                )
            })?;
    }
    Ok(folder.join(name))
}

/// A file's text. What is none is said to be so: "stream did not contain valid UTF-8" tells few what they did.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => io::Error::new(ErrorKind::InvalidData, NO_TEXT),
        _ => error,
    })
}

fn random() -> anyhow::Result<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}

/// Makes a secret's file, unless somebody else does. It is written whole under another name, then given its own:
/// whoever else starts now reads all of it.
fn make(path: &Path, secret: &[u8]) -> anyhow::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", process::id()));
    let made =
        write_secret(Path::new(&draft), secret).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let _ = fs::remove_file(&draft);
    Ok(made?)
}

/// A file that its owner alone reads.
fn write_secret(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

/// The secret in a file.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key = fs::read(path).map_err(|error| {
        anyhow!(
            "cannot read the key file {} ({error}): make one with head -c {KEY_BYTES} /dev/urandom > FILE, or leave \
             --key-file out, and llmtap makes its own beside the store",
            path.display()
        )
    })?;
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
