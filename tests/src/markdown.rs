//! Markdown, as far as the tests of the documents need it: links, the anchors of headings, code.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that hold no documents of ours.
const PASSED_OVER: [&str; 2] = ["target", "node_modules"];

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A block of code between fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence, such as `console`.
    pub language: String,
    /// The lines between the fences.
    pub lines: Vec<String>,
}

/// All documents below a folder, in the order of their paths.
///
/// # Errors
/// Where they cannot be read.
pub fn documents(folder: &Path) -> io::Result<Vec<Document>> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    found.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<Document>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !PASSED_OVER.contains(&name.as_ref()) {
                collect(&path, found)?;
            }
        } else if path.extension() == Some(OsStr::new("md")) {
            found.push(Document::read(&path)?);
        }
    }
    Ok(())
}

impl Document {
    /// Reads one.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            text: fs::read_to_string(path)?,
        })
    }

    /// The targets of links and pictures, those of definitions (`[1]: …`) included.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            let plain = without_code(line);
            if let Some((name, target)) = plain.split_once("]: ")
                && name.starts_with('[')
            {
                links.push(target.trim().to_owned());
            }
            let targets = plain.split("](").skip(1);
            links.extend(
                targets
                    .filter_map(|rest| rest.split_once(')'))
                    .map(|(target, _)| target.to_owned()),
            );
        }
        links
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let mut times: HashMap<String, usize> = HashMap::new();
        let mut anchors = Vec::new();
        for line in self.prose() {
            let text = line.trim_start_matches('#');
            if text.len() == line.len() || !text.starts_with(' ') {
                continue;
            }
            let anchor: String = text
                .trim()
                .to_lowercase()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    c if c.is_alphanumeric() || "-_".contains(c) => Some(c),
                    _ => None,
                })
                .collect();
            let before = times.entry(anchor.clone()).or_default();
            anchors.push(match *before {
                0 => anchor,
                n => format!("{anchor}-{n}"),
            });
            *before += 1;
        }
        anchors
    }

    /// The code that stands in its lines between back-ticks.
    pub fn code(&self) -> Vec<String> {
        let spans = self
            .prose()
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        spans.map(str::to_owned).collect()
    }

    /// Its blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block {
                        language: language.to_owned(),
                        lines: Vec::new(),
                    });
                }
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        blocks
    }

    /// Its lines outside of such blocks.
    pub fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            fenced ^= is_fence;
            !fenced && !is_fence
        })
    }
}

/// A line without what stands between back-ticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document {
            path: PathBuf::new(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn links_are_found_and_those_in_code_are_none() {
        let text =
            "see [a](b.md#c), ![d](e.png) and `[f](g)`\n```sh\n[h](i)\n```\n[1]: https://j\n";
        assert_eq!(document(text).links(), ["b.md#c", "e.png", "https://j"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# The API\n## A capture: `x FILE --serve`\n## TLS, HTTP/2\n## The API\n#none\n```\n# no\n```\n";
        assert_eq!(
            document(text).anchors(),
            [
                "the-api",
                "a-capture-x-file---serve",
                "tls-http2",
                "the-api-1"
            ]
        );
    }

    #[test]
    fn code_is_told_from_prose() {
        let text = "use `--a` or\n```console\n$ b\nc\n```\n`--d`\n";
        assert_eq!(document(text).code(), ["--a", "--d"]);
        let block = Block {
            language: "console".to_owned(),
            lines: vec!["$ b".to_owned(), "c".to_owned()],
        };
        assert_eq!(document(text).blocks(), [block]);
    }
}
