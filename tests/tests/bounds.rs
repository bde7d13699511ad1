//! Attacks on memory: what is shed is counted, an honest call beside them comes out as without them, and
//! the peak of the resident memory stays within its bound.

use anyhow::{Context as _, Result};
use llmtap_tests::{
    attacks::{self, ATTACKS, Attack, HONEST, Traffic},
    row::Row,
};

/// What a replay may take at its peak with any of these attacks, in KiB: 1 GiB. The sum of what is bounded
/// by default is more; one attack reaches one of the bounds.
const PEAK: u64 = 1 << 20;

/// A test for each attack, so that they run side by side.
macro_rules! attacks {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() -> Result<()> {
            let attack = ATTACKS.iter().find(|attack| attack.name == $name);
            check(attack.context($name)?)
        })*

        #[test]
        fn every_attack_has_its_test() {
            let names: Vec<_> = ATTACKS.iter().map(|attack| attack.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

attacks! {
    a_flood_of_syns: "syn-flood",
    half_open_connections: "half-open",
    half_open_connections_all_held: "half-open, all held",
    a_hole_that_never_fills: "hole",
    ten_thousand_holes: "holes",
    crumbs_with_a_hole_before_each: "crumbs",
    a_body_an_octet_a_segment: "octets",
    a_body_that_never_ends: "body",
    an_answer_that_never_ends: "chunked",
    a_head_that_never_ends: "head",
    many_long_heads: "heads",
    gzip_bombs: "gzip-bombs",
    requests_that_nobody_answers: "unanswered",
}

fn check(attack: &Attack) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let name = attack.name;
    let run = |traffic, arguments: &[&str]| {
        attacks::run(attack, attack.small, traffic, arguments, folder.path())
    };
    let rows = ["--format", "ndjson"];
    let alone = honest(&run(Traffic::HonestAlone, &rows)?.done.rows()?);
    let beside = honest(&run(Traffic::Attacked, &rows)?.done.rows()?);
    assert_eq!(alone.len(), 1, "{name}");
    assert_eq!(alone[0].text("outcome"), Some("ok"), "{name}");
    assert_eq!(beside, alone, "{name}");

    let measured = run(Traffic::Attacked, &[])?;
    let limits = measured.limits().unwrap_or("none");
    match attack.shed {
        Some(counter) => assert!(limits.contains(counter), "{name}: {limits}"),
        None => assert_eq!(limits, "none", "{name}"),
    }
    assert!(measured.peak <= PEAK, "{name}: {} KiB", measured.peak);
    Ok(())
}

/// The rows of the honest client, without what numbers them among all.
fn honest(rows: &[Row]) -> Vec<Row> {
    let own = rows.iter().filter(|row| row.text("peer") == Some(HONEST));
    own.cloned()
        .map(|mut row| {
            row.0.remove("id");
            row
        })
        .collect()
}
