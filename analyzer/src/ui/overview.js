// Is it healthy now, and what changed?

import { change, here, question } from "./address.js";
import { get } from "./api.js";
import { chart, per } from "./chart.js";
import { button, h, select } from "./dom.js";
import { swap } from "./focus.js";
import { count, seconds, short, words } from "./format.js";
import * as health from "./health.js";
import { empty, loading } from "./states.js";
import { csvLink } from "./table.js";

const SPLITS = [["", "all calls"], ...["model", "operation", "outcome", "client", "user", "key", "server"].map((name) => [name, `by ${name}`])];

// Lines that can be told apart.
const LINES = 6;

export const title = "Overview";

export const mount = (root) => {
  const strip = h("div", {}, loading("figures"));
  const charts = h("div", { class: "charts" });
  let drawn = [];
  const close = () => drawn.splice(0).forEach((figure) => figure.close());
  root.replaceChildren(h("div", { class: "stack" }, strip, controls(), charts));
  const refresh = async ({ status, signal }) => {
    const split = here().parameters.get("split") || null;
    const [now, series] = await Promise.all([
      health.ask(status, signal),
      get("timeseries", question({ group_by: split, limit: split ? LINES : null }), signal),
    ]);
    const before = wantsBefore() && !split ? await periodBefore(series, signal) : null;
    swap(strip, health.strip(now, series));
    if (!series.series.some(({ points }) => points.some(Boolean))) {
      close();
      swap(charts, nothing(status));
      return;
    }
    const figures = split ? bySplit(series, split) : whole(series, before);
    // Of the same lines the figures alone are new: cursor, focus and open tables stay.
    if (drawn.length === figures.length && drawn.every((one, place) => one.update(figures[place]))) return;
    close();
    drawn = figures.map(chart);
    swap(charts, ...drawn);
  };
  return { refresh, close, every: 5000 };
};

const wantsBefore = () => here().parameters.get("compare") === "before";

const controls = () => {
  const split = here().parameters.get("split") ?? "";
  const compare = button("Compare with the period before", () => change({ compare: wantsBefore() ? null : "before", split: null }), { "aria-pressed": String(wantsBefore()) });
  return h("div", { class: "row" },
    select("Lines", SPLITS, split, (value) => change({ split: value || null, compare: null })),
    compare,
    h("span", { class: "soft small" }, "Drag over a chart, or hold Shift and use the arrow keys, to choose a range."));
};

const nothing = (status) => {
  const all = button("Show all times", () => change({ from: "all", to: null }));
  const stored = status.calls.total.calls;
  return empty("No call in this range", stored
    ? `${count(stored)} calls were seen since the start of the process; they began at other times, or the filters leave them out.`
    : "As soon as one ends, it is shown here. Calls of other times are a click away; llmtap check tells whether traffic can be seen.", all);
};

// The same number of steps, right before.
const periodBefore = async ({ from, step, points }, signal) => {
  const width = points * step;
  const parameters = question({ from: String(from - width), to: String(from), step: String(step) });
  const answer = await get("timeseries", parameters, signal);
  return { parameters, points: answer.series[0]?.points ?? [] };
};

const timesOf = ({ from, step, points }) => Array.from({ length: points }, (_, place) => from + place * step);

const choose = (from, to) => change({ from: String(Math.floor(from)), to: String(Math.ceil(to)) });

// Where there was no call, there were 0 tokens, but no time to the first one.
const column = (points, length, get_, without) => Array.from({ length }, (_, place) => points[place] ? get_(points[place]) : without);

const whole = (answer, before) => {
  const times = timesOf(answer);
  const points = answer.series[0]?.points ?? [];
  const make = (name, figure, without) => ({
    name,
    values: column(points, times.length, figure, without),
    before: before && column(before.points, times.length, figure, without),
  });
  const common = { times, step: answer.step, choose, csv: () => [before && csvLink("timeseries", before.parameters, "CSV of before"), csvLink("timeseries", question({ step: answer.step }))] };
  return [
    { ...common, title: `Calls ${per(answer.step)}`, format: short, series: [make("calls", (p) => p.calls, 0), make("errors", (p) => p.errors, 0)] },
    { ...common, title: "Time to first token", format: seconds, series: ["p50", "p95", "p99"].map((name) => make(name, (p) => p.ttft[name], null)) },
    { ...common, title: `Output tokens ${per(answer.step)}`, format: short, series: [make("output", (p) => p.output_tokens, 0)] },
    { ...common, title: `Input tokens ${per(answer.step)}`, format: short, series: [make("input", (p) => p.input_tokens, 0), make("cached", (p) => p.cached_tokens, 0)] },
    { ...common, title: "Time per output token", format: seconds, series: ["p50", "p95"].map((name) => make(name, (p) => p.tpot[name], null)) },
    { ...common, title: "Whole call", format: seconds, series: ["p50", "p95", "p99"].map((name) => make(name, (p) => p.elapsed[name], null)) },
  ];
};

const bySplit = (answer, split) => {
  const times = timesOf(answer);
  const common = { times, step: answer.step, choose, csv: () => csvLink("timeseries", question({ group_by: split, limit: LINES, step: answer.step })) };
  const make = (figure, without) => answer.series.map((one) => ({
    name: one[split] ?? "~none",
    values: column(one.points, times.length, figure, without),
  }));
  const by = `by ${words(split)}`;
  return [
    { ...common, title: `Calls ${per(answer.step)}, ${by}`, format: short, series: make((p) => p.calls, 0) },
    { ...common, title: `Time to first token p95, ${by}`, format: seconds, series: make((p) => p.ttft.p95, null) },
    { ...common, title: `Output tokens ${per(answer.step)}, ${by}`, format: short, series: make((p) => p.output_tokens, 0) },
    { ...common, title: `Errors ${per(answer.step)}, ${by}`, format: short, series: make((p) => p.errors, 0) },
  ];
};

