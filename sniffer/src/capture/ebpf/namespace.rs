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
        let file = File::open(&path).map_err(|error| {
            format!(
                "there is no network namespace at {}: {error}; `ip netns list` shows those with a \
                 name, a container's is that of its process (its PID)",
                path.display()
            )
        })?;
        Ok(OpenNamespace { file: Some(file) })
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
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
