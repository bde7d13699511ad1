//! All of it by the keyboard alone.

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::browser::Browser;
use serde_json::json;

use crate::support::{count, demo, json, report, wide};

/// What can have the focus and is shown, but for what the arrows reach.
const STOPS: &str = "[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')] \
     .filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility())";

/// Tab comes to every control of every view, each is seen to have the focus, and each has a name.
#[test]
fn tab_comes_to_everything_and_the_focus_is_seen() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    for (place, there) in [
        ("#/overview?from=all", ".chart canvas"),
        ("#/groups?from=all", "table.data tbody td"),
        ("#/calls?from=all", "table.calls tbody td"),
        ("#/calls?live=1&from=all", "table.calls tbody td"),
        ("#/heat?from=all", ".heat canvas"),
        ("#/losses", ".facts dd"),
        ("#/call/2", ".waterfall"),
    ] {
        browser.open(api, place)?;
        browser.until(&format!("!!document.querySelector('{there}')"))?;
        let stops = browser.value(&format!("(window.stops = {STOPS}).length"))?;
        let stops = stops.as_u64().context("a number")?;
        ensure!(stops >= 10, "{place}: {stops}");
        // A page that asks anew meanwhile may make a control anew: it counts for the one before.
        browser.value("window.met = new Set(); null")?;
        for stop in 0..stops {
            browser.key("Tab")?;
            let seen = browser.value(
                "(() => { const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect(); \
                 window.met.add(e); \
                 const name = e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? (e.innerText || e.title); \
                 return [e.outerHTML.slice(0, 120), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2, \
                 box.bottom > 0 && box.top < innerHeight && box.right > 0, !!name?.trim(), e !== document.body]; })()",
            )?;
            assert_eq!(
                seen.as_array().context("what is seen")?[1..],
                [true, true, true, true],
                "{place}, {stop}: {}",
                seen[0]
            );
        }
        let left = browser.value(
            "window.stops.filter((e) => e.isConnected && !window.met.has(e)).map((e) => e.outerHTML.slice(0, 120))",
        )?;
        assert_eq!(left, json!([]), "{place}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

#[test]
fn the_skip_link_leads_to_the_view_and_changes_no_address() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/groups?from=all&model=qwen*")?;
    browser.until("!!document.querySelector('table.data tbody td')")?;
    browser.key("Tab")?;
    let link = browser.value("(() => { const e = document.activeElement; return [e.className, e.getBoundingClientRect().x >= 0]; })()")?;
    assert_eq!(link, json!(["skip", true]));
    browser.key("Enter")?;
    let after = browser.value("[document.activeElement.id, location.hash]")?;
    assert_eq!(after, json!(["view", "#/groups?from=all&model=qwen*"]));
    browser.key("Tab")?;
    let inside =
        browser.value("document.querySelector('#view').contains(document.activeElement)")?;
    assert_eq!(inside, json!(true));
    Ok(())
}

#[test]
fn a_range_is_chosen_on_a_chart() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/overview?from=all")?;
    let series = json(api, "/api/timeseries")?;
    let (from, step) = (&series["from"], &series["step"]);
    let at = |place: f64| -> Result<f64> {
        Ok(from.as_f64().context("from")? + place * step.as_f64().context("step")?)
    };
    browser.tab_to(".plot")?;
    browser.key("Home")?;
    let first = &series["series"][0]["points"][0];
    let told = browser.text(".chart [role=status]")?;
    let figures = format!(
        "calls {}, errors {}",
        count(&first["calls"]),
        count(&first["errors"])
    );
    ensure!(told.ends_with(&figures), "{told}");

    // Escape takes a choice back; what Shift spans is chosen by Enter.
    browser.key("ArrowRight")?;
    browser.shift_key("ArrowRight")?;
    let chosen = "parseFloat(document.querySelector('.u-select').style.width) > 2";
    browser.until(chosen)?;
    browser.key("Escape")?;
    browser.until(&format!("!({chosen})"))?;
    browser.key("Home")?;
    browser.key("ArrowRight")?;
    for _ in 0..3 {
        browser.shift_key("ArrowRight")?;
    }
    browser.key("Enter")?;
    let asked = browser.until(
        "[...new URLSearchParams(location.hash.split('?')[1])].flat().join(' ').includes(' to ') && \
         [...new URLSearchParams(location.hash.split('?')[1])]",
    )?;
    assert_eq!(
        asked,
        json!([
            ["from", format!("{}", at(1.0)?.floor())],
            ["to", format!("{}", at(5.0)?.ceil())]
        ])
    );
    // The same chart has the focus still.
    browser.until("document.activeElement.matches('.plot') && document.querySelectorAll('.plot')[0] === document.activeElement")?;

    // A line is hidden and shown by its name.
    browser.tab_to(".u-series th")?;
    browser.key("Enter")?;
    browser.until("document.activeElement.getAttribute('aria-pressed') === 'false'")?;
    browser.key(" ")?;
    browser.until("document.activeElement.getAttribute('aria-pressed') === 'true'")?;
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_cell_of_a_heat_map_is_read_and_opened() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/heat?of=output_tokens&from=all")?;
    let heat = json(api, "/api/heatmap?of=output_tokens")?;
    let columns = heat["counts"].as_array().context("counts")?;
    browser.tab_to(".heat canvas")?;
    browser.key("ArrowRight")?;
    browser.key("ArrowLeft")?;
    browser.key("ArrowUp")?;
    let calls = &columns[columns.len() - 2][1];
    let told = browser.text(".told")?;
    let noun = if *calls == 1 { "call" } else { "calls" };
    ensure!(
        told.ends_with(&format!(": {} {noun}", count(calls))),
        "{told}"
    );
    browser.key("Escape")?;
    browser.until("document.querySelector('.heat .cell').hidden")?;
    // The focus stands still, and so does the map, while the page asks anew.
    browser.key("ArrowLeft")?;
    ensure!(browser.value("document.activeElement.matches('.heat canvas')")? == json!(true));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

/// The link of the row that has the focus, by the call's key.
const FOCUSED: &str = "document.activeElement?.dataset.key ?? ''";

#[test]
fn rows_are_gone_through_by_the_arrows_and_opened_by_enter_and_one_comes_back_to_them() -> Result<()>
{
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/calls?from=all")?;
    browser.tab_to("table.calls tbody a")?;
    browser.key("ArrowDown")?;
    browser.key("ArrowDown")?;
    let calls = json(api, "/api/calls")?;
    let call = &calls["calls"][2];
    assert_eq!(browser.value(FOCUSED)?, call["call_key"]);
    browser.key("Enter")?;
    browser.until("!!document.querySelector('.waterfall')")?;
    assert_eq!(
        browser.value("location.hash.split('?')[0]")?,
        json!(format!("#/call/{}", call["id"]))
    );
    // The next Tab is in the call.
    browser.until("document.activeElement.id === 'view'")?;
    browser.key("Tab")?;
    ensure!(browser.text(":focus")?.contains("Calls"));
    browser.back()?;
    browser.until(&format!("({FOCUSED}) === {}", call["call_key"]))?;

    // A call that comes moves the row; the focus goes with it.
    report(api, "newcomer")?;
    browser.until("document.querySelectorAll('table.calls tbody tr').length === 22")?;
    browser.until("document.querySelector('table.calls tbody').innerText.includes('newcomer')")?;
    assert_eq!(browser.value(FOCUSED)?, call["call_key"]);
    // One Tab leaves the rows: they are one stop.
    browser.key("Tab")?;
    assert_eq!(
        browser.value("document.activeElement.closest('tbody') === null")?,
        json!(true)
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

#[test]
fn the_tail_holds_while_a_row_has_the_focus() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/calls?live=1&from=all")?;
    browser.tab_to("table.calls tbody a")?;
    let row = browser.value(FOCUSED)?;
    report(api, "newcomer")?;
    browser.until("document.querySelector('[data-note=tail]').innerText.includes('1 newer')")?;
    assert_eq!(browser.value(FOCUSED)?, row);
    browser.key("Escape")?;
    browser
        .until("document.querySelector('table.calls tbody tr').innerText.includes('newcomer')")?;
    // Pausing is a button.
    browser.tab_to("button.pause")?;
    browser.key(" ")?;
    browser.until("document.activeElement.getAttribute('aria-pressed') === 'true'")?;
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

fn hash(browser: &mut Browser) -> Result<String> {
    Ok(browser
        .value("location.hash")?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[test]
fn filters_ranges_groups_and_colours_are_set_and_keep_the_focus() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/groups?from=all")?;
    browser.until("!!document.querySelector('table.data tbody td')")?;
    // Escape closes the form and goes back to its button.
    browser.tab_to("[data-open=filter]")?;
    browser.key("Enter")?;
    browser.until("document.activeElement.getAttribute('aria-label') === 'Value'")?;
    browser.key("Escape")?;
    browser.until("document.activeElement.dataset.open === 'filter' && document.activeElement.ariaExpanded === 'false'")?;
    browser.key(" ")?;
    browser.until("document.activeElement.getAttribute('aria-label') === 'Value'")?;
    browser.write("qwen*")?;
    browser.key("Enter")?;
    browser.until("!!document.querySelector('.chip[data-filter=model]')")?;
    ensure!(hash(&mut browser)?.contains("model=qwen*"));
    browser.tab_to(".chip button")?;
    browser.key("Enter")?;
    browser.until("!document.querySelector('.chip')")?;

    // The range is a list, which keeps the focus while it is gone through.
    browser.tab_to("#filters select")?;
    for (key, value) in [("ArrowUp", "-30d"), ("ArrowDown", "all")] {
        // The address changes first, and then the list is made anew: what comes next is for that one.
        browser.value("document.querySelector('#filters select').isOld = true")?;
        browser.key(key)?;
        browser.until(&format!("location.hash.includes('from={value}')"))?;
        browser.until(&format!(
            "document.activeElement.matches('#filters select') && !document.activeElement.isOld && \
             document.activeElement.value === '{value}'"
        ))?;
    }
    // Its last entry opens two fields; Escape closes them.
    browser.key("ArrowDown")?;
    browser.until("!document.querySelector('#filters form').hidden")?;
    browser.key("Tab")?;
    browser.until("document.activeElement.type === 'datetime-local'")?;
    browser.key("Escape")?;
    browser.until("document.activeElement.matches('#filters select') && document.querySelector('#filters form').hidden")?;

    // What is grouped by, and the order of a table, which outlive the next answer.
    browser.tab_to(".choice[aria-label='Grouped by'] button:nth-child(3)")?;
    browser.key("Enter")?;
    browser.until("document.activeElement.innerText === 'user' && document.activeElement.ariaPressed === 'true'")?;
    browser.tab_to("th.n button")?;
    browser.key("Enter")?;
    browser.until("document.activeElement.closest('th').ariaSort === 'descending'")?;
    browser.tab_to("td.name button")?;
    let name = browser.value("document.activeElement.innerText")?;
    report(api, "newcomer")?;
    browser.until("document.querySelector('.total').innerText.includes('In all 22')")?;
    assert_eq!(browser.value("document.activeElement.innerText")?, name);
    assert_eq!(
        browser.value("document.querySelector('th[aria-sort]').ariaSort")?,
        json!("descending")
    );
    browser.key("Enter")?;
    browser.until("!!document.querySelector('.chip[data-filter=user]')")?;

    browser.tab_to("#theme button:nth-child(3)")?;
    browser.key(" ")?;
    browser.until("document.documentElement.dataset.theme === 'dark' && document.activeElement.ariaPressed === 'true'")?;
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}
