//! The choice of a tokenizer for each call.

use std::{ffi::OsStr, path::Path};

use serde::Serialize;

use super::{
    family::Family,
    given::{GivenError, Packed},
    models,
    prompt::{Template, TemplateFailures},
    tokenizer::Tokenizer,
    vocabulary::Vocabulary,
};

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
    given: Vec<Given>,
}

/// A tokenizer that was given for the models of a pattern.
#[derive(Clone, Debug)]
struct Given {
    pattern: String,
    tokenizer: Tokenizer,
}

impl Tokenizers {
    /// Chooses by the model's name.
    pub const fn by_model() -> Self {
        Self {
            always: None,
            given: Vec::new(),
        }
    }

    /// Always takes this one, but for models that one is given for.
    pub const fn always(vocabulary: Vocabulary) -> Self {
        Self {
            always: Some(vocabulary),
            given: Vec::new(),
        }
    }

    /// Takes a tokenizer for the models whose name, or the last part of it, fits a pattern in which `*` stands
    /// for anything and `?` for a character, whatever their case. Of several that fit, the first given holds.
    ///
    /// `file` is the path that `data` was read from; its name, or its folder's, becomes the tokenizer's. `template` is
    /// the model's own chat template, where there is one ([`Template::read`]). The data is made a tokenizer once to see
    /// that it can be, and again by the first count: it is kept packed, so that what is counted with is what was seen.
    ///
    /// # Errors
    /// The data is no tokenizer that can be read.
    pub fn give(
        &mut self,
        pattern: &str,
        file: &Path,
        data: &[u8],
        template: Option<Template>,
    ) -> Result<(), GivenError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let name = |path: Option<&OsStr>| path.map(|name| name.to_string_lossy().into_owned());
        let stem = name(file.file_stem()).unwrap_or_default();
        let holder = name(folder.file_name()).unwrap_or_default();
        let packed = Packed::new(data, &[pattern, &stem, &holder])?;
        // A hub's files are all named alike, and their folders are not.
        let alike = matches!(stem.as_str(), "tokenizer" | "tekken" | "tiktoken");
        let plain = if alike && !holder.is_empty() {
            &holder
        } else {
            &stem
        };
        let taken = |name: &str| {
            Vocabulary::by_name(name).is_ok()
                || self
                    .given
                    .iter()
                    .any(|given| &**given.tokenizer.name() == name)
        };
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let name = std::iter::once(plain.clone())
            .chain(numbered)
            .find(|name| !taken(name));
        let tokenizer = Tokenizer::given(
            &name.unwrap_or_default(),
            folder.to_owned(),
            template,
            packed,
        );
        self.given.push(Given {
            pattern: pattern.to_lowercase(),
            tokenizer,
        });
        Ok(())
    }

    /// The tokenizers that were given, each with the pattern of its models.
    pub fn given(&self) -> impl Iterator<Item = (&str, &Tokenizer)> {
        (self.given.iter()).map(|given| (given.pattern.as_str(), &given.tokenizer))
    }

    /// Conversations that the templates of those that were given could not render so far.
    pub fn template_failures(&self) -> TemplateFailures {
        let templates = (self.given.iter()).filter_map(|given| given.tokenizer.template());
        let failures = templates.map(Template::failures);
        failures.fold(TemplateFailures::default(), std::ops::Add::add)
    }

    /// What counts a call: the first of its models for which a tokenizer is given or whose name is known decides,
    /// and cl100k_base counts where none is. (A deployment's name often says nothing where the answer names the
    /// true model.)
    ///
    /// A tokenizer that is set counts for every model that none is given for. With cl100k_base that is the old
    /// tracker's rule, and the family is unknown; with another one the model's name still tells the template.
    pub fn choose<'a>(&self, models: impl IntoIterator<Item = &'a str>) -> Choice {
        let mut first: Option<models::Known> = None;
        for model in models {
            let known = models::known(model);
            if let Some(given) = self.given_for(model) {
                return Choice {
                    tokenizer: given.clone(),
                    fit: Fit::Exact,
                    family: known.map_or(Family::Unknown, |known| known.family),
                };
            }
            // What the answer's name tells for sure is better than a guess by the request's.
            if first.is_none_or(|first| first.fit == Fit::Guess) {
                first = known
                    .filter(|known| known.fit != Fit::Guess)
                    .or(first)
                    .or(known);
            }
        }
        match (self.always, first) {
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

    fn given_for(&self, model: &str) -> Option<&Tokenizer> {
        if self.given.is_empty() {
            return None;
        }
        let name = model[..model.floor_char_boundary(models::MAX_NAME)].to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name);
        self.given
            .iter()
            .find(|given| fits(&given.pattern, &name) || fits(&given.pattern, last))
            .map(|given| &given.tokenizer)
    }
}

/// Whether a name fits a pattern with `*` and `?`, in time of the two lengths' product.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last star is, and up to where it reaches.
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(expected) if *expected == '?' || *expected == name[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, reach)) = star else {
                    return false;
                };
                star = Some((star_at, reach + 1));
                at = star_at + 1;
                from = reach + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, expected) in [
            ("qwen*", "qwen2.5", true),
            ("qwen*", "my-qwen", false),
            ("*qwen*", "my-qwen", true),
            ("qwen?", "qwen3", true),
            ("qwen?", "qwen", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!fits(&"a*".repeat(60), &"b".repeat(512)));
    }
}
