// Which calls: a list that can be ordered and paged, or a live tail that can be paused.

import { change, filters, here, link, question, shared } from "./address.js";
import { get } from "./api.js";
import { button, h, select } from "./dom.js";
import { follow } from "./feed.js";
import { NOTHING, count, money, rate, seconds, text, time } from "./format.js";
import { empty, loading } from "./states.js";
import { csvLink, line, table } from "./table.js";

// Rows of a page.
const PAGE = 100;

// Rows of the tail; older ones go.
const TAIL = 200;

const SORTS = [["time", "newest first"], ["elapsed", "longest first"], ["ttft", "slowest first token"], ["tpot", "slowest per token"],
  ["output_tokens", "most output"], ["input_tokens", "most input"], ["cost", "most expensive"]];

export const title = "Calls";

export const mount = (root) => here().parameters.get("live") === "1" ? tail(root) : list(root);

const bar = (live, ...rest) => h("div", { class: "row" },
  button(live ? "Live: on" : "Live: off", () => change({ live: live ? null : "1", sort: null }), { "aria-pressed": String(live), title: "Follow calls as they end" }),
  rest);

const heads = (columns) => h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "n" : null }, column.title))));

const list = (root) => {
  const sort = here().parameters.get("sort") ?? "time";
  const shown = columns();
  const body = h("tbody");
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
      note.textContent = `${count(body.rows.length)} calls shown.`;
    } catch (error) {
      note.textContent = error.message;
    }
    more.disabled = false;
  };
  const refresh = async ({ signal }) => {
    // Whoever reads on has a list that stands still.
    if (paged || place.contains(document.activeElement)) return;
    const calls = await read(null, signal);
    if (!calls.length) {
      place.replaceChildren(empty("No call in this range", "Choose a longer one, or take a filter away.", button("Show all times", () => change({ from: "all", to: null }))));
      at = null;
      return;
    }
    const newest = calls.map(({ id }) => id).join();
    if (newest === at) return;
    at = newest;
    body.replaceChildren(...calls.map((call) => line(shown, call)));
    note.textContent = `${count(calls.length)} calls shown.`;
    place.replaceChildren(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Calls" }, h("table", { class: "data calls" }, heads(shown), body)),
      h("div", { class: "row below" }, more, note));
  };
  return { refresh, every: 5000 };
};

const tail = (root) => {
  const shown = columns();
  const body = h("tbody");
  const note = h("p", { class: "soft small", role: "status" }, "Waiting for calls \u2026");
  const stop = new AbortController();
  let waiting = [], paused = false, passed = 0;
  const pauseButton = button("Pause", () => {
    paused = !paused;
    pauseButton.textContent = paused ? "Go on" : "Pause";
    pauseButton.setAttribute("aria-pressed", String(paused));
    draw();
  }, { "aria-pressed": "false" });
  const open = h("section", { class: "card", hidden: true, "aria-label": "Calls under way" });
  root.replaceChildren(h("div", { class: "stack" }, bar(true, pauseButton, note), open,
    h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": "Live calls" }, h("table", { class: "data calls" }, heads(shown), body))));
  const draw = () => {
    if (paused) {
      note.textContent = `Paused: ${count(waiting.length)} newer calls wait${passed ? `, ${count(passed)} more were passed over` : ""}.`;
      return;
    }
    body.prepend(...waiting.map((call) => line(shown, call)));
    while (body.rows.length > TAIL) body.lastElementChild.remove();
    waiting = [];
    note.textContent = body.rows.length
      ? `Follows calls as they end: the last ${count(body.rows.length)}${passed ? `; ${count(passed)} came too fast to be shown` : ""}.`
      : "No call yet: as soon as one ends, it is shown here.";
  };
  const take = ({ calls, passed: more }) => {
    waiting = [...calls, ...waiting];
    passed += more + Math.max(0, waiting.length - TAIL);
    waiting.length = Math.min(waiting.length, TAIL);
    if (calls.length || !body.rows.length) draw();
  };
  const fail = (error) => { note.textContent = `${error.message}; asked again by itself.`; };
  follow(take, fail, stop.signal);
  const refresh = async ({ signal }) => {
    if (!paused) await underWay(open, signal);
  };
  return { refresh, close: () => stop.abort(), every: 2000 };
};

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
  place.replaceChildren(h("h2", {}, `${count(answer.calls.length)} under way`),
    table(OPEN_COLUMNS, shown, { label: "Calls under way" }),
    shown.length < answer.calls.length || answer.left_out ? h("p", { class: "soft small" }, `The oldest ${count(shown.length)} are shown.`) : "");
};

// Rows of calls under way.
const OPEN = 20;

const OPEN_COLUMNS = [
  { title: "age", number: true, cell: (call) => seconds(call.age), value: (call) => call.age },
  { title: "model", name: true, cell: (call) => text(call.request_model ?? call.response_model) },
  { title: "operation", cell: (call) => `${text(call.operation)}${call.stream ? ", stream" : ""}` },
  { title: "first token", number: true, cell: (call) => call.first_token == null ? "not yet" : call.request_start == null ? "seen" : seconds(call.first_token - call.request_start) },
  { title: "client", cell: (call) => text(call.client ?? call.peer) },
  { title: "user", name: true, cell: (call) => text(call.user) },
];

export const outcome = (call) => call.outcome === "ok" ? "ok" : `${call.outcome}${call.status == null || call.status === 200 ? "" : ` ${call.status}`}`;

const columns = () => {
  const rest = shared();
  const open = (call) => h("a", { href: link(`call/${call.id}`, rest) }, time(call.ended ?? call.request_start));
  return [
    { title: "ended", cell: open },
    { title: "model", name: true, cell: (call) => text(call.request_model ?? call.response_model) },
    { title: "operation", cell: (call) => `${text(call.operation)}${call.stream ? ", stream" : ""}` },
    { title: "outcome", cell: outcome, mark: (call) => call.outcome === "ok" ? null : "bad" },
    { title: "input", number: true, cell: (call) => count(call.input_tokens) },
    { title: "output", number: true, cell: (call) => count(call.output_tokens) },
    { title: "first token", number: true, cell: (call) => seconds(call.ttft) },
    { title: "whole", number: true, cell: (call) => seconds(call.elapsed) },
    { title: "tokens/s", number: true, cell: (call) => call.tokens_per_second == null ? NOTHING : rate(call.tokens_per_second) },
    { title: "cost", number: true, cell: (call) => money(call.cost, call.currency) },
    { title: "client", cell: (call) => text(call.client ?? call.peer) },
    { title: "user", name: true, cell: (call) => text(call.user) },
    { title: "losses", cell: (call) => call.confidence === "complete" ? "" : call.confidence },
  ];
};
