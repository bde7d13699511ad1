//! Whose call it was, and what is kept from view: from the command line's words to settings.

use std::path::Path;

use analyzer::{
    analysis::TrustedPeers,
    redact::{Expression, JsonPath, Redactor},
};
use anyhow::{Context as _, anyhow, bail};

use super::{
    args::{TrustedProxy, WhoseArgs},
    places,
};

/// Whose word is taken: networks add up; `none` and `any` stand alone.
pub(super) fn trusted(proxies: &[TrustedProxy]) -> anyhow::Result<TrustedPeers> {
    match proxies {
        [] => return Ok(TrustedPeers::PrivateAndLoopback),
        [TrustedProxy::None] => return Ok(TrustedPeers::Networks(Vec::new())),
        [TrustedProxy::Any] => return Ok(TrustedPeers::Any),
        _ => {}
    }
    let mut networks = Vec::new();
    for proxy in proxies {
        match proxy {
            TrustedProxy::In(network) => networks.push(*network),
            TrustedProxy::None | TrustedProxy::Any => bail!(
                "--trusted-proxy `none` and `any` stand alone: name networks, or one of the two"
            ),
        }
    }
    Ok(TrustedPeers::Networks(networks))
}

/// The rules of the command line and of the file.
pub(super) fn redactor(args: &WhoseArgs) -> anyhow::Result<Redactor> {
    let mut expressions = args.redact.clone();
    let mut paths = args.redact_json.clone();
    if let Some(file) = &args.redact_file {
        read_rules(file, &mut expressions, &mut paths)?;
    }
    Ok(Redactor::new(expressions, paths))
}

fn read_rules(
    file: &Path,
    expressions: &mut Vec<Expression>,
    paths: &mut Vec<JsonPath>,
) -> anyhow::Result<()> {
    let text = places::read_text(file).map_err(|error| {
        anyhow!(
            "cannot read the redaction rules in {} ({error}): check the path that --redact-file names",
            file.display()
        )
    })?;
    for (number, line) in (1..).zip(text.lines()) {
        let rule = line.trim_ascii_end();
        let at = || format!("the redaction rules in {}, line {number}", file.display());
        if rule.is_empty() || rule.starts_with('#') {
            continue;
        }
        if rule.starts_with('$') {
            paths.push(rule.parse().with_context(at)?);
        } else {
            expressions.push(rule.parse().with_context(at)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn networks_add_up_and_words_stand_alone() {
        let of = |words: &[&str]| {
            let proxies: Vec<_> = words.iter().map(|word| word.parse().unwrap()).collect();
            trusted(&proxies)
        };
        assert_eq!(of(&[]).unwrap(), TrustedPeers::PrivateAndLoopback);
        assert_eq!(of(&["none"]).unwrap(), TrustedPeers::Networks(Vec::new()));
        assert_eq!(of(&["any"]).unwrap(), TrustedPeers::Any);
        let two = of(&["10.0.0.0/8", "2001:db8::/32"]).unwrap();
        assert!(matches!(two, TrustedPeers::Networks(networks) if networks.len() == 2));
        let mixed = of(&["10.0.0.0/8", "any"]).unwrap_err().to_string();
        assert!(mixed.contains("stand alone"), "{mixed}");
    }

    #[test]
    fn a_rule_that_is_none_is_named_by_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            let (mut expressions, mut paths) = (Vec::new(), Vec::new());
            read_rules(&file, &mut expressions, &mut paths)
                .map(|()| (expressions.len(), paths.len()))
        };
        let good = "# ours\n\n(?i)project \\w+\n$.messages[*].name\n\\$\\d+\n";
        assert_eq!(read(good).unwrap(), (2, 1));
        for (text, part) in [
            ("a\n(b", "line 2"),
            ("$.a[", "line 1"),
            ("#\n\nx*\n", "line 3"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(
                error.contains(part) && error.contains("rules in /"),
                "{error}"
            );
        }
    }
}
