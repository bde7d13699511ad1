//! Network namespaces of a test's own.

use std::{
    ffi::OsStr,
    fs::File,
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process;

/// A network namespace with a loopback that is up. It goes with the test, also where that fails, and
/// with it all interfaces in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// Where iproute2 is missing or not permitted to.
    pub fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmtap-tests-{}-{number}", std::process::id());
        must(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `ip` in it, with these arguments.
    ///
    /// # Errors
    /// What it says, where it fails.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        must(self.command("ip").args(arguments.split(' ')))
    }

    /// A cable from here to `other`: an interface at each end, up.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn cable(&self, name: &str, other: &Self, name_there: &str) -> Result<()> {
        let there = &other.name;
        self.ip(&format!(
            "link add {name} type veth peer name {name_there} netns {there}"
        ))?;
        self.ip(&format!("link set {name} up"))?;
        other.ip(&format!("link set {name_there} up"))?;
        Ok(())
    }

    /// Runs `work` in it. Threads and sockets that it makes stay there.
    ///
    /// # Errors
    /// Where it may not be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        // A thread of its own: one that has changed its namespace is good for nothing else.
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                anyhow::Ok(work())
            });
            thread.join().map_err(|_| anyhow!("the work panicked"))?
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing can be done where it fails.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .stderr(Stdio::null())
            .status();
    }
}

/// Runs a command that has to succeed, and gives what it prints.
fn must(command: &mut Command) -> Result<String> {
    let done = process::run(command)?;
    ensure!(done.code == Some(0), "{command:?}: {}", done.stderr);
    Ok(done.stdout)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_listens_in_it_is_not_heard_outside_and_it_goes_with_its_owner() {
        let namespace = Namespace::new().unwrap();
        let listener = namespace
            .run(|| TcpListener::bind("127.0.0.1:0").unwrap())
            .unwrap();
        let address = listener.local_addr().unwrap();
        let inside = namespace.run(|| TcpStream::connect(address).is_ok());
        assert!(inside.unwrap());
        let path = format!("/run/netns/{}", namespace.name());
        assert!(std::path::Path::new(&path).exists());
        drop(namespace);
        assert!(!std::path::Path::new(&path).exists());
    }
}
