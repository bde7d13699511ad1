//! How a block's columns are written down.
//!
//! First the length of each column in bytes, as a variable-length number; then the columns: ids and times as
//! differences, dimensions as a dictionary and one or two bytes a row, measures as variable-length numbers.
//! Where a value may be missing, 0 says so, and all others are one larger.

use super::{DIMENSIONS, Dictionary, Facts, MEASURES, Wanted};

/// Counted up with each change of the form.
pub(super) const VERSION: u32 = 1;

/// Rows that a block can have: places in a dictionary have two bytes, and one is that of NULL.
const MOST_ROWS: usize = u16::MAX as usize;

/// Writes all columns.
pub(super) fn encode(facts: &Facts) -> Vec<u8> {
    let mut columns = vec![ids(&facts.ids), times(&facts.times)];
    columns.extend(facts.dimensions.iter().map(dictionary));
    columns.extend(facts.measures.iter().map(|column| measures(column)));
    let mut out = Vec::with_capacity(columns.iter().map(Vec::len).sum::<usize>() + 64);
    put(&mut out, facts.rows() as u64);
    for column in &columns {
        put(&mut out, column.len() as u64);
    }
    for column in columns {
        out.extend(column);
    }
    out
}

/// Reads the wanted columns; `None` where the bytes are not those of a block.
pub(super) fn decode(bytes: &[u8], wanted: Wanted) -> Option<Facts> {
    let mut head = Input(bytes);
    let rows = usize::try_from(head.number()?).ok()?;
    if rows > MOST_ROWS {
        return None;
    }
    let mut lengths = Vec::with_capacity(2 + DIMENSIONS.len() + MEASURES.len());
    for _ in 0..lengths.capacity() {
        lengths.push(usize::try_from(head.number()?).ok()?);
    }
    let mut lengths = lengths.into_iter();
    let mut column = || head.take(lengths.next()?).map(Input);
    let mut facts = Facts::empty();
    facts.ids = column()?.ids(rows)?;
    let mut times = column()?;
    if wanted.time {
        facts.times = times.times(rows)?;
    }
    for (place, dimension) in facts.dimensions.iter_mut().enumerate() {
        let mut column = column()?;
        if wanted.has_dimension(place) {
            *dimension = column.dictionary(rows)?;
        }
    }
    for (place, measure) in facts.measures.iter_mut().enumerate() {
        let mut column = column()?;
        if wanted.has_measure(place) {
            *measure = column.measures(rows)?;
        }
    }
    Some(facts)
}

fn ids(ids: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = 0_i64;
    for id in ids {
        put(&mut out, id.wrapping_sub(before) as u64);
        before = *id;
    }
    out
}

fn times(times: &[Option<i64>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = 0_i64;
    for time in times {
        match time {
            None => put(&mut out, 0),
            Some(time) => {
                let step = i128::from(*time) - i128::from(before);
                // Zigzag, and one larger: small steps either way stay short.
                let zigzag = if step < 0 { -2 * step - 1 } else { 2 * step };
                put_wide(&mut out, zigzag as u128 + 1);
                before = *time;
            }
        }
    }
    out
}

fn dictionary(column: &Dictionary) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, column.texts.len() as u64);
    for text in &column.texts {
        put(&mut out, text.len() as u64);
        out.extend(text.as_bytes());
    }
    for place in &column.places {
        if is_wide(column.texts.len()) {
            out.extend(place.to_le_bytes());
        } else {
            out.push(*place as u8);
        }
    }
    out
}

/// A column without a value is nothing at all.
fn measures(column: &[Option<u64>]) -> Vec<u8> {
    let mut out = Vec::new();
    if column.iter().all(Option::is_none) {
        return out;
    }
    for value in column {
        put_wide(&mut out, value.map_or(0, |value| u128::from(value) + 1));
    }
    out
}

/// Whether places of a dictionary with so many texts take two bytes.
const fn is_wide(texts: usize) -> bool {
    texts > u8::MAX as usize
}

fn put(out: &mut Vec<u8>, value: u64) {
    put_wide(out, value.into());
}

/// Seven bits a byte, the low ones first; the high bit says that more follow.
fn put_wide(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide()?).ok()
    }

    fn wide(&mut self) -> Option<u128> {
        // Nine bytes have 63 bits, and nearly all numbers fewer.
        let mut value = 0_u64;
        for (place, byte) in self.0.iter().enumerate().take(9) {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.0 = &self.0[place + 1..];
                return Some(value.into());
            }
        }
        self.widest()
    }

    #[cold]
    fn widest(&mut self) -> Option<u128> {
        let mut value = 0_u128;
        for (place, byte) in self.0.iter().enumerate().take(18) {
            value |= u128::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.0 = &self.0[place + 1..];
                return Some(value);
            }
        }
        None
    }

    fn ids(&mut self, rows: usize) -> Option<Vec<i64>> {
        let mut before = 0_i64;
        let mut ids = Vec::with_capacity(rows);
        for _ in 0..rows {
            before = before.wrapping_add(self.number()? as i64);
            ids.push(before);
        }
        Some(ids)
    }

    fn times(&mut self, rows: usize) -> Option<Vec<Option<i64>>> {
        let mut before = 0_i64;
        let mut times = Vec::with_capacity(rows);
        for _ in 0..rows {
            let Some(zigzag) = self.wide()?.checked_sub(1) else {
                times.push(None);
                continue;
            };
            let half = i128::try_from(zigzag >> 1).ok()?;
            let step = if zigzag & 1 == 1 { -half - 1 } else { half };
            before = i64::try_from(i128::from(before).checked_add(step)?).ok()?;
            times.push(Some(before));
        }
        Some(times)
    }

    fn dictionary(&mut self, rows: usize) -> Option<Dictionary> {
        let count = usize::try_from(self.number()?).ok()?;
        if count > rows {
            return None;
        }
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let length = usize::try_from(self.number()?).ok()?;
            texts.push(String::from_utf8(self.take(length)?.to_vec()).ok()?);
        }
        let places: Vec<u16> = if is_wide(count) {
            let bytes = self.take(2 * rows)?;
            let pairs = bytes.chunks_exact(2);
            pairs
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect()
        } else {
            self.take(rows)?
                .iter()
                .map(|byte| u16::from(*byte))
                .collect()
        };
        let inside = places.iter().all(|place| usize::from(*place) <= count);
        inside.then_some(Dictionary { texts, places })
    }

    fn measures(&mut self, rows: usize) -> Option<Vec<Option<u64>>> {
        if self.0.is_empty() {
            return Some(vec![None; rows]);
        }
        let mut values = Vec::with_capacity(rows);
        for _ in 0..rows {
            let value = self.wide()?.checked_sub(1);
            values.push(value.map(u64::try_from).transpose().ok()?);
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_facts() -> impl Strategy<Value = Facts> {
        let row = (
            1..5_000_i64,
            proptest::option::of(any::<i64>()),
            proptest::collection::vec(proptest::option::of(0..400_u16), DIMENSIONS.len()),
            proptest::collection::vec(proptest::option::of(any::<u64>()), MEASURES.len()),
        );
        proptest::collection::vec(row, 0..600).prop_map(|rows| {
            let mut facts = Facts::empty();
            let mut id = 0;
            for (step, time, texts, measures) in rows {
                id += step;
                facts.ids.push(id);
                facts.times.push(time);
                for (column, number) in facts.dimensions.iter_mut().zip(texts) {
                    let text = number.map(|number| format!("text {number}"));
                    let place = text.map_or(0, |text| {
                        let known = column.texts.iter().position(|known| *known == text);
                        known.unwrap_or_else(|| {
                            column.texts.push(text);
                            column.texts.len() - 1
                        }) as u16
                            + 1
                    });
                    column.places.push(place);
                }
                for (column, value) in facts.measures.iter_mut().zip(measures) {
                    column.push(value);
                }
            }
            facts
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_is_written_is_read(facts in any_facts()) {
            let bytes = encode(&facts);
            prop_assert_eq!(decode(&bytes, Wanted::ALL), Some(facts.clone()));
            let few = decode(&bytes, Wanted::default()).unwrap();
            prop_assert_eq!(few.ids, facts.ids);
            prop_assert!(few.times.is_empty());
        }

        #[test]
        fn damaged_blocks_are_refused_or_read_without_a_panic(
            facts in any_facts(),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = encode(&facts);
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let whole = decode(&bytes, Wanted::ALL);
            if let Some(facts) = whole {
                for column in &facts.dimensions {
                    prop_assert!(column.places.iter().all(|p| usize::from(*p) < column.count()));
                }
            }
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode(&bytes, Wanted::ALL);
        }
    }
}
