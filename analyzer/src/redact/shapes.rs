//! Secrets as they are known by their shape.
//!
//! A shape has words, without one of which it cannot be there, and a pattern. All words are looked for at
//! once; few texts have any, and only their patterns are run. Matching is linear in the text (the
//! `regex` crate's promise), whatever the text is.
//!
//! Where a shape could be ordinary text (`sk-learn`, `Bearer of news`, `password = args.password`), a check
//! looks at what was matched. In doubt a secret is taken out: a prompt with a hole in it is still of use.

use std::{ops::Range, sync::LazyLock};

use regex::bytes::{Captures, Regex, RegexSet};

use super::kind::Kind;

/// A secret that was found, in bytes of the text.
pub(super) type Found = (Range<usize>, Kind);

/// Bytes of a private key in PEM that are looked through for its end; RSA keys of 16,384 bits have 12,700.
const MAX_PEM: usize = 16 << 10;

/// What is put for one or more of missing bytes of a body: what stands on either side may be half a secret.
pub(crate) const MISSING: &str = "bytes missing ...]";

struct Shape {
    kind: Kind,
    /// In lower case; matched in either.
    words: &'static [&'static str],
    pattern: &'static str,
    /// Whether what was matched is a secret.
    check: fn(&Matched<'_>) -> bool,
}

/// One match.
struct Matched<'t> {
    /// What stands before the value, within the match.
    before: &'t [u8],
    /// The group `s` of the pattern, or all of the match: what is taken out.
    value: &'t [u8],
    /// What follows.
    after: &'t [u8],
}

const fn sure(kind: Kind, words: &'static [&'static str], pattern: &'static str) -> Shape {
    checked(kind, words, pattern, |_| true)
}

const fn checked(
    kind: Kind,
    words: &'static [&'static str],
    pattern: &'static str,
    check: fn(&Matched<'_>) -> bool,
) -> Shape {
    Shape {
        kind,
        words,
        pattern,
        check,
    }
}

/// Behind a name: quotes (in any number of escapes), a colon or equals sign, quotes.
macro_rules! assigned {
    ($names:literal, $least:literal) => {
        concat!(
            r#"(?i-u)(?:"#,
            $names,
            r#")["'\\]{0,6}\s{0,4}(?::|=|=>|:=)\s{0,4}["'\\]{0,6}(?<s>[^\s"'\\,;&(){}<>\[\]]{"#,
            $least,
            r#",})"#
        )
    };
}

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    sure(Kind::AnthropicKey, &["sk-ant-"], r"(?-u)\bsk-ant-[A-Za-z0-9_-]{10,}"),
    sure(Kind::OpenaiKey, &["sk-"], r"(?-u)\bsk-(?:proj|svcacct|admin|service|or-v1|lf|None)-[A-Za-z0-9_-]{10,}"),
    checked(Kind::OpenaiKey, &["sk-"], r"(?-u)\bsk-[A-Za-z0-9_-]{16,}", |m| looks_random(m.value)),
    sure(Kind::AwsKey, &["akia", "asia", "abia", "acca"], r"(?-u)\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    sure(Kind::GithubToken, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"(?-u)\bgh[pousr]_[A-Za-z0-9]{20,}"),
    sure(Kind::GithubToken, &["github_pat_"], r"(?-u)\bgithub_pat_[A-Za-z0-9_]{20,}"),
    sure(Kind::GitlabToken, &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "glimt-"],
        r"(?-u)\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{16,}"),
    sure(Kind::SlackToken, &["xox", "xapp-"], r"(?-u)\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{10,}"),
    sure(Kind::SlackToken, &["hooks.slack.com"], r"(?-u)hooks\.slack\.com\\?/(?:services|workflows|triggers)\\?/(?<s>[A-Za-z0-9+/\\]{16,})"),
    sure(Kind::GoogleKey, &["aiza"], r"(?-u)\bAIza[A-Za-z0-9_-]{30,}"),
    sure(Kind::GoogleKey, &["ya29.", "gocspx-"], r"(?-u)\b(?:ya29\.|GOCSPX-)[A-Za-z0-9_.-]{16,}"),
    sure(Kind::HuggingfaceToken, &["hf_", "api_org_"], r"(?-u)\b(?:hf|api_org)_[A-Za-z0-9]{20,}"),
    sure(Kind::StripeKey, &["k_live_", "k_test_", "whsec_"], r"(?-u)\b(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,}"),
    sure(Kind::ServiceKey, &["gsk_", "xai-", "nvapi-", "pplx-", "tvly-", "fc-", "r8_", "jina_", "pa-", "csk-", "fw_"],
        r"(?-u)\b(?:gsk_|xai-|nvapi-|pplx-|tvly-(?:dev-|prod-)?|fc-|r8_|jina_|pa-|csk-|fw_)[A-Za-z0-9_-]{0,8}[A-Za-z0-9]{20,}[A-Za-z0-9_-]*"),
    sure(Kind::ServiceKey, &["npm_", "pypi-age", "dop_v1_", "dapi", "lsv2_", "hvs.", "dckr_pat_", "shpat_", "sntrys_", "age-secret-key-", "rk_", "sg."],
        r"(?-u)\b(?:npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{30,}|do[por]_v1_[a-f0-9]{40,}|dapi[a-f0-9]{32}|lsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}|hvs\.[A-Za-z0-9_-]{20,}|dckr_pat_[A-Za-z0-9_-]{20,}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}|sntrys_[A-Za-z0-9+/=_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})"),
    // Three parts of base64url, five where it is encrypted; a long one may have been left out as data.
    sure(Kind::Jwt, &["eyj"],
        r"(?-u)\beyJ[A-Za-z0-9_-]{6,}={0,2}\.(?:[A-Za-z0-9_-]{4,}={0,2}|\[base64[^\]]{0,200}\])(?:\.(?:[A-Za-z0-9_-]*={0,2}|\[base64[^\]]{0,200}\])){1,3}"),
    sure(Kind::PrivateKey, &["private key"],
        r"(?-u)(?:[A-Za-z0-9+/]{16,}={0,2}(?:\s|\\+[nrt])*)+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    sure(Kind::Authorization, &["authorization"],
        r#"(?i-u)authorization["'\\]{0,6}\s{0,4}[:=]\s{0,4}["'\\]{0,6}(?<s>(?:(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)\s{1,4})?[^\s"'\\,{}<>$]{6,})"#),
    checked(Kind::Authorization, &["bearer"], r"(?i-u)\bbearer(?:\s|%20|\+){1,4}(?<s>[A-Za-z0-9._~+/=-]{12,})", |m| looks_random(m.value)),
    checked(Kind::Authorization, &["basic"], r"(?i-u)\bbasic\s{1,4}(?<s>[A-Za-z0-9+/]{8,}={0,2})",
        |m| m.value.ends_with(b"=") || looks_random(m.value)),
    sure(Kind::Header, &["cookie"], r#"(?i-u)\b(?:set-)?cookie["'\\]{0,6}\s{0,4}:\s{0,4}["'\\]{0,6}(?<s>[^\s"'\\=]{1,128}=[^\r\n"'\\]{4,})"#),
    sure(Kind::Header, &["x-goog-api-key", "x-auth-token", "subscription-key", "x-amz-security-token", "x-vault-token"],
        assigned!(r"x-goog-api-key|x-auth-token|subscription-key|x-amz-security-token|x-vault-token", "6")),
    // Between quotes it may have spaces in it.
    checked(Kind::Password, &["password", "passwd", "passphrase", "pwd"],
        r#"(?i-u)(?:password|passwd|passphrase|\bpwd|_pwd)["'\\]{0,6}\s{0,4}(?::|=|=>|:=)\s{0,4}["'\\]{1,6}(?<s>[^"'\\\r\n{}]{4,256})"#, is_assigned),
    checked(Kind::Password, &["password", "passwd", "passphrase", "pwd"], assigned!(r"password|passwd|passphrase|\bpwd|_pwd", "4"), is_assigned),
    checked(Kind::Credential, &["key", "secret", "token", "signature"],
        assigned!(r"api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|client[_-]?secret|app[_-]?secret|webhook[_-]?secret|auth[_-]?token|access[_-]?token|refresh[_-]?token|id[_-]?token|bearer[_-]?token|api[_-]?token|session[_-]?token|security[_-]?token|private[_-]?token|secret[_-]?token|signing[_-]?key|encryption[_-]?key|master[_-]?key|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)|private[_-]?key", "6"),
        is_assigned),
    checked(Kind::Credential, &["secret", "token", "credential"],
        assigned!(r"\b(?:[a-z0-9]+[_-])*(?:secret|token|credentials?)", "16"), |m| is_assigned(m) && looks_random(m.value)),
    sure(Kind::Credential, &["key=", "token=", "sig=", "signature=", "secret=", "password="],
        r#"(?i-u)[?&](?:key|token|sig|[a-z0-9_-]{0,32}(?:[_-]key|[_-]token|signature|secret|apikey|password))=(?<s>[^&\s"'\\#<>]{6,})"#),
    sure(Kind::UrlCredentials, &["://", r":\/\/"], r#"(?i-u)\b[a-z][a-z0-9+.-]{1,30}:(?:\\?/){2}(?<s>[^\s/@:"'\\<>?#\[\]]{0,256}:[^\s/@"'\\<>\[\]]{1,256})@"#),
];

/// Beginnings of secrets, right where the text ends or bytes are missing.
const BEGINNINGS: &str = r"(?x-u)
    \b(?<s>
        (?: sk-(?:ant|proj|svcacct|admin|or)- | gh[pousr]_ | github_pat_ | glpat- | xox[abeoprs]- | xapp-
          | AIza | AKIA | ASIA | hf_ | [srp]k_(?:live|test)_ | eyJ | gsk_ | xai- | nvapi- | ya29\. | npm_ | pypi-AgE )
        [A-Za-z0-9_.-]*
      | sk-[A-Za-z0-9]*[0-9][A-Za-z0-9]* | sk-[A-Za-z0-9]{12,}
      # A name and a password before a host that is not to be seen; digits alone are a port.
      | [a-z][a-z0-9+.-]{1,30}:(?:\\?/){2}[^\s/@:\x22'\\<>?\#\[\]]{0,256}
        :[0-9]*[^\s/@\x22'\\<>\[\]0-9][^\s/@\x22'\\<>\[\]]{0,256}
    )
    (?: \[\.\.\.\ \d+\ bytes\ missing | \z )";

/// Ends of secrets, right behind a place where bytes are missing.
const ENDS: &str = r"(?-u)bytes missing \.\.\.\](?<s>[A-Za-z0-9_+/=.-]{8,})";

/// Ends of secrets at the beginning of a text whose own beginning was left out.
const LEADING: &str = r"(?-u)\A(?<s>[A-Za-z0-9_+/=.-]{8,})";

/// Where a text begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    /// It begins in the middle of something.
    pub(super) starts_cut: bool,
    /// It may end in the middle of something.
    pub(super) ends_cut: bool,
}

impl Edges {
    /// A text that is all there.
    pub(super) const NONE: Self = Self {
        starts_cut: false,
        ends_cut: false,
    };
}

struct Compiled {
    words: RegexSet,
    patterns: Vec<Regex>,
    pem: Regex,
    pem_end: Regex,
    beginnings: Regex,
    ends: Regex,
    leading: Regex,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let alternatives = SHAPES.iter().map(|shape| {
        let words: Vec<_> = shape.words.iter().map(|word| regex::escape(word)).collect();
        format!("(?i-u){}", words.join("|"))
    });
    Compiled {
        words: fixed(RegexSet::new(alternatives)),
        patterns: SHAPES
            .iter()
            .map(|shape| fixed(Regex::new(shape.pattern)))
            .collect(),
        pem: fixed(Regex::new(
            r"(?-u)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        )),
        pem_end: fixed(Regex::new(
            r"(?-u)-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        )),
        beginnings: fixed(Regex::new(BEGINNINGS)),
        ends: fixed(Regex::new(ENDS)),
        leading: fixed(Regex::new(LEADING)),
    }
});

#[expect(
    clippy::expect_used,
    reason = "the patterns stand above, and a test compiles them all"
)]
fn fixed<T>(compiled: Result<T, regex::Error>) -> T {
    compiled.expect("a pattern of the program's own")
}

/// Finds the secrets of a text.
pub(super) fn find(text: &[u8], edges: Edges, found: &mut Vec<Found>) {
    let all = &*COMPILED;
    for index in &all.words.matches(text) {
        let (Some(shape), Some(pattern)) = (SHAPES.get(index), all.patterns.get(index)) else {
            continue;
        };
        if shape.kind == Kind::PrivateKey {
            find_pem(all, text, found);
        }
        each(pattern, text, |matched, range| {
            if (shape.check)(matched) {
                found.push((range, shape.kind));
            }
        });
    }
    let missing = memchr::memmem::find(text, MISSING.as_bytes()).is_some();
    if missing || edges.ends_cut {
        each(&all.beginnings, text, |_, range| {
            found.push((range, Kind::Cut));
        });
    }
    if missing {
        rests(&all.ends, text, found);
    }
    if edges.starts_cut {
        rests(&all.leading, text, found);
    }
}

fn rests(pattern: &Regex, text: &[u8], found: &mut Vec<Found>) {
    each(pattern, text, |matched, range| {
        if looks_random(matched.value) {
            found.push((range, Kind::Cut));
        }
    });
}

fn each(pattern: &Regex, text: &[u8], mut take: impl FnMut(&Matched<'_>, Range<usize>)) {
    for captures in pattern.captures_iter(text) {
        let range = value_range(&captures);
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let matched = Matched {
            before: text.get(whole.start()..range.start).unwrap_or_default(),
            value: text.get(range.clone()).unwrap_or_default(),
            after: text.get(range.end..).unwrap_or_default(),
        };
        take(&matched, range);
    }
}

fn value_range(captures: &Captures<'_>) -> Range<usize> {
    let value = captures.name("s").or_else(|| captures.get(0));
    value.map_or(0..0, |value| value.range())
}

/// Private keys from their first line on: to the last one, or as far as there is base64.
fn find_pem(all: &Compiled, text: &[u8], found: &mut Vec<Found>) {
    let mut from = 0;
    while let Some(begin) = all.pem.find_at(text, from) {
        let rest = text.get(begin.end()..).unwrap_or_default();
        let near = rest.get(..MAX_PEM).unwrap_or(rest);
        let length = all.pem_end.find(near).map_or_else(
            || {
                let body = |b: &u8| {
                    b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"+/=\\".contains(b)
                };
                near.iter().take_while(|b| body(b)).count()
            },
            |end| end.end(),
        );
        from = begin.end().saturating_add(length);
        found.push((begin.start()..from, Kind::PrivateKey));
    }
}

/// Whether what is assigned to a name is a value, and no code or stand-in.
fn is_assigned(matched: &Matched<'_>) -> bool {
    const STAND_INS: [&[u8]; 22] = [
        b"none",
        b"null",
        b"nil",
        b"true",
        b"false",
        b"string",
        b"text",
        b"number",
        b"integer",
        b"boolean",
        b"object",
        b"array",
        b"undefined",
        b"required",
        b"optional",
        b"password",
        b"secret",
        b"token",
        b"api_key",
        b"apikey",
        b"str",
        b"bytes",
    ];
    let value = matched.value;
    let lower = value.to_ascii_lowercase();
    let first = value.first().copied().unwrap_or_default();
    let one_letter = value.iter().all(|b| *b == first);
    if STAND_INS.contains(&lower.as_slice())
        || matches!(first, b'$' | b'%' | b':' | b'=')
        || one_letter
    {
        return false;
    }
    let quoted = matched.before.ends_with(b"\"") || matched.before.ends_with(b"'");
    if quoted {
        return true;
    }
    // Code: a call, an index, or a path of names.
    let called = matched.after.first().is_some_and(|b| b"([".contains(b));
    let plain = value.iter().all(u8::is_ascii_alphabetic);
    let name = |b: &u8| b.is_ascii_alphabetic() || b"._".contains(b);
    let path = !plain && value.iter().all(name);
    // Prose: `password: please enter …`.
    let prose = plain && !matched.before.contains(&b'=');
    !called && !path && !prose
}

/// Whether some run of letters and digits is like nothing that people write: letters and digits mixed, or
/// very long.
fn looks_random(value: &[u8]) -> bool {
    value.split(|b| !b.is_ascii_alphanumeric()).any(|run| {
        let digits = run.iter().filter(|b| b.is_ascii_digit()).count();
        let mixed = digits > 0 && digits < run.len();
        (run.len() >= 8 && mixed) || run.len() >= 20
    })
}

#[cfg(test)]
mod tests;
