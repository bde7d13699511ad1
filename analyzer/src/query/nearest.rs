//! The name that was probably meant.

/// Edits between a name and what was meant by it: more, and it is another word.
const FARTHEST: usize = 3;

/// The nearest of these names, if one is near.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What a person types is short; what is long need not be compared.
    if wanted.len() > 64 {
        return None;
    }
    let near = names.map(|name| (distance(wanted, name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    // Of a short word little may be wrong: half of another one is not it.
    let farthest = wanted.chars().count().div_ceil(2).min(FARTHEST);
    (distance <= farthest).then_some(name)
}

/// Insertions, deletions and replacements of characters that make the one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut line: Vec<usize> = (0..=b.len()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut diagonal = line[0];
        line[0] = row + 1;
        for (column, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = line[column + 1];
            line[column + 1] = replaced.min(diagonal + 1).min(line[column] + 1);
        }
    }
    line[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = || ["model", "operation", "min_ttft"].into_iter();
        assert_eq!(nearest("modell", names()), Some("model"));
        assert_eq!(nearest("min-ttft", names()), Some("min_ttft"));
        assert_eq!(nearest("zzzzzzzz", names()), None);
        assert_eq!(nearest("", ["q"].into_iter()), None);
        assert_eq!(nearest("cost", ["ttft"].into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
