//! What a request's path says of its dialect.

use super::{DIALECTS, Dialect};

/// Ends of paths that are known to be no call, though their bodies may look like one.
const NO_CALLS: [&str; 20] = [
    "/tokenize",
    "/detokenize",
    "/count_tokens",
    "/responses/input_tokens",
    "/apply-template",
    "/apply_template",
    ":countTokens",
    ":computeTokens",
    // Contents put by for later calls, and batches of calls that are made later.
    "/cachedContents",
    ":batchGenerateContent",
    "/score",
    "/classify",
    "/pooling",
    "/batches",
    "/files",
    "/api/show",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
];

/// The part of a pattern that stands for a model's name: one or more segments.
const MODEL: &str = "{model}";

/// What a path says of the calls made to it.
#[derive(Clone, Debug)]
pub enum PathSays {
    /// They follow this dialect.
    Dialect(&'static Dialect),
    /// They may follow one of these, as the shape says; without a sign of any dialect they are no calls.
    Perhaps(Vec<&'static Dialect>),
    /// They are no calls.
    NoCall,
    /// Nothing: the shape decides.
    Nothing,
}

/// Reads a request target (its query does not count). The end of the path counts, so that a proxy's
/// prefix changes nothing; the longest end that is known holds.
pub fn by_path(target: &str) -> PathSays {
    let path = path_of(target).trim_end_matches('/');
    let mut longest = 0;
    let mut says = PathSays::Nothing;
    let ends = DIALECTS.iter().flat_map(|dialect| {
        let sure = dialect.paths.iter().map(|end| (*end, true, *dialect));
        let perhaps = dialect.hints.iter().map(|end| (*end, false, *dialect));
        sure.chain(perhaps)
    });
    for (end, sure, dialect) in ends {
        if end.len() < longest || fit(path, end).is_none() {
            continue;
        }
        let alike = end.len() == longest;
        match &mut says {
            PathSays::Dialect(_) if alike => {}
            _ if sure => says = PathSays::Dialect(dialect),
            PathSays::Perhaps(known) if alike => known.push(dialect),
            _ => says = PathSays::Perhaps(vec![dialect]),
        }
        longest = end.len();
    }
    let no_call = |end: &&str| end.len() > longest && fit(path, end).is_some();
    if NO_CALLS.iter().any(no_call) {
        return PathSays::NoCall;
    }
    says
}

/// Stands for all paths that are no known endpoint's.
pub const OTHER_ENDPOINT: &str = "other";

/// The known end of a path, a model's place in it left open; the longest that fits, or else
/// [`OTHER_ENDPOINT`]. Fit for a label: there are as many as the dialects have.
pub fn endpoint(target: &str) -> &'static str {
    let path = path_of(target).trim_end_matches('/');
    let ends = DIALECTS
        .iter()
        .flat_map(|dialect| dialect.paths.iter().chain(dialect.hints));
    let fitting = ends.filter(|end| fit(path, end).is_some());
    let longest = fitting.max_by_key(|end| end.len());
    longest.copied().unwrap_or(OTHER_ENDPOINT)
}

/// The path of a request target: without its query, and without scheme and host where a proxy
/// sent the absolute form.
pub fn path_of(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => path,
    }
}

/// The model that a path names, as those of Gemini and Triton do, Azure's deployments and the old engines.
pub fn model_of_path(path: &str) -> Option<&str> {
    let trimmed = path.trim_end_matches('/');
    let patterns = DIALECTS
        .iter()
        .flat_map(|dialect| dialect.paths.iter().chain(dialect.hints))
        .filter(|pattern| pattern.contains(MODEL));
    let named = patterns
        .filter_map(|pattern| fit(trimmed, pattern))
        .find(|model| !model.is_empty())
        // Triton's paths may name a version as well.
        .and_then(|model| model.split("/versions/").next());
    named.or_else(|| {
        let mut segments = path.split('/');
        segments.find(|segment| matches!(*segment, "deployments" | "engines"))?;
        segments.next().filter(|model| !model.is_empty())
    })
}

/// Whether the path ends as the pattern does, and the model that stands in its place; empty
/// without one.
fn fit<'p>(path: &'p str, pattern: &str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once(MODEL) else {
        return path.ends_with(pattern).then_some("");
    };
    let rest = path.strip_suffix(after)?;
    let (_, model) = rest.rsplit_once(before)?;
    (!model.is_empty()).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_those_of_the_dialects() {
        for (target, end) in [
            ("/proxy/v1/chat/completions?key=1", "/chat/completions"),
            ("/v1/chat/completions/", "/chat/completions"),
            (
                "/v1beta/models/gemini-x:generateContent",
                ":generateContent",
            ),
            ("/made/up/7", OTHER_ENDPOINT),
            ("", OTHER_ENDPOINT),
        ] {
            let found = endpoint(target);
            assert!(found.ends_with(end), "{target}: {found}");
        }
        assert!(!endpoint("/v1beta/models/gemini-x:generateContent").contains("gemini"));
    }

    fn name(target: &str) -> &'static str {
        match by_path(target) {
            PathSays::Dialect(dialect) => dialect.name,
            PathSays::Perhaps(dialects) => dialects[0].name,
            PathSays::NoCall => "no call",
            PathSays::Nothing => "nothing",
        }
    }

    #[test]
    fn the_end_of_the_path_chooses() {
        for (target, expected) in [
            ("/v1/chat/completions", "openai_chat"),
            ("/v1/chat/completions/", "openai_chat"),
            (
                "/proxy/a/v1/chat/completions?api-version=1&x=/tokenize",
                "openai_chat",
            ),
            ("/chat/completions", "openai_chat"),
            ("http://llm:8000/v1/chat/completions", "openai_chat"),
            (
                "/openai/deployments/gpt/chat/completions?api-version=2",
                "openai_chat",
            ),
            ("/v1/completions", "openai_completions"),
            ("/completions", "openai_completions"),
            ("/engines/davinci/completions", "openai_completions"),
            ("/v1/xcompletions", "nothing"),
            ("/v1/chat/completions/extra", "nothing"),
            ("/", "nothing"),
            ("", "nothing"),
            ("*", "nothing"),
            ("http://host", "nothing"),
            ("/tokenize", "no call"),
            ("/v1/messages/count_tokens", "no call"),
            ("/v1beta/models/g:countTokens", "no call"),
            ("/v1beta/models/g:batchGenerateContent", "no call"),
            ("/v1beta/cachedContents", "no call"),
        ] {
            assert_eq!(name(target), expected, "{target}");
        }
    }

    #[test]
    fn a_deployments_path_names_the_model() {
        assert_eq!(
            model_of_path("/openai/deployments/my-gpt/chat/completions"),
            Some("my-gpt")
        );
        assert_eq!(
            model_of_path("/v1/engines/davinci/completions"),
            Some("davinci")
        );
        assert_eq!(model_of_path("/v1/chat/completions"), None);
        assert_eq!(model_of_path("/deployments//x"), None);
    }

    #[test]
    fn a_pattern_takes_the_model_out_of_the_path() {
        let gemini = "/models/{model}:generateContent";
        assert_eq!(
            fit("/v1beta/models/gemini-2.0-flash:generateContent", gemini),
            Some("gemini-2.0-flash")
        );
        assert_eq!(
            fit("/p/models/tuned/a:generateContent", gemini),
            Some("tuned/a")
        );
        assert_eq!(fit("/v1beta/models/:generateContent", gemini), None);
        assert_eq!(fit("/v1beta/models/g:countTokens", gemini), None);
    }
}
