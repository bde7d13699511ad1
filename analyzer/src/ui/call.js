// One call: its clocks, its tokens, what was said, and what was lost.

import { here, link, shared } from "./address.js";
import { get } from "./api.js";
import { button, h } from "./dom.js";
import { outcome } from "./calls.js";
import { conversation } from "./conversation.js";
import { NOTHING, bytes, count, money, percent, rate, seconds, text, words } from "./format.js";
import { loading, unauthorised } from "./states.js";
import { marks, waterfall } from "./waterfall.js";

export const title = "Call";

export const mount = (root) => {
  const place = h("div", { class: "stack" }, loading("the call"));
  root.replaceChildren(place);
  const refresh = async ({ signal }) => {
    const { item } = here();
    const details = await get(`calls/${encodeURIComponent(item ?? "")}`, null, signal);
    place.replaceChildren(...parts(details, () => refresh({ signal })));
  };
  // A row never changes.
  return { refresh, every: 5000, once: true };
};

const parts = ({ call, timeline, losses, bodies }, again) => [
  head(call),
  card("Clocks", waterfall(call, timeline), facts(clockFacts(call)), h("details", {}, h("summary", {}, "Marks, as captured"), marks(call))),
  card("Tokens", tokens(call)),
  card("What was said", bodies ? conversation(call, bodies) : withoutBodies(again)),
  card("Whose, and where", facts(whose(call)), h("p", { class: "soft small" }, "Headers are not stored: of credentials a keyed hash alone is kept, and known secrets are taken out of texts.",
    call.redactions ? ` ${count(call.redactions)} were taken out of this call.` : "")),
  card("Losses", lossesOf(call, losses)),
  h("details", { class: "card" }, h("summary", {}, "All columns"), facts(Object.entries(call).filter(([, value]) => value != null && value !== "").map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]))),
];

const card = (name, ...content) => h("section", { class: "card stack tight", "aria-label": name }, h("h2", {}, name), content);

const head = (call) => h("div", { class: "row call-head" },
  h("a", { href: link("calls", shared()) }, "\u2190 Calls"),
  h("h1", {}, text(call.request_model ?? call.response_model)),
  h("span", { class: call.outcome === "ok" ? "good dot" : "bad dot", "data-fact": "outcome" }, outcome(call)),
  h("span", { class: "soft" }, [call.operation, call.stream ? "stream" : null, call.dialect, call.status].filter((part) => part != null).join(" \u00b7 ")),
  call.error_type || call.error_code ? h("span", { class: "bad" }, [call.error_type, call.error_code].filter(Boolean).join(" \u00b7 ")) : null);

const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value != null && value !== "" && value !== NOTHING).map(([name, value]) => h("div", {}, h("dt", {}, words(name)), h("dd", {}, value))));

const clockFacts = (call) => [
  ["whole call", seconds(call.elapsed)], ["upload", seconds(call.upload)], ["first token", seconds(call.ttft)], ["per output token", seconds(call.tpot)],
  ["tokens/s, in and out", call.tokens_per_second == null ? null : rate(call.tokens_per_second)],
  ["gap p50", seconds(call.gap_p50)], ["gap p95", seconds(call.gap_p95)], ["longest gap", seconds(call.gap_max)], ["stalls", call.stalls ? count(call.stalls) : null],
  ["worked for nobody", call.wasted ? seconds(call.wasted) : null],
  ["queue, says the server", seconds(call.server_queue)], ["prefill, says the server", seconds(call.server_prefill)], ["decode, says the server", seconds(call.server_decode)],
  ["load, says the server", seconds(call.server_load)], ["total, says the server", seconds(call.server_total)], ["retry after", seconds(call.retry_after)],
];

// Each figure beside what it rests on.
const tokens = (call) => {
  const side = (name) => ["input", "output"].includes(name) ? [
    call[`${name}_tokens`], call[`${name}_source`], call[`reported_${name}_tokens`], call[`counted_${name}_tokens`],
    name === "input" ? call.prompt_rule : call.output_rule,
  ] : null;
  const drift = ([, , reported, counted]) => reported && counted != null ? percent(counted / reported - 1) : NOTHING;
  const row = (name) => {
    const [n, source, reported, counted, rule] = side(name);
    return h("tr", { "data-side": name }, h("th", { scope: "row" }, name), [count(n), text(source), count(reported), count(counted), drift(side(name)), text(rule)]
      .map((value, place) => h("td", { class: [0, 2, 3, 4].includes(place) ? "n" : null }, value)));
  };
  const heads = ["", "tokens", "from", "reported", "counted", "drift", "rule"];
  return [
    h("div", { class: "scroll" }, h("table", { class: "data" },
      h("thead", {}, h("tr", {}, heads.map((name, place) => h("th", { scope: "col", class: [1, 3, 4, 5].includes(place) ? "n" : null }, name)))),
      h("tbody", {}, row("input"), row("output")))),
    facts([
      ["total", count(call.total_tokens)], ["cached", count(call.cached_tokens)], ["written to the cache", count(call.cache_write_tokens)], ["reasoning", count(call.reasoning_tokens)],
      ["audio", count(call.audio_tokens)], ["tokenizer", call.tokenizer && `${call.tokenizer}${call.tokenizer_fit ? ` (${call.tokenizer_fit})` : ""}`],
      ["cost", call.cost == null ? null : money(call.cost, call.currency)], ["not priced", call.unpriced && words(call.unpriced)],
      ["parts left out of the count", call.uncounted_parts ? count(call.uncounted_parts) : null], ["broke off", call.output_partial ? "yes" : null],
    ]),
  ];
};

const whose = (call) => [
  ["client", call.client], ["peer", call.peer], ["user", call.user], ["key (hash)", call.key], ["server", call.server],
  ["request", [call.method, call.path].filter(Boolean).join(" ")], ["user agent", call.user_agent], ["request id", call.request_id], ["server's request id", call.server_request_id],
  ["trace", call.trace_id], ["seen by", call.source], ["labels", call.labels && Object.entries(call.labels).map(([name, value]) => `${name}=${value}`).join(", ")],
  ["finish", call.finish_reasons?.join(", ")], ["max tokens", count(call.max_tokens)], ["temperature", call.temperature], ["messages", count(call.message_count)], ["tools on offer", count(call.tool_count)],
];

const lossesOf = (call, losses) => {
  const lost = [
    ["request bytes that were not seen", losses.missing_request_bytes && bytes(losses.missing_request_bytes)],
    ["answer bytes that were not seen", losses.missing_response_bytes && bytes(losses.missing_response_bytes)],
    ["seen, but not read to its end", losses.truncated ? "yes" : null],
    ["output broke off", losses.output_partial ? "yes" : null],
  ].filter(([, value]) => value);
  return lost.length || losses.confidence !== "complete"
    ? facts([["confidence", losses.confidence], ...lost])
    : h("p", { class: "good" }, "None: the row rests on all bytes of the call.");
};

const withoutBodies = (again) => {
  const place = h("div", {}, h("p", { class: "soft" }, "No text is shown: it is not stored (--bodies), too old (--keep-bodies), or its reader needs a token."));
  place.append(button("Enter a token", () => place.replaceChildren(unauthorised("Texts are shown to those who have the token.", again))));
  return place;
};
