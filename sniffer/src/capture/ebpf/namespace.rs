//! Doing something in another network namespace.

use std::{
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Which network namespace to tap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkNamespace {
    /// The one that llmtap runs in.
    #[default]
    Own,
    /// The one of this name, as `ip netns` knows it.
    Name(String),
    /// The one of a process, such as a container's.
    Process(u32),
    /// The one that this file stands for.
    Path(PathBuf),
}

impl NetworkNamespace {
    /// Reads `NAME`, `PID` or `/PATH`. A name of digits alone is a PID.
    pub fn parse(text: &str) -> Self {
        if text.contains('/') {
            return Self::Path(text.into());
        }
        text.parse()
            .map_or_else(|_| Self::Name(text.into()), Self::Process)
    }

    /// The file that stands for it; `None` for the own one.
    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Own => None,
            Self::Name(name) => Some(Path::new("/run/netns").join(name)),
            Self::Process(process) => Some(PathBuf::from(format!("/proc/{process}/ns/net"))),
            Self::Path(path) => Some(path.clone()),
        }
    }

    /// Holds it open, so that it stays the same one whatever happens to its name.
    ///
    /// # Errors
    /// A sentence, where there is no such namespace.
    pub(super) fn open(&self) -> Result<OpenNamespace, String> {
        let Some(path) = self.path() else {
            return Ok(OpenNamespace { file: None });
        };
        let file = File::open(&path).map_err(|error| self.why_not(&path, &error))?;
        Ok(OpenNamespace { file: Some(file) })
    }

    /// A sentence on one that cannot be opened.
    fn why_not(&self, path: &Path, error: &io::Error) -> String {
        let path = path.display();
        match (error.kind(), self) {
            (io::ErrorKind::NotFound, Self::Process(process)) => format!(
                "there is no process {process}, whose network namespace --netns names: a container's is \
                 told by `docker inspect -f '{{{{.State.Pid}}}}' NAME`"
            ),
            (io::ErrorKind::NotFound, _) => format!(
                "there is no network namespace at {path}, as --netns names it: `ip netns list` shows those with a \
                 name, a container's is that of its process (its PID)"
            ),
            (io::ErrorKind::PermissionDenied, _) => format!(
                "the network namespace at {path} may not be opened by this user ({error}): run llmtap as root"
            ),
            _ => format!("the network namespace at {path} cannot be opened: {error}"),
        }
    }
}

/// A network namespace, held open.
#[derive(Debug)]
pub(super) struct OpenNamespace {
    file: Option<File>,
}

impl OpenNamespace {
    /// Runs `work` in this namespace: in a thread of its own, since a thread that has changed its
    /// namespace is not to be used for anything else.
    ///
    /// # Errors
    /// Where the namespace may not be entered.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let Some(file) = &self.file else {
            return Ok(work());
        };
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(|error| not_entered(&error.into()))?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }
}

/// A sentence on one that was opened and cannot be entered.
fn not_entered(error: &io::Error) -> io::Error {
    let what_to_do = match error.kind() {
        io::ErrorKind::PermissionDenied => "run llmtap as root, or with CAP_SYS_ADMIN",
        _ => "does --netns name a network namespace?",
    };
    let text = format!("the network namespace cannot be entered ({error}): {what_to_do}");
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_or_entered_says_what_to_do() {
        let said = |text: &str| NetworkNamespace::parse(text).open().unwrap_err();
        let gone = said("4194305");
        assert!(
            gone.contains("no process 4194305") && gone.contains("{{.State.Pid}}"),
            "{gone}"
        );
        let unknown = said("no-such-namespace");
        assert!(
            unknown.contains("/run/netns/no-such-namespace"),
            "{unknown}"
        );
        assert!(unknown.contains("ip netns list"), "{unknown}");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let path = Path::new("/proc/1/ns/net");
        let denied_text = NetworkNamespace::Process(1).why_not(path, &denied);
        assert!(denied_text.contains("run llmtap as root"), "{denied_text}");
        assert!(not_entered(&denied).to_string().contains("CAP_SYS_ADMIN"));
        let no_namespace = NetworkNamespace::parse("/dev/null").open().unwrap();
        let entered = no_namespace.run(|| ()).unwrap_err().to_string();
        assert!(entered.contains("cannot be entered"), "{entered}");
    }

    #[test]
    fn a_namespace_is_a_name_a_process_or_a_path() {
        assert_eq!(
            NetworkNamespace::parse("blue"),
            NetworkNamespace::Name("blue".into())
        );
        assert_eq!(
            NetworkNamespace::parse("4242"),
            NetworkNamespace::Process(4242)
        );
        let path = NetworkNamespace::parse("/run/docker/netns/x");
        assert_eq!(path, NetworkNamespace::Path("/run/docker/netns/x".into()));
    }

    #[test]
    fn a_missing_namespace_is_named() {
        let error = NetworkNamespace::Name("llmtap-none".into())
            .open()
            .expect_err("no such one");
        assert!(error.contains("/run/netns/llmtap-none"), "{error}");
    }
}
