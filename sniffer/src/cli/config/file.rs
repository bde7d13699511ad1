//! The settings file: TOML, flat, one key a setting.

use std::{
    env, fmt,
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    super::places,
    definition::{FILE_FLAG, Setting, nearest},
};

/// No settings file is near this size: it keeps a wrong path (a device, a capture) from being read whole.
const MAX_FILE: u64 = 1 << 20;

/// The permission of everybody to read.
const OTHERS_READ: u32 = 0o004;

/// Where the file is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Somebody named it: it has to be there.
    Named(PathBuf),
    /// Nobody did: it may be missing.
    Default(PathBuf),
    /// The same, in a home that may be another user's (`sudo -u`): it may be out of reach.
    Home(PathBuf),
}

/// What one file sets.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingsFile {
    /// The file; none was read where there is none.
    pub(super) path: Option<PathBuf>,
    /// What it sets, in its order.
    pub(super) entries: Vec<Entry>,
    /// What is odd about it, though it can be used.
    pub(super) warnings: Vec<String>,
}

/// One setting in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// From 1.
    pub(super) line: usize,
    /// As the flag takes them.
    pub(super) values: Vec<String>,
}

/// What is wrong with a file, all of it.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) path: PathBuf,
    /// Lines, from 1, and what is wrong there.
    pub(super) faults: Vec<(usize, String)>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self
            .faults
            .iter()
            .map(|(line, what)| format!("{}:{line}: {what}", self.path.display()));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for Faults {}

/// Where settings stand if nobody says where: systemd's folder for the unit's configuration, root's, or the
/// user's own.
pub(super) fn default_place() -> Option<Place> {
    // One unit may have several, with colons between them.
    let folders = env::var_os("CONFIGURATION_DIRECTORY").unwrap_or_default();
    if let Some(folder) = env::split_paths(&folders).find(|path| path.is_absolute()) {
        return Some(Place::Default(folder.join("llmtap.toml")));
    }
    if places::is_root() {
        return Some(Place::Default(PathBuf::from("/etc/llmtap/llmtap.toml")));
    }
    let folder = places::xdg_folder("XDG_CONFIG_HOME", ".config")?;
    Some(Place::Home(folder.join("llmtap/llmtap.toml")))
}

impl SettingsFile {
    /// Reads the file, if there is one.
    pub(super) fn read(place: &Place, known: &[Setting]) -> anyhow::Result<Self> {
        let (Place::Named(path) | Place::Default(path) | Place::Home(path)) = place;
        let (text, mode) = match read(path) {
            Err(error)
                if error.kind() == ErrorKind::NotFound && !matches!(place, Place::Named(_)) =>
            {
                return Ok(Self::default());
            }
            // One that can be seen and not read is somebody's will; here nobody knows whether there is one.
            Err(error)
                if matches!(place, Place::Home(_)) && fs::symlink_metadata(path).is_err() =>
            {
                let path = path.display();
                return Ok(Self {
                    warnings: vec![format!(
                        "whether there are settings in {path} cannot be seen: {error}"
                    )],
                    ..Self::default()
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "there is no settings file {}: `llmtap config example` prints one to begin with",
                path.display()
            ),
            read => {
                read.with_context(|| format!("cannot read the settings file {}", path.display()))?
            }
        };
        let entries = parse(&text, known).map_err(|faults| Faults {
            path: path.clone(),
            faults,
        })?;
        let holds_secret = |entry: &&Entry| {
            known
                .iter()
                .any(|one| one.key == entry.key && one.is_secret())
        };
        let secret = entries.iter().find(holds_secret);
        let warnings = secret.filter(|_| mode & OTHERS_READ != 0).map(|entry| {
            let path = path.display();
            format!(
                "everybody on this machine can read {path}, and line {} holds a secret ({}): chmod 640 {path}",
                entry.line, entry.key
            )
        });
        Ok(Self {
            path: Some(path.clone()),
            entries,
            warnings: warnings.into_iter().collect(),
        })
    }

    /// What it says of one setting.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => io::Error::new(ErrorKind::InvalidData, places::NO_TEXT),
        _ => error,
    })?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            "it is larger than 1 MiB, so it is none",
        ));
    }
    Ok((text, mode))
}

/// What a text sets, or all that is wrong with it.
fn parse(text: &str, known: &[Setting]) -> Result<Vec<Entry>, Vec<(usize, String)>> {
    let before = |offset: usize| text.get(..offset).unwrap_or(text);
    let line_of = |offset: usize| before(offset).matches('\n').count() + 1;
    let column_of = |offset: usize| {
        let line = before(offset).rsplit('\n').next();
        line.map_or(0, |line| line.chars().count()) + 1
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<_> = errors
        .iter()
        .map(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let column = column_of(start);
            (
                line_of(start),
                format!("this is no TOML (column {column}): {}", error.message()),
            )
        })
        .collect();
    let mut entries = Vec::new();
    if faults.is_empty() {
        for (key, value) in table.get_ref() {
            let line = line_of(key.span().start);
            match entry(key.get_ref(), value, known) {
                Ok(values) => entries.push(Entry {
                    key: key.get_ref().to_string(),
                    line,
                    values,
                }),
                Err(what) => faults.push((line, what)),
            }
        }
        entries.sort_by_key(|entry| entry.line);
    }
    faults.sort();
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

/// The values of one key, checked.
fn entry(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    known: &[Setting],
) -> Result<Vec<String>, String> {
    let Some(setting) = known.iter().find(|setting| setting.key == key) else {
        return Err(unknown(key, value.get_ref(), known));
    };
    let values = match value.get_ref() {
        DeValue::Array(_) if !setting.is_list() => {
            return Err(format!("`{key}` takes one value, not a list"));
        }
        DeValue::Array(values) => values
            .iter()
            .map(|value| scalar(value.get_ref()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                format!("`{key}` is a list of texts or numbers, not of lists or tables")
            })?,
        one => vec![scalar(one).ok_or_else(|| format!("`{key}` is a value, not a table"))?],
    };
    setting.check(&values).map_err(|why| {
        if setting.is_secret() {
            // The reason may show what it is about.
            format!("`{key}` cannot be this value (it is a secret, and not shown)")
        } else {
            let written: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
            format!("`{key}` cannot be {}: {why}", written.join(", "))
        }
    })?;
    Ok(values)
}

/// A value in the words of the flag.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .ok()?
            .to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

/// What to say of a key that no command has.
fn unknown(key: &str, value: &DeValue<'_>, known: &[Setting]) -> String {
    if key == FILE_FLAG {
        return "a settings file cannot name another: leave `config` out".to_owned();
    }
    if let DeValue::Table(table) = value
        && table
            .keys()
            .any(|key| known.iter().any(|one| one.key == *key.get_ref()))
    {
        return format!("settings stand without a heading: leave [{key}] out");
    }
    let meant = nearest(key, known.iter().map(|setting| setting.key.as_str()));
    let meant = meant.map_or_else(
        || "`llmtap config example` lists them all".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("there is no setting `{key}`: {meant}")
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::{super::definition::settings, *};

    fn values(text: &str, key: &str) -> Vec<String> {
        let entries = parse(text, &settings()).unwrap();
        let entry = entries.into_iter().find(|entry| entry.key == key);
        entry.unwrap().values
    }

    fn faults(text: &str) -> Vec<(usize, String)> {
        parse(text, &settings()).unwrap_err()
    }

    #[test]
    fn values_of_every_kind_are_as_the_flags_take_them() {
        let text = "\
# A comment.
listen = '[::1]:9000'
port = [8000, 0x1f90, \"9_9\".x]
";
        assert!(faults(text)[0].1.contains("no TOML"));
        let text = "\
listen = '[::1]:9000'
port = [8000, 0x1f90, \"9000,9001\"]
interface = 'eth0'
idle-timeout = \"90s\"
max-connections = 1_000
body-head = 0
redact = ['-x, y', '''
a
b''']
trusted-proxy = []
";
        assert_eq!(values(text, "listen"), ["[::1]:9000"]);
        assert_eq!(values(text, "port"), ["8000", "8080", "9000,9001"]);
        assert_eq!(values(text, "interface"), ["eth0"]);
        assert_eq!(values(text, "idle-timeout"), ["90s"]);
        assert_eq!(values(text, "max-connections"), ["1000"]);
        assert_eq!(values(text, "body-head"), ["0"]);
        assert_eq!(values(text, "redact"), ["-x, y", "a\nb"]);
        assert_eq!(values(text, "trusted-proxy"), [""; 0]);
        let lines: Vec<_> = parse(text, &settings())
            .unwrap()
            .iter()
            .map(|entry| entry.line)
            .collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 10]);
    }

    #[test]
    fn a_fault_is_named_by_its_line_with_what_would_be_right() {
        for (text, line, what) in [
            ("\nlistn = 'x'", 2, "did you mean `listen`?"),
            ("max_text = '1MiB'", 1, "did you mean `max-text`?"),
            ("interfaces = ['lo']", 1, "did you mean `interface`?"),
            ("LLMTAP_PORT = 1", 1, "did you mean `port`?"),
            ("quux = 'red'", 1, "`llmtap config example`"),
            ("rows = 'calls'", 1, "there is no setting `rows`"),
            ("config = 'other.toml'", 1, "leave `config` out"),
            ("[limits]\nmax-text = 1", 1, "leave [limits] out"),
            ("listen = 9464", 1, "such as 127.0.0.1:9464"),
            ("listen = ['a', 'b']", 1, "takes one value"),
            ("listen = ''", 1, "cannot be \"\""),
            ("listen = { a = 1 }", 1, "not a table"),
            ("port = [[1]]", 1, "not of lists"),
            ("port = [80, 70000]", 1, "70000 is not in 1..=65535"),
            ("\n\nbackend = 'bpf'", 3, "it is one of auto, ebpf, pcap"),
            ("max-buffered = 'lots'", 1, "such as 64MiB"),
            ("redact = ['(']", 1, "unclosed group"),
            ("port = 1\nport = 2", 2, "no TOML (column 1): duplicate key"),
            ("listen = \"a\nport = 1", 1, "no TOML"),
        ] {
            let faults = faults(text);
            assert!(
                faults[0].0 == line && faults[0].1.contains(what),
                "{text:?}: {faults:?}"
            );
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let lines: Vec<_> = faults("a = 1\nlisten = ':1'\nport = 8000\nb = 2")
            .iter()
            .map(|one| one.0)
            .collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn a_file_that_nobody_named_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llmtap.toml");
        let none = SettingsFile::read(&Place::Default(path.clone()), &settings()).unwrap();
        assert!(none.path.is_none() && none.entries.is_empty());
        let error = SettingsFile::read(&Place::Named(path), &settings()).unwrap_err();
        assert!(error.to_string().contains("config example"), "{error}");
    }

    #[test]
    fn a_secret_that_everybody_can_read_is_told_and_never_shown() {
        let flag = clap::Arg::new("token")
            .long("api-token")
            .env("LLMTAP_API_TOKEN")
            .value_parser(clap::value_parser!(u16))
            .hide_env_values(true);
        let known = [Setting::of(&flag, "run").unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llmtap.toml");
        let read = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            SettingsFile::read(&Place::Named(path.clone()), &known)
        };
        let warnings = read("\napi-token = 41758", 0o644).unwrap().warnings;
        assert!(
            warnings.len() == 1
                && warnings[0].contains("line 2")
                && warnings[0].contains("chmod 640"),
            "{warnings:?}"
        );
        assert!(!warnings[0].contains("41758"));
        for (text, mode) in [("api-token = 1", 0o640), ("# nothing", 0o644)] {
            assert_eq!(read(text, mode).unwrap().warnings, [""; 0]);
        }
        let error = read("api-token = 'sesame'", 0o600).unwrap_err().to_string();
        assert!(
            error.contains("`api-token`") && !error.contains("sesame"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_settings_file_is_not_read_whole() {
        let path = PathBuf::from("/dev/zero");
        let error = SettingsFile::read(&Place::Named(path), &settings()).unwrap_err();
        assert!(
            format!("{error:#}").contains("larger than 1 MiB"),
            "{error:#}"
        );
    }
}
