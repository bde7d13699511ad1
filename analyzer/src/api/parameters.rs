//! The parameters of a question, and who may ask what.

use axum::{
    extract::Query,
    http::{StatusCode, request::Parts},
};

use super::{access::may_see_bodies, error::Refusal};
use crate::{
    query::{BadParameter, Filter, Parameter, filter::of_live},
    store::system_clock,
};

/// What was asked, read as far as all questions have it.
pub(super) struct Question {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) filter: Filter,
}

impl Question {
    /// Reads the filters, and refuses what is neither one of them nor one of these.
    pub(super) fn read(parts: &Parts, others: &[&[Parameter]]) -> Result<Self, Refusal> {
        let pairs = pairs(parts)?;
        let others = others.concat();
        let filter = Filter::parse(&pairs, &others, system_clock())?;
        if pairs.iter().any(|(name, _)| name == "q") && !may_see_bodies(parts) {
            let error = "q looks into what was said, and a token is needed for that: send the header \
                         Authorization: Bearer TOKEN, with the token of --api-token-file, or else of the file \
                         llmtap.token beside the database";
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, error));
        }
        Ok(Self { pairs, filter })
    }

    /// Reads the filters of calls that are not stored yet.
    pub(super) fn of_live(parts: &Parts) -> Result<Filter, Refusal> {
        let pairs = pairs(parts)?;
        let known: Vec<Parameter> = of_live().copied().collect();
        for (name, _) in &pairs {
            if !known.iter().any(|known| known.is_named(name)) {
                return Err(BadParameter::unknown(name, &known).into());
            }
        }
        Ok(Filter::parse(&pairs, &[], system_clock())?)
    }

    /// Refuses any parameter.
    pub(super) fn nothing_but_the_path(parts: &Parts) -> Result<(), Refusal> {
        match pairs(parts)?.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let reason = format!("there is no parameter {name:?} here, and no other");
                Err(BadParameter::new(name, reason).into())
            }
        }
    }
}

fn pairs(parts: &Parts) -> Result<Vec<(String, String)>, Refusal> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query
        .map(|Query(pairs)| pairs)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}
