// Who and what: calls, tokens and cost by one name, to be narrowed down by a click.

import { change, here, narrow, question } from "./address.js";
import { get } from "./api.js";
import { button, choice, h } from "./dom.js";
import { NOTHING, count, money, percent, seconds } from "./format.js";
import { empty, loading } from "./states.js";
import { csvLink, renew } from "./table.js";

const KEYS = ["model", "client", "user", "key", "operation", "outcome", "server"];

const LIMIT = 200;

export const title = "Who and what";

const key = () => {
  const asked = here().parameters.get("by");
  return KEYS.includes(asked) || asked?.startsWith("label.") ? asked : KEYS[0];
};

export const mount = (root) => {
  const by = key();
  const place = h("div", { class: "card" }, loading("figures"));
  root.replaceChildren(h("div", { class: "stack" },
    h("div", { class: "row" },
      choice("Grouped by", KEYS.map((name) => [name, name]), by, (value) => change({ by: value })),
      h("span", { class: "end" }, csvLink("summary", question({ group_by: by })))),
    place));
  const refresh = async ({ signal }) => {
    const answer = await get("summary", question({ group_by: by, limit: LIMIT }), signal);
    if (!answer.groups.length) {
      place.replaceChildren(empty("No call in this range", "Choose a longer one, or take a filter away.", button("Show all times", () => change({ from: "all", to: null }))));
      return;
    }
    const sum = answer.total;
    renew(place, columns(by), answer.groups, { label: `Calls by ${by}` },
      h("p", { class: "soft small total" }, `In all ${count(sum.calls)} calls, ${count(sum.errors)} of them not ok, ${count(sum.input_tokens)} input and ${count(sum.output_tokens)} output tokens`,
        sum.cost == null && sum.currency == null ? "" : `, ${money(sum.cost, sum.currency)}`,
        answer.folded ? `. ~other stands for ${count(answer.folded)} more groups.` : "."));
  };
  return { refresh, every: 5000 };
};

const name = (by, group) => {
  const value = group[by];
  if (value === "~other") return "~other";
  return button(value ?? "~none", () => narrow(by, value), { class: "plain", title: `${value ?? "none"}: show these alone` });
};

const figure = (title_, get_, format = count) => ({ title: title_, number: true, cell: (group) => format(get_(group)), value: get_ });

const columns = (by) => [
  { title: by, name: true, cell: (group) => name(by, group), value: (group) => group[by] },
  figure("calls", (group) => group.calls),
  { ...figure("not ok", (group) => group.errors), mark: (group) => group.errors ? "bad" : null },
  figure("of them", (group) => group.calls ? group.errors / group.calls : null, percent),
  figure("input tokens", (group) => group.input_tokens),
  figure("cached", (group) => group.cached_tokens),
  figure("output tokens", (group) => group.output_tokens),
  figure("reasoning", (group) => group.reasoning_tokens),
  { title: "cost", number: true, cell: (group) => group.currency == null ? NOTHING : money(group.cost, group.currency), value: (group) => group.cost },
  figure("first token p50", (group) => group.ttft.p50, seconds),
  figure("first token p95", (group) => group.ttft.p95, seconds),
  figure("per token p50", (group) => group.tpot.p50, seconds),
  figure("whole call p95", (group) => group.elapsed.p95, seconds),
];
