// Is it healthy now? One row of figures, all of one window of time.

import { filters, isMoving, link, question, range, shared } from "./address.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import { count, many, percent, rate, seconds, short, span } from "./format.js";

// What "now" is: long enough for a percentile, short enough to be now.
const WINDOW = 300;

// The answers that the strip shows: a summary, and the state of the process.
export const ask = async (status, signal) => {
  const now = isMoving();
  const more = now ? { from: `-${WINDOW}s` } : {};
  const summary = await get("summary", question(more), signal);
  return { summary: summary.total, window: now ? WINDOW : widthOf(summary), now, status };
};

const widthOf = ({ from, to }) => from != null && to != null ? to - from : null;

// `calls`: the first and the last time that there are calls, where the range itself has no bounds.
export const strip = ({ summary, window, now, status }, series) => {
  const seconds_ = window ?? (series ? series.points * series.step : null);
  const perSecond = (n) => seconds_ ? n / seconds_ : null;
  const errors = summary.calls ? summary.errors / summary.calls : null;
  const lost = status.losses.filter((loss) => isLoss(loss) && !isBytes(loss)).reduce((sum, loss) => sum + loss.count, 0);
  const when = now ? `calls that began in the last ${span(WINDOW)} and have ended`
    : range().from === "all" && !range().to ? "all calls" : "the range above";
  return h("section", { "aria-label": "Health" },
    h("dl", { class: "strip" },
      tile("calls/s", rate(perSecond(summary.calls)), many(summary.calls, "call"), "calls"),
      tile("in flight", count(status.in_flight), "now", "in_flight", null, link("calls", also({ live: "1" }))),
      tile("errors", percent(errors), `${count(summary.errors)} of ${count(summary.calls)}`, "errors", errors > .05 ? "bad" : errors > 0 ? "warn" : null, link("calls", also({ outcome: "!ok" }))),
      tile("first token p50", seconds(summary.ttft.p50), many(summary.ttft.count, "stream"), "ttft_p50"),
      tile("first token p95", seconds(summary.ttft.p95), "5 % take longer", "ttft_p95"),
      tile("first token p99", seconds(summary.ttft.p99), "1 % take longer", "ttft_p99"),
      tile("output tokens/s", rate(perSecond(summary.output_tokens)), `${short(summary.output_tokens)} in all`, "output_rate"),
      tile("capture losses", count(lost), lost ? "since the start" : "none", "losses", lost ? "warn" : "good", "#/losses")),
    h("p", { class: "soft small" }, `Of ${when}${filters().length ? ", filtered" : ""}. In flight and losses are those of the process.`));
};

const also = (more) => {
  const parameters = shared();
  for (const [name, value] of Object.entries(more)) parameters.set(name, value);
  return parameters;
};

// Counters that say that something was not seen or not kept; others tell what is odd, and lost nothing.
export const isLoss = ({ family, reason }) => /dropped|shed/.test(family) || /gap|lost|missing|evict|cut_/.test(reason);

// Bytes are no number of losses: the holes that they make up are counted beside them.
const isBytes = ({ reason }) => /bytes|^missing_/.test(reason);

// How much came, which a replay counts among what it met.
const TRAFFIC = ["packets", "segments", "payload_bytes", "handed_on_bytes", "connections", "opened", "closed", "open_at_end", "body_bytes", "head_bytes",
  "framing_bytes", "connections_http1", "exchanges", "requests", "responses", "calls"];

export const isTraffic = ({ reason }) => TRAFFIC.includes(reason);

const tile = (name, value, note, key, mark, href) => h("div", { class: "tile", "data-figure": key },
  h("dt", {}, href ? h("a", { href }, name) : name),
  h("dd", { class: mark ?? null }, value),
  note ? h("dd", { class: "note" }, note) : null);
