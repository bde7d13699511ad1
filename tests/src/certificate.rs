//! Certificates for localhost, made by openssl.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::process;

/// A certificate and its key, in files of PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate's file.
    pub cert: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

impl Certificate {
    /// One that signed itself, as `openssl req -x509` makes it: for localhost, 127.0.0.1 and another name.
    ///
    /// # Errors
    /// Where openssl cannot be run.
    pub fn self_signed(folder: &Path, name: &str) -> Result<Self> {
        let names = format!("subjectAltName=DNS:localhost,DNS:{name},IP:127.0.0.1");
        Self::make(folder, "self", &["-addext", &names])
    }

    /// An authority, which is in no system's list.
    ///
    /// # Errors
    /// As [`Certificate::self_signed`].
    pub fn authority(folder: &Path) -> Result<Self> {
        Self::make(folder, "authority", &[])
    }

    /// One that this authority signed, for what openssl calls names, such as `DNS:localhost`.
    ///
    /// # Errors
    /// As [`Certificate::self_signed`].
    pub fn signed(&self, folder: &Path, names: &str) -> Result<Self> {
        let names = format!("subjectAltName={names}");
        let cert = self.cert.to_string_lossy().into_owned();
        let key = self.key.to_string_lossy().into_owned();
        let by = ["-CA", &cert, "-CAkey", &key, "-addext", &names];
        let no_authority = ["-addext", "basicConstraints=critical,CA:FALSE"];
        Self::make(folder, "signed", &[&by[..], &no_authority].concat())
    }

    fn make(folder: &Path, name: &str, how: &[&str]) -> Result<Self> {
        let made = Self {
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj"])
            .arg(format!("/CN={name}"))
            .args(how)
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.cert);
        let done = process::run(&mut openssl)?;
        ensure!(done.code == Some(0), "{done:?}");
        Ok(made)
    }
}
