//! A judge that never finds a fault proves nothing: it is given what is not true.

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::simulator::{Head, KINDS, Kind, Nature, Observed, Size, capture, judge};

use super::{Case, watch};

fn kind(name: &str) -> Result<&'static Kind> {
    let mut kinds = KINDS.iter();
    kinds
        .find(|kind| kind.name == name)
        .context("a kind of this name")
}

/// Captures that lost something, judged as if they had not.
#[test]
fn losses_that_nobody_tells_of_are_found() -> Result<()> {
    let pretended = Kind {
        nature: Nature::Whole,
        ..*kind("5 % lost")?
    };
    let mut found = 0;
    for seed in 0..20 {
        let judgement = Case::new(seed, &pretended, Size::WHOLE)?.judge();
        found += usize::from(!judgement.faults.is_empty());
    }
    ensure!(found >= 10, "{found} of 20");
    Ok(())
}

/// Exchanges that say other things than they should.
#[test]
fn lies_are_found() -> Result<()> {
    let lies: [Lie; 7] = [
        ("a body of another", |it| {
            let bytes = it.response_body.bytes.iter_mut();
            bytes.for_each(|byte| *byte ^= 1);
        }),
        ("a shorter body", |it| {
            it.response_body.bytes.pop();
        }),
        ("a longer body", |it| it.response_body.bytes.push(b'x')),
        ("a name of another", |it| {
            if let Some(head) = &mut it.response {
                head.name = Some("x0-99".into());
            }
        }),
        ("another status", |it| {
            if let Some(head) = &mut it.response {
                head.line = "599".into();
            }
        }),
        ("another end", |it| {
            it.response_end = it.response_end.map(|time| time + 1);
        }),
        ("an exchange that never was", |it| {
            it.request = it.request.take().map(|head| Head {
                line: "GET /e/x7-7?q=x7-7".into(),
                name: Some("x7-7".into()),
                ..head
            });
        }),
    ];
    let case = Case::new(3, kind("none")?, Size::WHOLE)?;
    let captured = capture(&case.scenario.frames, &case.fates);
    let read = watch::read(&case.scenario, &captured);
    let is_found = |observed: &[Observed], missing| {
        // By the rules for captures with and without losses.
        [Nature::Whole, Nature::Lossy].into_iter().all(|nature| {
            let judgement = judge(&case.scenario, &captured, nature, observed, missing);
            !judgement.faults.is_empty()
        })
    };
    ensure!(!is_found(&read.observed, read.missing), "the truth");
    ensure!(is_found(&read.observed, 100), "losses that were none");
    let mut twice = read.observed.clone();
    twice.extend(read.observed.first().cloned());
    ensure!(
        is_found(&twice, read.missing),
        "an exchange that is there twice"
    );
    for (what, lie) in lies {
        let mut observed = read.observed.clone();
        let mut bodies = observed.iter_mut();
        let victim = bodies.find(|it| !it.response_body.bytes.is_empty());
        lie(victim.context("an exchange with a body")?);
        ensure!(is_found(&observed, read.missing), "{what}");
    }
    Ok(())
}

type Lie = (&'static str, fn(&mut Observed));
