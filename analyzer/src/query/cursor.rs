//! Where a page ended, so that the next begins there, whatever was written in between.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    BadParameter, Filter,
    select::{Order, Rank, Sort},
};

/// The first field of a cursor: other forms are refused.
const FORM: &str = "1";

/// The last row of a page, the order that it stands in, and the times that the first page was asked for: where
/// these were told by the clock (`from=-1h`), all pages of one question have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) sort: Sort,
    pub(super) order: Order,
    pub(super) last: Rank,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Cursor {
    pub(super) fn write(&self) -> String {
        let number = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
        let Rank { missing, value, id } = self.last;
        let fields = [
            FORM.to_owned(),
            self.sort.name().to_owned(),
            self.order.name().to_owned(),
            u8::from(missing).to_string(),
            value.to_string(),
            id.to_string(),
            number(self.from),
            number(self.to),
        ];
        URL_SAFE_NO_PAD.encode(fields.join(" "))
    }

    /// Reads a cursor for a question in this order.
    pub(super) fn read(text: &str, sort: Sort, order: Order) -> Result<Self, BadParameter> {
        let wrong = || {
            BadParameter::new(
                "cursor",
                "cursor is none that llmtap gave: take the one of the page before, or leave it out",
            )
        };
        let cursor = Self::parse(text).ok_or_else(wrong)?;
        if cursor.sort != sort || cursor.order != order {
            return Err(BadParameter::new(
                "cursor",
                "cursor is of another order: ask with the sort and the order of the page before",
            ));
        }
        Ok(cursor)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(text).ok()?;
        let fields: Vec<&str> = text.split(' ').collect();
        let [form, sort, order, missing, value, id, from, to] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        (*form == FORM).then_some(())?;
        Some(Self {
            sort: Sort::named(sort)?,
            order: Order::named(order)?,
            last: Rank {
                missing: match *missing {
                    "0" => false,
                    "1" => true,
                    _ => return None,
                },
                value: value.parse().ok()?,
                id: id.parse().ok()?,
            },
            from: number(from)?,
            to: number(to)?,
        })
    }

    /// Gives a filter the times of the first page.
    pub(super) const fn bind(&self, filter: &mut Filter) {
        filter.from = self.from;
        filter.to = self.to;
    }
}
