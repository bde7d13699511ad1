//! Damaged databases: which may be set aside, and how.
//!
//! A wrong `--db` must not rename somebody's file. So a file that SQLite cannot read is set aside only where
//! it shows that it is ours: by our mark in its header, or, where the header itself is damaged, by our
//! schema's text among its first pages or those of its log. A file of zeros alone, as a crash of the machine may leave,
//! holds nothing and is set aside too. Everything else is refused, and left as it is.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::open::beside;
use crate::store::{StoreError, schema::APPLICATION_ID};

/// How a database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where its header holds the mark of the program that it belongs to.
const MARK: std::ops::Range<usize> = 68..72;

/// Bytes of a file that are looked through for our schema, which is written first.
const LOOKED_THROUGH: u64 = 1024 * 1024;

/// Texts of our schema, of any version.
const SIGNS: [&str; 3] = [
    "CREATE TABLE calls (",
    "CREATE TABLE bodies (",
    "CREATE VIEW token_stats AS SELECT",
];

/// Damaged databases that may lie beside the store. A disk that damages every file must not be filled with
/// them.
const MOST_ASIDE: usize = 5;

/// Whether a file that cannot be read was a database of ours.
pub(in crate::store) fn is_ours(path: &Path) -> bool {
    let bytes = beginning(path);
    let marked = bytes.starts_with(MAGIC)
        && bytes.get(MARK) == Some(APPLICATION_ID.to_be_bytes().as_slice());
    let zeros = !bytes.is_empty() && is_zeros(path);
    marked || zeros || has_schema(&bytes) || has_schema(&beginning(&beside(path, "-wal")))
}

/// Renames a database and its log, and says so.
pub(super) fn set_aside(path: &Path, why: &str) -> Result<(), StoreError> {
    let aside = rename(path).map_err(|cause| StoreError::SetAside {
        path: path.to_owned(),
        cause,
    })?;
    let (path, aside) = (path.display(), aside.display());
    tracing::error!(
        "the database {path} was damaged ({why}): it is set aside as {aside}, and a new one is begun. \
         What can still be read of it comes out with: sqlite3 {aside} .recover"
    );
    Ok(())
}

fn rename(path: &Path) -> io::Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    for number in 0..MOST_ASIDE {
        // The database's own name with something behind it.
        let name = match number {
            0 => format!(".damaged-{now}"),
            _ => format!(".damaged-{now}-{number}"),
        };
        let aside = beside(path, &name);
        if aside.exists() {
            continue;
        }
        if count_aside(path)? >= MOST_ASIDE {
            break;
        }
        fs::rename(path, &aside)?;
        // Beside it under its new name, where SQLite looks for it.
        match fs::rename(beside(path, "-wal"), beside(&aside, "-wal")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew from the log by whoever opens it.
        match fs::remove_file(beside(path, "-shm")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        return Ok(aside);
    }
    Err(io::Error::other(format!(
        "{MOST_ASIDE} damaged ones lie there already; look at the disk, and move them away"
    )))
}

fn count_aside(path: &Path) -> io::Result<usize> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(0);
    };
    let mut prefix = name.to_owned();
    prefix.push(".damaged-");
    let prefix = prefix.into_encoded_bytes();
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_encoded_bytes();
        count += usize::from(name.starts_with(&prefix) && !name.ends_with(b"-wal"));
    }
    Ok(count)
}

fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read is not known to be ours.
    let _ = File::open(path).and_then(|file| file.take(LOOKED_THROUGH).read_to_end(&mut bytes));
    bytes
}

fn is_zeros(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return true,
            Ok(length) if chunk.iter().take(length).all(|byte| *byte == 0) => {}
            _ => return false,
        }
    }
}

/// Whether bytes hold our schema as a database does: in text, such as a dump of one, no byte is zero.
fn has_schema(bytes: &[u8]) -> bool {
    memchr::memchr(0, bytes).is_some()
        && SIGNS
            .iter()
            .any(|sign| memchr::memmem::find(bytes, sign.as_bytes()).is_some())
}
