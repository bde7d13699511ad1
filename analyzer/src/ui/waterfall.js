// The clocks of one call as a waterfall: upload, wait, first token, output with its gaps, end.

import { h, svg } from "./dom.js";
import { count, fineTime, many, seconds, words } from "./format.js";

const MARKS = ["request_start", "request_end", "response_head", "first_event", "first_token", "last_token", "response_end", "ended"];

// Kinds of events are told apart by their place and height too: `[top, height]`, as parts of a bar.
const KINDS = { content: ["--s1", 0, 1], reasoning: ["--s4", 0, .45], tool: ["--s5", .55, .45], media: ["--s3", 0, 1], empty: ["--s7", .35, .3], other: ["--s6", .35, .3] };

const WIDTH = 1000, ROW = 26, BAR = 16;

// Bars narrower than this cannot be seen.
const LEAST = 1.5;

export const waterfall = (call, timeline) => {
  const start = call.request_start ?? call.response_head ?? call.first_event;
  const end = Math.max(...MARKS.map((name) => call[name] ?? -Infinity));
  if (start == null || !(end > start)) return h("p", { class: "soft" }, "This row has too few clocks for a waterfall.");
  const at = (t) => (t - start) / (end - start) * WIDTH;
  const phases = phasesOf(call).map(([name, from, to, colour]) => ({ name, from, to, colour }));
  const events = eventsOf(call, timeline);
  const rows = [...phases.map((phase) => ({ label: phase.name, value: seconds(phase.to - phase.from), bars: [phase] }))];
  if (events.length) {
    const number = events.reduce((sum, event) => sum + event.events, 0);
    rows.push({ label: "events", value: count(number), bars: events });
  }
  const kinds = [...new Set(events.map(({ kind }) => kind))];
  return h("div", { class: "waterfall" },
    rows.map(({ label, value, bars }) => h("div", { class: "lane" },
      h("span", { class: "lane-name" }, label),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${ROW}`, preserveAspectRatio: "none", role: "img", "aria-label": `${label}: ${value}` },
        svg("rect", { x: 0, y: ROW - 1, width: WIDTH, height: 1, class: "floor" }),
        bars.map((bar) => svg("rect", { x: at(bar.from), y: (ROW - BAR) / 2 + BAR * (bar.top ?? 0), width: Math.max(at(bar.to) - at(bar.from), LEAST), height: BAR * (bar.height ?? 1), class: `bar ${bar.colour.slice(2)}` },
          svg("title", {}, bar.told ?? `${label}: ${value}`)))),
      h("span", { class: "lane-value" }, value))),
    h("div", { class: "lane scale", "aria-hidden": "true" }, h("span", {}), h("span", { class: "row ends" }, h("span", {}, "0"), h("span", {}, seconds((end - start) / 2)), h("span", {}, seconds(end - start))), h("span", {})),
    kinds.length ? h("p", { class: "legend small" }, kinds.map((kind) => h("span", { class: "key" }, swatch(kind), kind))) : null);
};

const swatch = (kind) => {
  const [colour, top, height] = KINDS[kind] ?? KINDS.other;
  return svg("svg", { width: 8, height: BAR, "aria-hidden": "true" }, svg("rect", { y: BAR * top, width: 8, height: BAR * height, class: `bar ${colour.slice(2)}` }));
};

const phasesOf = (call) => {
  const output = call.first_token ?? call.first_event ?? call.response_head;
  const last = call.last_token ?? call.response_end ?? call.ended;
  return [
    ["upload", call.request_start, call.request_end, "--s6"],
    ["wait", call.request_end, output, "--s7"],
    ["output", output, last, "--s1"],
    ["end", last, call.ended, "--s3"],
  ].filter(([, from, to]) => from != null && to != null && to >= from);
};

// `[wait, span, kind, events, bytes]` of each, times in microseconds; the first wait counts from the request's start.
const eventsOf = (call, timeline) => {
  const events = [];
  let clock = call.request_start;
  for (const [wait, span, kind, number, bytes] of timeline ?? []) {
    if (wait == null) clock = call.first_event ?? call.first_token;
    else if (clock != null) clock += wait / 1e6;
    if (clock == null) return [];
    const from = clock;
    clock += span / 1e6;
    const told = `${kind}: ${many(number, "event")}, ${many(bytes, "byte")}, after ${seconds((wait ?? 0) / 1e6)} of silence`;
    const [colour, top, height] = KINDS[kind] ?? KINDS.other;
    events.push({ from, to: clock, kind, events: number, told, colour, top, height });
  }
  return events;
};

// The marks themselves, with the time from the first.
export const marks = (call) => h("div", { class: "scroll" }, h("table", { class: "data" },
  h("thead", {}, h("tr", {}, ["mark", "time", "since the start"].map((title, place) => h("th", { scope: "col", class: place === 2 ? "n" : null }, title)))),
  h("tbody", {}, MARKS.filter((name) => call[name] != null).map((name) => h("tr", { "data-mark": name },
    h("td", {}, words(name)), h("td", {}, fineTime(call[name])), h("td", { class: "n" }, call.request_start == null ? "\u2013" : seconds(call[name] - call.request_start)))))));
