//! A view is shared by its address; what it shows is what the API says, also as files.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{browser::Browser, http};
use serde_json::{Value, json};

use crate::support::{asks_its_server_alone, cells, count, demo, json, wide};

/// A view with a range, filters and an order, opened elsewhere, is the same; and the browser's button leads back.
#[test]
fn an_address_shows_elsewhere_what_it_shows_here() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/calls?from=all&outcome=!ok&sort=elapsed")?;
    let here = cells(&mut browser, "table.calls")?;
    let asked = json(api, "/api/calls?outcome=!ok&sort=elapsed")?;
    assert_eq!(
        here.len(),
        asked["calls"].as_array().context("calls")?.len()
    );
    let place = browser.value("location.hash")?;
    let mut other = Browser::start()?;
    wide(&mut other)?;
    other.open(api, place.as_str().context("a hash")?)?;
    assert_eq!(cells(&mut other, "table.calls")?, here);
    other
        .until("document.querySelector('.chip[data-filter=outcome]').innerText.includes('!ok')")?;
    assert_eq!(
        other.value("document.querySelector('[aria-label=Order]').value")?,
        json!("elapsed")
    );

    // From view to view the filters stay; back leads through the same ones.
    browser.click("nav a[href^='#/groups']")?;
    browser.until("document.querySelector('.total')?.innerText.includes('In all 7 calls')")?;
    browser.click("#view td.name button")?;
    browser.until("!!document.querySelector('.chip[data-filter=model]')")?;
    browser.back()?;
    browser.until("!document.querySelector('.chip[data-filter=model]') && document.querySelectorAll('table.data tbody tr').length > 1")?;
    browser.back()?;
    assert_eq!(cells(&mut browser, "table.calls")?, here);
    assert_eq!(browser.value("location.hash")?, place);
    for browser in [&mut browser, &mut other] {
        assert_eq!(browser.complaints(), Vec::<String>::new());
        asks_its_server_alone(browser, api);
    }
    Ok(())
}

/// What the page's own module makes of values.
fn as_shown(browser: &mut Browser, format: &str, values: &[Value]) -> Result<Vec<String>> {
    let shown = browser.value(&format!(
        "import('/ui/format.js').then((format) => {}.map(format.{format}))",
        json!(values)
    ))?;
    serde_json::from_value(shown).context("no texts")
}

/// A chart: its name, how it writes values, and where its lines' values are in a point.
type Chart = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CHARTS: &[Chart] = &[
    (
        "Calls",
        "short",
        &[("calls", "/calls"), ("errors", "/errors")],
    ),
    (
        "Time to first token",
        "seconds",
        &[
            ("p50", "/ttft/p50"),
            ("p95", "/ttft/p95"),
            ("p99", "/ttft/p99"),
        ],
    ),
    ("Output tokens", "short", &[("output", "/output_tokens")]),
    (
        "Input tokens",
        "short",
        &[("input", "/input_tokens"), ("cached", "/cached_tokens")],
    ),
    (
        "Time per output token",
        "seconds",
        &[("p50", "/tpot/p50"), ("p95", "/tpot/p95")],
    ),
    (
        "Whole call",
        "seconds",
        &[
            ("p50", "/elapsed/p50"),
            ("p95", "/elapsed/p95"),
            ("p99", "/elapsed/p99"),
        ],
    ),
];

/// The lines of a CSV file of ours without quotes in it, by column.
fn csv(api: SocketAddr, address: &str) -> Result<Vec<Vec<(String, String)>>> {
    let answer = http::get(api, &format!("/{address}"))?;
    ensure!(
        answer.status == 200 && answer.content_type.starts_with("text/csv"),
        "{address}: {answer:?}"
    );
    let text = answer.text();
    let mut lines = text.lines().map(|line| {
        line.trim_end()
            .split(',')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let heads = lines.next().context("no head")?;
    Ok(lines
        .map(|line| heads.iter().cloned().zip(line).collect())
        .collect())
}

/// The figures of a series' points, 0 where there was no call and a value is a count.
fn values(points: &[Value], pointer: &str, format: &str) -> Vec<Value> {
    let without = if format == "short" {
        json!(0)
    } else {
        Value::Null
    };
    points
        .iter()
        .map(|point| {
            point
                .pointer(pointer)
                .cloned()
                .unwrap_or_else(|| without.clone())
        })
        .collect()
}

#[test]
fn every_chart_has_its_figures_as_a_table_and_as_csv() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/overview?from=all")?;
    browser.until("!!document.querySelector('.chart canvas')")?;
    let series = json(api, "/api/timeseries")?;
    let points = series["series"][0]["points"].as_array().context("points")?;
    assert_eq!(
        browser.value("document.querySelectorAll('.chart').length")?,
        json!(CHARTS.len())
    );
    for (name, format, lines) in CHARTS {
        let chart = format!(".chart[aria-label='{name}']");
        browser.click(&format!("{chart} summary"))?;
        let rows = cells(&mut browser, &format!("{chart} .numbers"))?;
        let address = browser.value(&format!(
            "document.querySelector(\"{chart} a.csv\").getAttribute('href')"
        ))?;
        let file = csv(api, address.as_str().context("a link")?)?;
        assert_eq!(
            (rows.len(), file.len()),
            (points.len(), points.len()),
            "{name}"
        );
        for (column, (line, pointer)) in lines.iter().enumerate() {
            let expected = values(points, pointer, format);
            let shown: Vec<_> = rows.iter().map(|row| row[column + 1].clone()).collect();
            assert_eq!(
                shown,
                as_shown(&mut browser, format, &expected)?,
                "{name}, {line}"
            );
            let key = pointer[1..].replace('/', "_");
            for (row, value) in file.iter().zip(&expected) {
                let cell = row.iter().find(|(head, _)| *head == key);
                let (_, cell) = cell.with_context(|| format!("no column {key}: {row:?}"))?;
                assert_eq!(
                    cell.parse::<f64>().ok(),
                    value.as_f64(),
                    "{name}, {line}: {row:?}"
                );
            }
        }
    }

    // So do lines by model.
    browser.open(api, "#/overview?from=all&split=model")?;
    browser.click(".chart[aria-label='Output tokens, by model'] summary")?;
    let rows = cells(
        &mut browser,
        ".chart[aria-label='Output tokens, by model'] .numbers",
    )?;
    let series = json(api, "/api/timeseries?group_by=model&limit=6")?;
    for (column, one) in series["series"]
        .as_array()
        .context("series")?
        .iter()
        .enumerate()
    {
        let points = one["points"].as_array().context("points")?;
        let expected = as_shown(
            &mut browser,
            "short",
            &values(points, "/output_tokens", "short"),
        )?;
        let shown: Vec<_> = rows.iter().map(|row| row[column + 1].clone()).collect();
        assert_eq!(shown, expected, "{}", one["model"]);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}

/// The period before is as long, ends where this one begins, and has the figures that the API has for it.
#[test]
fn the_period_before_is_beside_this_one() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    // The second half of the demonstration: the first is before it.
    let all = json(api, "/api/timeseries?step=1s")?;
    let (from, points) = (all["from"].as_f64(), all["points"].as_u64());
    let (from, width) = (from.context("from")? as u64, points.context("points")? / 2);
    let (half, end) = (from + width, from + 2 * width);
    browser.open(api, &format!("#/overview?from={half}&to={end}"))?;
    browser.until("!!document.querySelector('.chart canvas')")?;
    browser.click("button[aria-pressed='false']:not(.choice *)")?;
    browser.until("location.hash.includes('compare=before') && document.querySelector('.u-legend')?.innerText.includes('before')")?;
    browser.click(".chart[aria-label=Calls] summary")?;
    let rows = cells(&mut browser, ".chart[aria-label=Calls] .numbers")?;
    let sum = |column: usize| -> u64 {
        rows.iter()
            .filter_map(|row| row[column].parse::<u64>().ok())
            .sum()
    };
    for (columns, (from, to)) in [([1, 3], (half, end)), ([2, 4], (from, half))] {
        let total = &json(api, &format!("/api/summary?from={from}&to={to}"))?["total"];
        ensure!(total["calls"].as_u64() > Some(0));
        assert_eq!(sum(columns[0]), total["calls"].as_u64().context("calls")?);
        assert_eq!(sum(columns[1]), total["errors"].as_u64().context("errors")?);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

/// The heat map's table and the file that the page makes of it hold the API's counts.
#[test]
fn a_heat_map_has_its_figures_as_a_table_and_as_csv() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    for of in ["ttft", "output_tokens", "elapsed", "tpot", "input_tokens"] {
        browser.open(api, &format!("#/heat?from=all&of={of}"))?;
        let heat = json(api, &format!("/api/heatmap?of={of}"))?;
        let (from, step) = (&heat["from"], &heat["step"]);
        let bounds = heat["bounds"].as_array().context("bounds")?;
        let mut expected = Vec::new();
        for (x, column) in heat["counts"]
            .as_array()
            .context("counts")?
            .iter()
            .enumerate()
        {
            for (row, calls) in column.as_array().context("a column")?.iter().enumerate() {
                if calls.as_u64() > Some(0) {
                    let time = from.as_f64().context("from")?
                        + x as f64 * step.as_f64().context("step")?;
                    expected.push((
                        time,
                        row.checked_sub(1).map(|below| &bounds[below]),
                        &bounds[row],
                        calls,
                    ));
                }
            }
        }
        browser.click(".numbers summary")?;
        let rows = cells(&mut browser, ".numbers")?;
        let shown: Vec<_> = rows.iter().map(|row| row[2].clone()).collect();
        assert_eq!(
            shown,
            expected
                .iter()
                .map(|cell| count(cell.3))
                .collect::<Vec<_>>(),
            "{of}"
        );

        // The file is made in the page: what it makes is read before it is saved.
        browser.value("window.file = new Promise((got) => { const make = URL.createObjectURL.bind(URL); URL.createObjectURL = (blob) => { got(blob.text()); return make(blob); }; }); null")?;
        browser.click("button.csv")?;
        let file = browser.value("window.file")?;
        let mut lines = file.as_str().context("a text")?.lines();
        assert_eq!(lines.next(), Some("time,above,up_to,calls"));
        for (time, above, up_to, calls) in &expected {
            let line: Vec<_> = lines
                .next()
                .context("too short")?
                .split(',')
                .map(|cell| cell.parse::<f64>().ok())
                .collect();
            assert_eq!(
                line,
                [
                    Some(*time),
                    above.and_then(Value::as_f64),
                    up_to.as_f64(),
                    calls.as_f64()
                ],
                "{of}"
            );
        }
        assert_eq!(lines.next(), None);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}
