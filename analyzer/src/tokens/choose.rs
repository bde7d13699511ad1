//! The choice of a tokenizer for each call.

use serde::Serialize;

use super::{family::Family, models, tokenizer::Tokenizer, vocabulary::Vocabulary};

/// How well a tokenizer fits the model that it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// It is the model's own.
    Exact,
    /// The model's own is not at hand; this is its nearest kin.
    Near,
    /// Nothing is known of the model's own.
    Guess,
    /// The operator set it for every model.
    Set,
}

impl Fit {
    /// Its name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
            Self::Guess => "guess",
            Self::Set => "set",
        }
    }
}

/// What counts a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// How well it fits.
    pub fit: Fit,
    /// Whose chat template the model speaks.
    pub family: Family,
}

impl Choice {
    /// For a model that nothing is known of.
    fn unknown() -> Self {
        Self {
            tokenizer: Vocabulary::Cl100kBase.tokenizer(),
            fit: Fit::Guess,
            family: Family::Unknown,
        }
    }
}

/// A tokenizer was asked for by a name that none has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tokenizer named {name:?}; the known ones are {}", known())]
pub struct UnknownTokenizer {
    /// The name.
    pub name: String,
}

fn known() -> String {
    Vocabulary::ALL.map(Vocabulary::name).join(", ")
}

/// The choice of a tokenizer for each call.
#[derive(Clone, Debug, Default)]
pub struct Tokenizers {
    always: Option<Vocabulary>,
}

impl Tokenizers {
    /// Chooses by the model's name.
    pub const fn by_model() -> Self {
        Self { always: None }
    }

    /// Always takes this one.
    pub const fn always(vocabulary: Vocabulary) -> Self {
        Self {
            always: Some(vocabulary),
        }
    }

    /// From a setting: by the model's name without one, else always the one named.
    ///
    /// # Errors
    /// There is no tokenizer of that name.
    pub fn from_setting(name: Option<&str>) -> Result<Self, UnknownTokenizer> {
        let always = name.map(Vocabulary::by_name).transpose()?;
        Ok(Self { always })
    }

    /// What counts a call: the first of its models whose name is known decides, and cl100k_base counts
    /// where none is. (A deployment's name often says nothing where the answer names the true model.)
    ///
    /// A tokenizer that is set counts for every model. With cl100k_base that is the old tracker's rule, and the
    /// family is unknown; with another one the model's name still tells the template.
    pub fn choose<'a>(&self, models: impl IntoIterator<Item = &'a str>) -> Choice {
        let known = models.into_iter().find_map(models::known);
        match (self.always, known) {
            (Some(set), known) => Choice {
                tokenizer: set.tokenizer(),
                fit: Fit::Set,
                family: known
                    .filter(|_| set != Vocabulary::Cl100kBase)
                    .map_or(Family::Unknown, |known| known.family),
            },
            (None, Some(known)) => Choice {
                tokenizer: known.vocabulary.tokenizer(),
                fit: known.fit,
                family: known.family,
            },
            (None, None) => Choice::unknown(),
        }
    }
}
