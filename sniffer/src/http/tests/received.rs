//! What the acknowledgements tell of who answers whom, where something was lost.

use super::pairing::{answer, check_pairs, get};
use super::*;

/// The length of every message here.
const LENGTH: u64 = 42;

fn request(name: &str) -> String {
    let text = get(name).replace("example", "example.com");
    assert_eq!(text.len() as u64, LENGTH);
    text
}

fn ask(name: &str) -> Op {
    c(request(name))
}

fn tell(status: u16) -> Op {
    let text = answer(status);
    assert_eq!(text.len() as u64, LENGTH);
    s(text)
}

/// How much of the other side's stream had been received, in messages.
fn after(messages: u64) -> Op {
    knowing(messages * LENGTH)
}

const LOST_REQUEST: Op = gap_c(LENGTH);
const LOST_ANSWER: Op = gap_s(LENGTH);

#[test]
fn an_answer_that_was_sent_before_its_request_came_is_anothers() {
    check_pairs(
        &[
            LOST_REQUEST,
            after(0),
            ask("b"),
            after(1),
            tell(201),
            after(2),
            tell(202),
        ],
        &["/b - lost", "- 201 complete", "- 202 complete"],
    );
}

#[test]
fn a_client_that_took_its_turn_has_its_answer_whatever_was_lost_before() {
    // Three at once, and one of the answers lost: whose the other is, is not certain. The request that was
    // sent when all three had come is.
    check_pairs(
        &[
            after(0),
            c(request("a") + &request("b") + &request("c")),
            after(3),
            tell(201),
            LOST_ANSWER,
            after(3),
            tell(203),
            after(3),
            ask("d"),
            after(4),
            tell(204),
        ],
        &[
            "/a 201 complete",
            "/b - lost",
            "/c - lost",
            "- 203 complete",
            "/d 204 complete",
        ],
    );
}

#[test]
fn a_request_sent_beside_one_that_was_lost_may_have_another_answer() {
    check_pairs(
        &[
            after(0),
            ask("a"),
            after(1),
            tell(201),
            LOST_REQUEST,
            after(1),
            ask("c"),
            after(3),
            tell(202),
            after(3),
            tell(203),
            after(3),
            ask("d"),
            after(4),
            tell(204),
        ],
        &[
            "/a 201 complete",
            "/c - lost",
            "- 202 complete",
            "- 203 complete",
            "/d 204 complete",
        ],
    );
}
