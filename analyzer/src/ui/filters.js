// The range of time and the filters, above every view.

import { FILTERS, add, change, filters, range, remove } from "./address.js";
import { button, h, select } from "./dom.js";
import { swap } from "./focus.js";
import { time } from "./format.js";

const RANGES = [["-15m", "last 15 min"], ["-1h", "last hour"], ["-6h", "last 6 hours"], ["-24h", "last 24 hours"], ["-7d", "last 7 days"],
  ["-30d", "last 30 days"], ["all", "all times"]];

const HINTS = {
  model: "llama*", status: "429 or 5xx", outcome: "!ok", stream: "true", min_ttft: "500ms", min_elapsed: "10s", q: "text in prompt or answer",
  outer: "yes", client: "10.0.0.1", operation: "chat",
};

export const draw = (place) => {
  swap(place, rangeChoice(), ...filters().map(chip), adding());
};

const chip = ([name, value]) => h("span", { class: "chip", "data-filter": name },
  h("span", { title: `${name}: ${value}` }, `${name}: ${value}`),
  button("\u00d7", () => remove(name, value), { "aria-label": `Take the filter ${name} ${value} away` }));

const rangeChoice = () => {
  const { from, to } = range();
  const known = !to && RANGES.some(([value]) => value === from);
  const options = known ? [...RANGES, ["other", "between \u2026"]] : [[`${from}`, shown(from, to)], ...RANGES, ["other", "between \u2026"]];
  const form = h("form", { hidden: true, on: { submit: (event) => {
    event.preventDefault();
    const seconds = (input) => input.value ? String(new Date(input.value).getTime() / 1000) : null;
    change({ from: seconds(begin) ?? "all", to: seconds(end) });
  }, keydown: escape(() => {
    form.hidden = true;
    list.value = from;
    list.focus();
  }) } });
  const begin = moment("from", from), end = moment("to", to);
  form.append(begin, end, h("button", { type: "submit" }, "Show"));
  const list = select("Range of time", options, from, (value) => {
    if (value !== "other") change({ from: value, to: null });
    // The focus stays: who goes through the list by the arrows is not thrown out of it.
    else form.hidden = false;
  });
  return h("span", { class: "row" }, list, form);
};

// What Escape does.
const escape = (act) => (event) => {
  if (event.key === "Escape") act();
};

const moment = (label, value) => {
  const at = Number(value);
  const text = value && Number.isFinite(at) ? time(at).replace(" ", "T") : "";
  return h("input", { type: "datetime-local", step: 1, "aria-label": `${label} (this browser's time)`, value: text });
};

const shown = (from, to) => {
  const one = (value) => value && Number.isFinite(Number(value)) ? time(Number(value)) : value;
  return to ? `${from === "all" ? "\u2026" : one(from)} \u2013 ${one(to)}` : `since ${one(from)}`;
};

const adding = () => {
  const form = h("form", { hidden: true, on: { submit: (event) => {
    event.preventDefault();
    const name = list.value === "label." ? `label.${label.value.trim()}` : list.value;
    if (value.value) add(name, value.value);
  }, keydown: escape(() => {
    show(false);
    open.focus();
  }) } });
  const hint = () => {
    value.placeholder = HINTS[list.value] ?? "";
    label.hidden = list.value !== "label.";
  };
  const list = select("Filter by", [...FILTERS.map((name) => [name, name]), ["label.", "label"]], "model", hint);
  const label = h("input", { "aria-label": "Label", placeholder: "label", size: 8, hidden: true });
  const value = h("input", { "aria-label": "Value", placeholder: HINTS.model, title: "* stands for anything, ! before it for all but this", required: true, size: 18 });
  form.append(list, label, value, h("button", { type: "submit" }, "Add"));
  const show = (shown) => {
    form.hidden = !shown;
    open.setAttribute("aria-expanded", String(shown));
  };
  const open = button("+ Filter", () => {
    show(form.hidden);
    if (!form.hidden) value.focus();
  }, { "aria-expanded": "false", "data-open": "filter" });
  return h("span", { class: "row" }, open, form);
};
