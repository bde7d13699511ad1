//! The same packets give the same rows in the same order.

use anyhow::Result;
use llmtap_tests::traffic::{Damage, Traffic};

use super::run_packets;

#[test]
fn rows_do_not_depend_on_the_number_of_threads() -> Result<()> {
    let damage = Damage {
        lost: 10_000,
        doubled: 10_000,
        late: 5_000,
    };
    let (traffic, _) = Traffic::new(21, 80, 10).damaged(6, damage);
    let packets = traffic.packets();
    let (expected, report) = run_packets(&packets, 1)?;
    assert!(expected.len() > 700, "{}", expected.len());
    // 1 once more: nothing is left from one run to the next.
    for workers in [1, 2, 3, 7, 16] {
        let (outputs, other) = run_packets(&packets, workers)?;
        let first = outputs
            .iter()
            .zip(&expected)
            .find(|(now, then)| now != then);
        assert_eq!(first, None, "{workers} workers");
        assert_eq!(outputs.len(), expected.len(), "{workers} workers");
        assert_eq!(other.totals.tcp, report.totals.tcp, "{workers} workers");
    }
    Ok(())
}
