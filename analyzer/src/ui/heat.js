// How values are spread over time: first tokens and the length of answers.

import { change, here, question } from "./address.js";
import { get } from "./api.js";
import { button, choice, colour, h } from "./dom.js";
import { swap } from "./focus.js";
import { count, many, seconds, span, time } from "./format.js";
import { empty, loading } from "./states.js";
import { numbers, renew } from "./table.js";

const KINDS = { ttft: ["Time to first token", seconds], output_tokens: ["Output tokens", count], elapsed: ["Whole call", seconds], tpot: ["Time per output token", seconds], input_tokens: ["Input tokens", count] };

const USUAL = ["ttft", "output_tokens"];

const ROW = 13, LEFT = 74, BOTTOM = 22;

export const title = "Heat maps";

export const mount = (root) => {
  const asked = here().parameters.get("of");
  const kinds = KINDS[asked] ? [asked] : USUAL;
  const places = kinds.map((kind) => h("section", { class: "card", "data-heat": kind }, h("h2", {}, KINDS[kind][0]), loading("values")));
  root.replaceChildren(h("div", { class: "stack" },
    h("div", { class: "row" },
      choice("Values", [["both", "first token and output"], ...Object.entries(KINDS).map(([kind, [name]]) => [kind, name.toLowerCase()])],
        KINDS[asked] ? asked : "both", (value) => change({ of: value === "both" ? null : value })),
      h("span", { class: "soft small" }, "The stronger the colour, the more calls, by their logarithm. A click on a cell, or Enter, shows its time.")),
    places));
  const maps = [];
  const close = () => maps.splice(0).forEach((map) => map.close());
  const refresh = async ({ signal }) => {
    const answers = await Promise.all(kinds.map((kind) => get("heatmap", question({ of: kind }), signal)));
    // Whoever reads in it has a map that stands still.
    if (root.querySelector("details[open], canvas:focus")) return;
    close();
    answers.forEach((answer, place) => {
      const map = answer.counts.some((row) => row.some(Boolean)) ? heatMap(answer) : empty("No value in this range",
        "Choose a longer one, or take a filter away. Only streams have a first token.", button("Show all times", () => change({ from: "all", to: null })));
      if (map.close) maps.push(map);
      swap(places[place], h("h2", {}, KINDS[kinds[place]][0]), map);
    });
  };
  return { refresh, close, every: 10_000 };
};

const heatMap = (answer) => {
  const [name, format] = KINDS[answer.of];
  const { counts, bounds, from, step } = answer;
  const most = Math.max(...counts.map((row) => Math.max(...row)));
  const canvas = h("canvas", { tabindex: 0, role: "group", "aria-roledescription": "heat map",
    "aria-label": `${name} over time. Arrow keys go from cell to cell, Enter shows a cell's time. The numbers are in the table below.` });
  const told = h("p", { class: "soft small told", role: "status" }, "\u00a0");
  const mark = h("div", { class: "cell", hidden: true });
  const height = Math.max(bounds.length * ROW, 60) + BOTTOM;
  const frame = h("div", { class: "heat" }, canvas, mark);
  frame.style.height = `${height}px`;
  let cells = null;
  const paint = (width) => { cells = draw(canvas, answer, { width, height, most, format }); };
  const resized = new ResizeObserver(([entry]) => paint(Math.floor(entry.contentRect.width)));
  resized.observe(frame);
  const under = (event) => {
    const x = Math.floor((event.offsetX - LEFT) / cells.wide), y = Math.floor(event.offsetY / cells.high);
    const row = bounds.length - 1 - y;
    return counts[x]?.[row] != null ? { x, row } : null;
  };
  let at = null;
  const look = (cell) => {
    at = cell;
    told.textContent = at ? `${time(from + at.x * step)}, ${between(bounds, at.row, format)}: ${many(counts[at.x][at.row], "call")}` : "\u00a0";
    mark.hidden = !at;
    if (!at) return;
    const place = { left: LEFT + at.x * cells.wide, top: (bounds.length - 1 - at.row) * cells.high, width: cells.wide, height: cells.high };
    for (const [side, length] of Object.entries(place)) mark.style[side] = `${length}px`;
  };
  const show = () => {
    if (at && step > 1) change({ from: String(from + at.x * step), to: String(from + (at.x + 1) * step) });
  };
  canvas.addEventListener("pointermove", (event) => cells && look(under(event)));
  canvas.addEventListener("pointerleave", () => look(null));
  canvas.addEventListener("click", (event) => {
    if (cells) look(under(event));
    show();
  });
  canvas.addEventListener("blur", () => look(null));
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
    if (x != null && cells) {
      event.preventDefault();
      const within = (n, end) => Math.max(0, Math.min(end - 1, n));
      // From nowhere, to the newest of the least values.
      look(at ? { x: within(at.x + x, counts.length), row: within(at.row + y, bounds.length) } : { x: counts.length - 1, row: 0 });
    } else if (event.key === "Enter") show();
    else if (event.key === "Escape") look(null);
  });
  const rows = counts.flatMap((row, x) => row.map((n, place) => ({ n, x, place }))).filter(({ n }) => n);
  const columns = [
    { title: "from", cell: ({ x }) => time(from + x * step), value: ({ x }) => x },
    { title: name.toLowerCase(), cell: ({ place }) => between(bounds, place, format), value: ({ place }) => place },
    { title: "calls", number: true, cell: ({ n }) => count(n), value: ({ n }) => n },
  ];
  const map = h("div", {}, frame, told, h("p", { class: "row soft small" }, `A column is ${span(step)}.`, h("span", { class: "ramp" }, "1 call", h("span", {}), many(most, "call"))),
    numbers((place) => renew(place, columns, rows, { label: `${name}: numbers` }), csv(answer, rows)));
  map.close = () => resized.disconnect();
  return map;
};

// The heat map has no CSV of the server's: the numbers that are shown make one.
const csv = ({ of, from, step, bounds }, rows) => h("button", { type: "button", class: "plain csv", on: { click: () => {
  const lines = [`time,above,up_to,calls`, ...rows.map(({ n, x, place }) => [from + x * step, place ? bounds[place - 1] : "", bounds[place], n].join(","))];
  const content = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  h("a", { href: content, download: `llmtap-heatmap-${of}.csv` }).click();
  URL.revokeObjectURL(content);
} } }, "CSV");

const between = (bounds, row, format) => row ? `${format(bounds[row - 1])} \u2013 ${format(bounds[row])}` : `up to ${format(bounds[0])}`;

const draw = (canvas, { counts, bounds, from, step }, { width, height, most, format }) => {
  const sharp = devicePixelRatio || 1;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const paint = canvas.getContext("2d");
  paint.scale(sharp, sharp);
  paint.font = "11px system-ui, sans-serif";
  const wide = (width - LEFT) / counts.length, high = (height - BOTTOM) / bounds.length;
  const base = colour("--heat");
  counts.forEach((column, x) => column.forEach((n, row) => {
    const shade = n ? .15 + .85 * Math.log(1 + n) / Math.log(1 + most) : .03;
    paint.fillStyle = `rgba(${base}, ${shade.toFixed(3)})`;
    paint.fillRect(LEFT + x * wide, (bounds.length - 1 - row) * high, Math.max(wide - 1, 1), high - 1);
  }));
  paint.fillStyle = colour("--soft");
  paint.textAlign = "right";
  const every = Math.ceil(14 / high);
  bounds.forEach((bound, row) => {
    if (row % every === 0) paint.fillText(format(bound), LEFT - 6, (bounds.length - row) * high - 2);
  });
  const labels = Math.max(1, Math.floor((width - LEFT) / 110));
  const last = counts.length - 1;
  for (let place = 0; place <= labels && last; place += 1) {
    const x = Math.round(place * last / labels);
    paint.textAlign = place === 0 ? "left" : place === labels ? "right" : "center";
    const text = step < 86400 && counts.length * step < 2 * 86400 ? time(from + x * step).slice(11, step < 60 ? 19 : 16) : time(from + x * step).slice(5, 16);
    paint.fillText(text, LEFT + (x + .5) * wide + (place === 0 ? -wide / 2 : place === labels ? wide / 2 : 0), height - 6);
  }
  return { wide, high };
};
