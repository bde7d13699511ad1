//! The README against the program.

use std::fs;

use analyzer::dialect::DIALECTS;
use anyhow::{Result, ensure};
use llmtap_tests::tools;

/// Its table of APIs is that of the code.
#[test]
fn every_api_is_named() -> Result<()> {
    let text = fs::read_to_string(tools::file("../README.md"))?;
    for dialect in DIALECTS {
        let names = [dialect.name]
            .into_iter()
            .chain(dialect.paths.iter().copied());
        for name in names {
            ensure!(
                text.contains(&format!("`{name}`")),
                "README.md does not name `{name}` of {}",
                dialect.name
            );
        }
    }
    Ok(())
}
