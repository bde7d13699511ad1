// Which calls: a list that can be ordered and paged, or a live tail that can be paused.

import { change, filters, here, link, question, shared } from "./address.js";
import { get } from "./api.js";
import { button, h, select } from "./dom.js";
import { follow } from "./feed.js";
import { rove, swap } from "./focus.js";
import { NOTHING, count, many, money, seconds, text, time, when } from "./format.js";
import { empty, loading } from "./states.js";
import { csvLink, line, renew } from "./table.js";

// Rows of a page.
const PAGE = 100;

// Rows of the tail; older ones go. More than a screen has, and few enough that all of them can be new at once without
// a frame being late.
const TAIL = 50;

const SORTS = [["time", "newest first"], ["elapsed", "longest first"], ["ttft", "slowest first token"], ["tpot", "slowest per token"],
  ["output_tokens", "most output"], ["input_tokens", "most input"], ["cost", "most expensive"]];

export const title = "Calls";

export const mount = (root) => here().parameters.get("live") === "1" ? tail(root) : list(root);

const bar = (live, ...rest) => h("div", { class: "row" },
  button(live ? "Live: on" : "Live: off", () => change({ live: live ? null : "1", sort: null }), { "aria-pressed": String(live), title: "Follow calls as they end", "data-key": "live" }),
  rest);

// The width of a column of the tail is that of its name's class: rows that come move nothing.
const widths = (columns) => h("colgroup", {}, columns.map(({ title: name }) => h("col", { class: `w-${name.replace(/\W+/g, "-")}` })));

const heads = (columns) => h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "n" : null }, column.title))));

const list = (root) => {
  const sort = here().parameters.get("sort") ?? "time";
  const shown = columns();
  const body = h("tbody");
  const roved = rove(body);
  const note = h("p", { class: "soft small", role: "status" });
  const place = h("div", { class: "card" }, loading("calls"));
  const more = button("Older calls", () => older());
  let next = null, paged = false, at = null;
  root.replaceChildren(h("div", { class: "stack" },
    bar(false,
      select("Order", SORTS, sort, (value) => change({ sort: value === "time" ? null : value })),
      h("span", { class: "end" }, csvLink("calls", question(sort === "time" ? {} : { sort })))),
    place));
  const read = async (cursor, signal) => {
    const page = await get("calls", question({ sort, limit: PAGE, cursor }), signal);
    next = page.next;
    more.hidden = !next;
    more.textContent = sort === "time" ? "Older calls" : "More calls";
    return page.calls;
  };
  const older = async () => {
    more.disabled = true;
    paged = true;
    try {
      const calls = await read(next);
      body.append(...calls.map((call) => line(shown, call)));
      roved();
      note.textContent = `${many(body.rows.length, "call")} shown.`;
    } catch (error) {
      note.textContent = error.message;
    }
    more.disabled = false;
  };
  const refresh = async ({ signal }) => {
    // Whoever reads on has a list that stands still.
    if (paged) return;
    const calls = await read(null, signal);
    if (!calls.length) {
      swap(place, empty("No call in this range", "Choose a longer one, or take a filter away.", button("Show all times", () => change({ from: "all", to: null }))));
      at = null;
      return;
    }
    const newest = calls.map(({ id }) => id).join();
    if (newest === at) return;
    at = newest;
    swap(body, ...calls.map((call) => line(shown, call)));
    roved();
    note.textContent = `${many(calls.length, "call")} shown.`;
    if (!body.isConnected) place.replaceChildren(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Calls" }, h("table", { class: "data calls" }, heads(shown), body)),
      h("div", { class: "row below" }, more, note));
  };
  return { refresh, every: 5000 };
};

const tail = (root) => {
  const shown = columns();
  const body = h("tbody");
  const roved = rove(body);
  const note = h("p", { class: "soft small", "data-note": "tail" }, NONE_YET);
  const stop = new AbortController();
  let waiting = [], paused = false, passed = 0, frame = null;
  const pauseButton = button("Pause", () => {
    paused = !paused;
    pauseButton.textContent = paused ? "Go on" : "Pause";
    pauseButton.setAttribute("aria-pressed", String(paused));
    draw();
  }, { "aria-pressed": "false", class: "pause", "data-key": "pause" });
  const open = h("section", { class: "card", hidden: true, "aria-label": "Under way" });
  const region = h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": "Live calls" }, h("table", { class: "data calls live" }, widths(shown), heads(shown), body));
  root.replaceChildren(h("div", { class: "stack" }, bar(true, pauseButton, note), open, region));
  body.addEventListener("keydown", (event) => event.key === "Escape" && region.focus({ preventScroll: true }));
  // Rows do not run away from the keyboard.
  const held = () => body.contains(document.activeElement);
  const draw = () => {
    frame = null;
    if (paused || held()) {
      note.textContent = `${paused ? "Paused" : "Held while a row has the focus (Escape lets go)"}: ${count(waiting.length)} newer wait${passed ? `, ${count(passed)} more were passed over` : ""}.`;
      return;
    }
    while (body.rows.length > TAIL - waiting.length) body.lastElementChild.remove();
    body.prepend(...waiting.map((call) => line(shown, call)));
    waiting = [];
    roved();
    note.textContent = body.rows.length
      ? `Follows calls as they end: the last ${count(body.rows.length)}${passed ? `; ${count(passed)} came too fast to be shown` : ""}.`
      : NONE_YET;
  };
  const soon = () => { frame ??= requestAnimationFrame(draw); };
  body.addEventListener("focusout", soon);
  const take = ({ calls, passed: more }) => {
    waiting = [...calls, ...waiting];
    passed += more + Math.max(0, waiting.length - TAIL);
    waiting.length = Math.min(waiting.length, TAIL);
    if (calls.length || !body.rows.length) soon();
  };
  const fail = (error) => { note.textContent = `${error.message}; asked again by itself.`; };
  follow(take, fail, stop.signal);
  const refresh = async ({ signal }) => {
    if (!paused) await underWay(open, signal);
  };
  return { refresh, close: () => { stop.abort(); cancelAnimationFrame(frame); }, every: 2000, always: true };
};

const NONE_YET = "No call yet: as soon as one ends, it is shown here.";

// Filters that a call has a value for while it is under way.
const KNOWN_EARLY = ["model", "operation", "client", "user", "key", "dialect", "stream", "server", "source"];

const underWay = async (place, signal) => {
  const parameters = new URLSearchParams(filters().filter(([name]) => KNOWN_EARLY.includes(name) || name.startsWith("label.")));
  const answer = await get("inflight", parameters, signal).catch((error) => {
    // Where nothing is captured, nothing is followed.
    if (error.kind === "unavailable") return { calls: [], left_out: 0 };
    throw error;
  });
  place.hidden = !answer.calls.length;
  const shown = answer.calls.slice(0, OPEN);
  renew(place, OPEN_COLUMNS, shown, { label: "Calls under way", heading: `${count(answer.calls.length)} under way` },
    shown.length < answer.calls.length || answer.left_out ? h("p", { class: "soft small" }, `The oldest ${count(shown.length)} are shown.`) : "");
};

// Rows of calls under way.
const OPEN = 20;

const OPEN_COLUMNS = [
  { title: "age", number: true, cell: (call) => seconds(call.age), value: (call) => call.age },
  { title: "model", name: true, cell: (call) => text(call.request_model ?? call.response_model), value: (call) => call.request_model ?? call.response_model },
  { title: "operation", cell: (call) => `${text(call.operation)}${call.stream ? ", stream" : ""}` },
  { title: "first token", number: true, cell: (call) => call.first_token == null ? "not yet" : call.ttft == null ? "seen" : seconds(call.ttft) },
  { title: "events", number: true, cell: (call) => count(call.events), value: (call) => call.events },
  { title: "client", cell: (call) => text(call.client ?? call.peer) },
  { title: "user", name: true, cell: (call) => text(call.user) },
];

export const outcome = (call) => call.outcome === "ok" ? "ok" : `${call.outcome}${call.status == null || call.status === 200 ? "" : ` ${call.status}`}`;

const columns = () => {
  const rest = shared();
  const open = (call) => {
    const ended = call.ended ?? call.request_start;
    return h("a", { href: link(`call/${call.id ?? call.call_key}`, rest), "data-key": call.call_key, title: time(ended) }, when(ended));
  };
  return [
    { title: "ended", cell: open },
    { title: "model", name: true, cell: (call) => text(call.request_model ?? call.response_model) },
    { title: "outcome", cell: outcome, mark: (call) => call.outcome === "ok" ? null : "bad" },
    { title: "input", number: true, cell: (call) => count(call.input_tokens) },
    { title: "output", number: true, cell: (call) => count(call.output_tokens) },
    { title: "first token", number: true, cell: (call) => seconds(call.ttft) },
    { title: "whole", number: true, cell: (call) => seconds(call.elapsed) },
    { title: "per token", number: true, cell: (call) => seconds(call.tpot) },
    { title: "operation", cell: (call) => `${text(call.operation)}${call.stream ? ", stream" : ""}` },
    { title: "client", cell: (call) => text(call.client ?? call.peer) },
    { title: "user", name: true, cell: (call) => text(call.user) },
    { title: "cost", number: true, cell: (call) => money(call.cost, call.currency) },
    { title: "losses", cell: (call) => call.confidence === "complete" ? "none" : call.confidence },
  ];
};
