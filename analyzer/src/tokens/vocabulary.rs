//! The vocabularies that are built in.

use std::sync::LazyLock;

use super::{
    choose::UnknownTokenizer,
    engine::{Engine, split::Splitter},
    format::File,
    loaded::Loaded,
    special::{Special, Specials},
    tokenizer::Tokenizer,
};

/// A vocabulary that is built in. Those of Llama and Gemma are not: their licences bind whoever hands them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// GPT-4, GPT-3.5 and the embedding models; also the stand-in where the model is unknown.
    Cl100kBase,
    /// GPT-4o, 4.1, 5 and the o series.
    O200kBase,
    /// gpt-oss: o200k_base with more special tokens, which plain text never becomes.
    O200kHarmony,
    /// Codex and text-davinci-002 and -003.
    P50kBase,
    /// GPT-3 and GPT-2.
    R50kBase,
    /// Qwen 1.5, 2, 2.5 and 3, QwQ, and what was distilled into them.
    Qwen2,
    /// Qwen 3.5 and 3.6.
    Qwen35,
    /// DeepSeek V3, R1 and V4.
    DeepSeekV3,
    /// Mistral's tekken: Nemo and all since.
    Tekken,
    /// GLM-4 to 4.7.
    Glm4,
    /// GLM-5.
    Glm5,
    /// Kimi K2 and K3, Moonlight.
    KimiK2,
    /// MiniMax M2.
    MiniMaxM2,
}

/// A vocabulary as it is stored: its files, one after the other, and what else makes its tokens.
struct Stored {
    splitter: Splitter,
    files: &'static [&'static [u8]],
    /// Whether a text is brought into Unicode's normal form C first.
    composed: bool,
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../vocabularies/", $name, ".ltv.zst"))
    };
}

const O200K: Stored = stored(Splitter::O200k, &[file!("o200k_base")]);

const fn stored(splitter: Splitter, files: &'static [&'static [u8]]) -> Stored {
    Stored {
        splitter,
        files,
        composed: false,
    }
}

impl Vocabulary {
    /// Every vocabulary.
    pub const ALL: [Self; 13] = [
        Self::Cl100kBase,
        Self::O200kBase,
        Self::O200kHarmony,
        Self::P50kBase,
        Self::R50kBase,
        Self::Qwen2,
        Self::Qwen35,
        Self::DeepSeekV3,
        Self::Tekken,
        Self::Glm4,
        Self::Glm5,
        Self::KimiK2,
        Self::MiniMaxM2,
    ];

    /// Its name in rows and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::P50kBase => "p50k_base",
            Self::R50kBase => "r50k_base",
            Self::Qwen2 => "qwen2",
            Self::Qwen35 => "qwen3.5",
            Self::DeepSeekV3 => "deepseek_v3",
            Self::Tekken => "tekken",
            Self::Glm4 => "glm4",
            Self::Glm5 => "glm5",
            Self::KimiK2 => "kimi_k2",
            Self::MiniMaxM2 => "minimax_m2",
        }
    }

    /// The vocabulary of this name.
    ///
    /// # Errors
    /// There is none; the error names those that there are.
    pub fn by_name(name: &str) -> Result<Self, UnknownTokenizer> {
        Self::ALL
            .into_iter()
            .find(|vocabulary| vocabulary.name() == name)
            .ok_or_else(|| UnknownTokenizer {
                name: name.to_owned(),
            })
    }

    /// The one tokenizer of this vocabulary.
    pub fn tokenizer(self) -> Tokenizer {
        static ALL: LazyLock<[Tokenizer; Vocabulary::ALL.len()]> =
            LazyLock::new(|| Vocabulary::ALL.map(Tokenizer::built_in));
        ALL[self as usize].clone()
    }

    fn stored(self) -> Option<Stored> {
        let composed = |splitter, files| Stored {
            splitter,
            files,
            composed: true,
        };
        Some(match self {
            Self::Cl100kBase => stored(Splitter::Cl100k, &[file!("cl100k_base")]),
            Self::O200kBase | Self::O200kHarmony => O200K,
            Self::P50kBase | Self::R50kBase => return None,
            Self::Qwen2 => composed(Splitter::Qwen, &[file!("qwen2")]),
            Self::Qwen35 => composed(Splitter::Qwen35, &[file!("qwen3_5")]),
            Self::DeepSeekV3 => stored(Splitter::DeepSeek, &[file!("deepseek_v3")]),
            Self::Tekken => stored(Splitter::Tekken, &[file!("tekken")]),
            Self::Glm4 => stored(Splitter::Llama3, &[file!("glm4")]),
            Self::Glm5 => stored(Splitter::Llama3, &[file!("glm4"), file!("glm5_tail")]),
            Self::KimiK2 => stored(Splitter::Kimi, &[file!("kimi_k2")]),
            Self::MiniMaxM2 => stored(Splitter::O200k, &[file!("minimax_m2")]),
        })
    }

    /// How it splits a text, and its special tokens.
    pub(super) fn splitter_and_specials(self) -> Option<(Splitter, Vec<String>)> {
        let stored = self.stored()?;
        let specials = read(&stored).into_iter().flat_map(|file| file.specials);
        Some((stored.splitter, specials.collect()))
    }

    /// Loads it: unpacked, and its pairs learned, in 20 to 80 ms.
    pub(super) fn load(self) -> Loaded {
        let Some(stored) = self.stored() else {
            return Loaded::Reference(match self {
                Self::P50kBase => tiktoken_rs::p50k_base_singleton(),
                _ => tiktoken_rs::r50k_base_singleton(),
            });
        };
        let files = read(&stored);
        let tokens: Vec<&[u8]> = files.iter().flat_map(File::tokens).collect();
        let specials = files.iter().flat_map(|file| &file.specials);
        let specials = specials.map(|text| Special {
            text: text.clone(),
            takes_before: false,
            takes_after: false,
        });
        Loaded::Own {
            engine: Box::new(engine(stored.splitter, &tokens)),
            specials: Specials::new(specials.collect()),
            composed: stored.composed,
        }
    }

    /// Its splitter, and its tokens in the order of their ranks.
    #[cfg(test)]
    pub(super) fn parts(self) -> Option<(Splitter, Vec<Vec<u8>>)> {
        let stored = self.stored()?;
        let files = read(&stored);
        let tokens = files.iter().flat_map(File::tokens).map(<[u8]>::to_vec);
        Some((stored.splitter, tokens.collect()))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program, and a test loads each"
)]
fn engine(splitter: Splitter, tokens: &[&[u8]]) -> Engine {
    Engine::new(splitter, tokens).expect("a vocabulary that is built in is not too large")
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program, and a test loads each"
)]
fn read(stored: &Stored) -> Vec<File> {
    let read = |packed: &&[u8]| File::read(packed).expect("a vocabulary that is built in is whole");
    stored.files.iter().map(read).collect()
}
