//! What kinds of secrets there are, and how many of each were taken out.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)*) => {
        /// What a secret was taken for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in markers and metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A key of Anthropic's.
    AnthropicKey = "anthropic_key";
    /// A key of OpenAI's, or of one of the many who shape theirs alike.
    OpenaiKey = "openai_key";
    /// An access key of Amazon's.
    AwsKey = "aws_key";
    /// A token of GitHub's.
    GithubToken = "github_token";
    /// A token of GitLab's.
    GitlabToken = "gitlab_token";
    /// A token or webhook of Slack's.
    SlackToken = "slack_token";
    /// A key or token of Google's.
    GoogleKey = "google_key";
    /// A token of Hugging Face's.
    HuggingfaceToken = "huggingface_token";
    /// A key of Stripe's.
    StripeKey = "stripe_key";
    /// A key or token of another service with a shape of its own.
    ServiceKey = "service_key";
    /// A JSON web token.
    Jwt = "jwt";
    /// A private key in PEM.
    PrivateKey = "private_key";
    /// The text of an `Authorization`, or a bearer token.
    Authorization = "authorization";
    /// A cookie, or another header that holds a credential.
    Header = "header";
    /// What is assigned to a name such as `password`.
    Password = "password";
    /// What is assigned to a name such as `api_key`.
    Credential = "credential";
    /// User and password in a URL.
    UrlCredentials = "url_credentials";
    /// What may be a part of a secret, where the rest was cut off or not seen.
    Cut = "cut";
    /// Tokens given one by one beside a text that had a secret in it: they would spell it.
    Tokens = "tokens";
    /// What a regular expression of the operator's matched.
    Custom = "custom";
    /// What stood at a JSON path of the operator's.
    JsonPath = "json_path";
}

/// How many of each kind were taken out, so far.
#[derive(Debug)]
pub struct Counts([AtomicU64; Kind::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counts {
    pub(super) fn add(&self, kind: Kind) {
        if let Some(count) = self.0.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Kind::ALL.iter().map(|kind| kind.as_str()).zip(counts)
    }
}
