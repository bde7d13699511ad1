//! What a scraper says that it takes: `Accept` and `Accept-Encoding` (RFC 9110 §12.5).

use super::Format;

/// The weight of a member of such a list: 0 refuses.
fn weight(member: &str) -> f32 {
    let weights = member.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    weights
        .last()
        .map_or(1.0, |q| q.parse::<f32>().map_or(0.0, |q| q.clamp(0.0, 1.0)))
}

fn members(list: &str) -> impl Iterator<Item = (&str, f32)> {
    let members = list.split(',').map(str::trim);
    members
        .filter(|member| !member.is_empty())
        .map(|member| (member, weight(member)))
}

impl Format {
    /// The format for the members of `Accept` headers: the one with the highest weight, where the most specific range
    /// that names a format gives it its weight; Prometheus text where both are alike, or where nothing that
    /// there is was asked for.
    pub fn for_accept(accept: &str) -> Self {
        let weight_of = |format: Self| {
            let ranges = members(accept)
                .filter_map(|(range, weight)| Some((format.specificity(range)?, weight)));
            // Of equally specific ranges the one that likes it best.
            let best = ranges.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            best.map_or(0.0, |(_, weight)| weight)
        };
        if weight_of(Self::OpenMetrics) > weight_of(Self::Prometheus) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// How closely a media range names this format; `None` where it does not.
    fn specificity(self, range: &str) -> Option<u8> {
        let (kind, version) = match self {
            Self::Prometheus => ("text/plain", "0.0.4"),
            Self::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
        };
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let wanted = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_version = name.trim().eq_ignore_ascii_case("version");
            is_version.then(|| value.trim().trim_matches('"'))
        });
        let family = kind.split('/').next()?;
        match wanted {
            Some(wanted) if media == kind => (wanted == version).then_some(4),
            None if media == kind => Some(3),
            _ if media.strip_suffix("/*") == Some(family) => Some(2),
            _ if media == "*/*" => Some(1),
            _ => None,
        }
    }
}

/// Whether the members of `Accept-Encoding` headers take gzip, and not rather nothing.
pub fn takes_gzip(accept: &str) -> bool {
    let weight_of = |names: &[&str]| {
        let coding = |member: &str| {
            let name = member.split(';').next().unwrap_or_default().trim();
            name.to_ascii_lowercase()
        };
        let found = members(accept).find(|(member, _)| names.contains(&coding(member).as_str()));
        found.map(|(_, weight)| weight)
    };
    let any = weight_of(&["*"]);
    let gzip = weight_of(&["gzip", "x-gzip"]).or(any).unwrap_or(0.0);
    let plain = weight_of(&["identity"]).or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_is_liked_best() {
        for (accept, open) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/json", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=1.0.0", true),
            ("application/*", true),
            ("application/openmetrics-text;q=0, text/plain", false),
            (
                "application/openmetrics-text;q=0.2, text/plain;q=0.3",
                false,
            ),
            ("text/plain;q=0.3, application/openmetrics-text;q=0.4", true),
            ("application/openmetrics-text;q=0.4, */*;q=0.9", false),
            ("*/*;q=0.1, application/openmetrics-text; q=0.2", true),
            ("application/openmetrics-text;version=2.0.0", false),
            (
                "application/openmetrics-text;version=1.0.0;q=nonsense",
                false,
            ),
            // Prometheus 2.42 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                 escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                true,
            ),
        ] {
            let format = Format::for_accept(accept);
            assert_eq!(format == Format::OpenMetrics, open, "{accept}");
        }
    }

    #[test]
    fn gzip_for_those_who_take_it() {
        for (accept, gzip) in [
            ("", false),
            ("gzip", true),
            ("GZIP;q=0.5, br", true),
            ("gzip;q=0", false),
            ("br, zstd", false),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("identity, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=0.5", true),
        ] {
            assert_eq!(takes_gzip(accept), gzip, "{accept}");
        }
    }
}
