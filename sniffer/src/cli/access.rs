//! Who may ask the API.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use analyzer::api::access::{Access, Guard, HostName, Origin, Reach, Scrapers, Tokens};
#[cfg(feature = "tls")]
use analyzer::api::tls::Tls;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::places;

/// Who may ask the API, and from where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who may ask")]
pub(crate) struct AccessArgs {
    /// Answer all but / (the page), /live and /ready only to who sends a token of this file (one a line) as
    /// `Authorization: Bearer TOKEN`. Needed where --listen names another address than the loopback's. Without it, a
    /// token is asked for what was said alone: that of llmtap.token beside the store, made when missing
    #[arg(long, value_name = "FILE", env = "LLMTAP_API_TOKEN_FILE")]
    api_token_file: Option<PathBuf>,

    /// Take reports (POST /api/report) only from who sends a token of this file, or of --api-token-file
    #[arg(long, value_name = "FILE", env = "LLMTAP_REPORT_TOKEN_FILE")]
    report_token_file: Option<PathBuf>,

    /// Answer /metrics without a token, wherever it is asked from
    #[arg(long, env = "LLMTAP_METRICS_PUBLIC")]
    metrics_public: bool,

    /// Answer requests for this host name as well; repeatable. Default: on the loopback, localhost and its
    /// addresses alone, so that no other name can be made to lead a browser here; elsewhere, any
    #[arg(
        long = "allowed-host",
        value_name = "NAME",
        env = "LLMTAP_ALLOWED_HOST"
    )]
    #[arg(value_delimiter = ',')]
    allowed_hosts: Vec<HostName>,

    /// Serve by TLS, with the certificate chain of this PEM file; SIGHUP reads it and its key again
    #[cfg(feature = "tls")]
    #[arg(
        long,
        value_name = "FILE",
        env = "LLMTAP_TLS_CERT",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, in PEM
    #[cfg(feature = "tls")]
    #[arg(
        long,
        value_name = "FILE",
        env = "LLMTAP_TLS_KEY",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,

    /// Origins whose pages may read answers.
    #[arg(
        long = "cors-origin",
        help = "Let pages of this origin read answers, such as https://board.example.org; repeatable. Default: none",
        value_name = "ORIGIN",
        env = "LLMTAP_CORS_ORIGIN"
    )]
    #[arg(value_delimiter = ',')]
    cors_origins: Vec<Origin>,
}

impl AccessArgs {
    /// The certificate and its key, where there are such.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let files = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
        let tls = files.map(|(cert, key)| Tls::read(cert, key));
        tls.transpose().context("--tls-cert, --tls-key")
    }

    /// The rules, for an API at this address beside this store, whose own token is made when it is asked for and
    /// missing.
    pub(crate) fn rules(&self, listen: SocketAddr, db: &Path) -> anyhow::Result<Access> {
        self.with_own_token(self.named(listen)?, db)
    }

    /// What was [`named`](Self::named), with the store's own token where none was.
    pub(crate) fn with_own_token(&self, access: Access, db: &Path) -> anyhow::Result<Access> {
        if self.api_token_file.is_some() {
            return Ok(access);
        }
        let path = places::token_beside(db)?;
        Ok(Access {
            tokens: tokens(&path)
                .context("the API's own token, in place of which --api-token-file names one")?,
            ..access
        })
    }

    /// The rules as far as files were named.
    pub(crate) fn named(&self, listen: SocketAddr) -> anyhow::Result<Access> {
        let reach = Reach::of(listen.ip());
        let (guard, api_tokens) = match &self.api_token_file {
            Some(path) => (Guard::All, tokens(path).context("--api-token-file")?),
            None if reach == Reach::Elsewhere => bail!(
                "--listen {listen}: other machines reach that address, and llmtap shows what passes through it: give \
                 a token that they must send with --api-token-file FILE (openssl rand -hex 32 > FILE; chmod 600 \
                 FILE), or listen on 127.0.0.1"
            ),
            None => (Guard::Bodies, Tokens::default()),
        };
        let report_tokens = self.report_token_file.as_deref().map(tokens);
        let report_tokens = report_tokens.transpose().context("--report-token-file")?;
        Ok(Access {
            reach,
            guard,
            tokens: api_tokens,
            report_tokens,
            scrapers: if self.metrics_public {
                Scrapers::Anybody
            } else {
                Scrapers::AsFigures
            },
            hosts: self.allowed_hosts.clone(),
            origins: self.cors_origins.clone(),
        })
    }
}

/// The tokens of a file.
fn tokens(path: &Path) -> anyhow::Result<Tokens> {
    let text = places::read_text(path).map_err(|error| {
        anyhow!(
            "cannot read the token file {} ({error}): run llmtap as its owner, or name another",
            path.display()
        )
    })?;
    let tokens = Tokens::parse(&text).with_context(|| {
        format!(
            "the token file {} (make one with openssl rand -hex 32 > FILE)",
            path.display()
        )
    })?;
    // A mounted secret may be all of a container's to read: said, and taken.
    if fs::metadata(path).is_ok_and(|file| file.mode() & 0o077 != 0) {
        tracing::warn!(
            "the token file {} can be read by other users: chmod 600 it",
            path.display()
        );
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        access: AccessArgs,
    }

    fn args(arguments: &[&str]) -> AccessArgs {
        let all = ["llmtap"].iter().chain(arguments);
        Line::try_parse_from(all).unwrap().access
    }

    #[test]
    fn bound_elsewhere_a_token_is_needed_and_the_refusal_says_how() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("llmtap.db");
        for elsewhere in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:1"] {
            let listen = elsewhere.parse().unwrap();
            let error = args(&[]).rules(listen, &db).unwrap_err().to_string();
            assert!(
                error.contains(elsewhere) && error.contains("--api-token-file FILE"),
                "{error}"
            );
            let file = dir.path().join("token");
            fs::write(&file, "0123456789abcdef\n").unwrap();
            let with = args(&["--api-token-file", file.to_str().unwrap()]);
            let access = with.rules(listen, &db).unwrap();
            assert_eq!((access.reach, access.guard), (Reach::Elsewhere, Guard::All));
        }
        assert!(!dir.path().join("llmtap.token").exists());
    }

    #[test]
    fn on_the_loopback_a_token_is_made_once_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("new/llmtap.db");
        let listen = "127.0.0.1:9464".parse().unwrap();
        let access = args(&[]).rules(listen, &db).unwrap();
        assert_eq!(access.guard, Guard::Bodies);
        let path = dir.path().join("new/llmtap.token");
        let token = fs::read_to_string(&path).unwrap();
        assert_eq!(token.trim_end().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        args(&[]).rules(listen, &db).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), token);
    }

    #[test]
    fn a_bad_token_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let listen = "127.0.0.1:9464".parse().unwrap();
        let error = |flag: &str| {
            let access = args(&[flag, file.to_str().unwrap()]).named(listen);
            format!("{:#}", access.unwrap_err())
        };
        assert!(error("--api-token-file").contains("cannot read the token file"));
        fs::write(&file, "short").unwrap();
        let short = error("--report-token-file");
        assert!(
            short.contains("--report-token-file") && short.contains("5 characters"),
            "{short}"
        );
    }
}
