// Lines over time, by uPlot: a cursor that all charts share, a range that is chosen by dragging or by the keyboard, the
// period before as thin lines, and the numbers as a table.

import { colour, h, svg } from "./dom.js";
import { numbers, renew } from "./table.js";
import { clock, span, time } from "./format.js";

const HEIGHT = 180;

const COLOURS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7"];

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4], [3, 6]];

const BEFORE_DASH = [2, 4];

// `series`: `{ name, values, before }`, one value a time. `format` makes text of a value, `csv()` makes links, and
// `choose(from, to)` is told what range was chosen. The element has `update(other)`, which takes figures of the same
// lines and says whether it could, and `close`.
export const chart = (first) => {
  let now = first;
  const { choose } = first;
  const heading = h("h2", {}, now.title);
  const told = h("p", { class: "unseen", role: "status" });
  const canvas = h("div", { class: "plot", tabindex: 0, role: "group", "aria-roledescription": "chart", "data-key": "plot",
    "aria-label": `${now.title}, over time. Left and right move the cursor; with Shift they choose a range, which Enter shows. The numbers are in the table below.` });
  const plot = new globalThis.uPlot(options(first, () => now), dataOf(first), canvas);
  const resized = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 50 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  });
  resized.observe(canvas);
  operate(canvas, plot, (from, to) => choose(from, to + now.step), (place) => { told.textContent = spoken(now, place); });
  for (const line of [...canvas.querySelectorAll(".u-series th")].slice(1)) toggle(line);
  const fill = (place) => renew(place, columns(now), now.times.map((t, place_) => ({ t, place: place_ })), { label: `${now.title}: numbers` });
  const below = numbers(fill, first.csv());
  const figure = h("figure", { class: "card chart", "aria-label": now.title.replace(/ per \d.*?(,|$)/, "$1") },
    h("figcaption", {}, heading), canvas, told, below);
  figure.update = (other) => {
    if (shapeOf(other) !== shapeOf(now)) return false;
    now = other;
    heading.textContent = now.title;
    plot.setData(dataOf(now));
    below.renew(now.csv());
    return true;
  };
  figure.close = () => {
    resized.disconnect();
    plot.destroy();
  };
  return figure;
};

const shapeOf = ({ series }) => JSON.stringify(series.map(({ name, before }) => [name, Boolean(before)]));

const dataOf = ({ times, series }) => [times, ...series.flatMap(({ values, before }) => before ? [values, before] : [values])];

const options = ({ series, format, choose }, now) => {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const step = () => now().step;
  return {
    width: 400,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "all" }, points: { size: 7 } },
    legend: { live: true, markers: { show: false } },
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] } },
    axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map((tick, place) => moment(tick, ticks[place - 1], step())) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) }],
    series: [{ label: "", value: (_, s) => s == null ? "" : told(s, step()) }, ...series.flatMap((one, place) => drawn(one, place, format))],
    hooks: { setSelect: [(plot) => {
      const { left, width } = plot.select;
      if (width < 4) return;
      const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
      plot.setSelect(NO_RANGE, false);
      choose(from, to);
    }] },
  };
};

const NO_RANGE = { left: 0, width: 0, top: 0, height: 0 };

const told = (s, step) => step >= 86400 ? time(s).slice(0, 10) : step >= 3600 ? time(s).slice(0, 16) : clock(s);

// 14:05, with the day where that is another one, and seconds where they tell ticks apart.
const moment = (tick, before, step) => {
  const text = time(tick);
  const day = before == null || time(before).slice(0, 10) !== text.slice(0, 10);
  const clock_ = text.slice(11, step < 60 ? 19 : 16);
  return step >= 86400 ? text.slice(0, 10) : day ? `${clock_}\n${text.slice(0, 10)}` : clock_;
};

const drawn = ({ name, before }, place, format) => {
  const stroke = colour(COLOURS[place % COLOURS.length]);
  // A value without neighbours makes no line.
  const alone = (plot, line, shown) => shown && (plot.data[line].length < 40 || isSparse(plot.data[line]));
  // Nothing stands there while there is no cursor.
  const value = (_, v, line, at) => at == null ? "" : format(v);
  const line = (label, width, dash, more) => ({ label: sample(label, COLOURS[place % COLOURS.length], width, dash), stroke, width, dash, value, points: { show: alone, size: 5, fill: stroke }, spanGaps: false, ...more });
  const own = line(name, 2, DASHES[place % DASHES.length]);
  return before ? [own, line(`${name}, before`, 1.5, BEFORE_DASH, { alpha: .85 })] : [own];
};

// A line's name beside a piece of it, so that colours alone tell no lines apart.
const sample = (name, colour_, width, dash) => h("span", { class: "sample" },
  svg("svg", { width: 26, height: 8, "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, class: `line ${colour_.slice(2)}`, "stroke-width": width, "stroke-dasharray": dash.join(" ") || null })),
  h("span", {}, name));

const isSparse = (values) => values.filter((v) => v != null).length < values.length / 2;

// uPlot hides and shows a line by a click on its name: so do Enter and Space.
const toggle = (name) => {
  const tell = () => name.setAttribute("aria-pressed", String(!name.parentElement.classList.contains("u-off")));
  for (const [attribute, value] of [["tabindex", "0"], ["role", "button"], ["title", "Hide or show this line"]]) name.setAttribute(attribute, value);
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    name.click();
  });
  name.addEventListener("click", tell);
  tell();
};

const columns = ({ series, format }) => [
  { title: "from", cell: ({ t }) => time(t), value: ({ t }) => t },
  ...series.flatMap(({ name, values, before }) => [
    { title: name, number: true, cell: ({ place }) => format(values[place]), value: ({ place }) => values[place] },
    ...(before ? [{ title: `${name}, before`, number: true, cell: ({ place }) => format(before[place]), value: ({ place }) => before[place] }] : []),
  ]),
];

const spoken = ({ times, step, series, format }, place) => place == null ? ""
  : `${told(times[place], step)}: ${series.map(({ name, values }) => `${name} ${format(values[place])}`).join(", ")}`;

// What the mouse can do, by the keyboard: a cursor, and a range from where Shift was first held to the cursor.
const operate = (canvas, plot, choose, tell) => {
  let anchor = null;
  const select = (at) => {
    const [left, right] = [Math.min(anchor, at), Math.max(anchor, at)].map((place) => plot.valToPos(plot.data[0][place], "x"));
    plot.setSelect({ left, width: Math.max(right - left, 2), top: 0, height: plot.over.clientHeight }, false);
  };
  const clear = () => {
    anchor = null;
    plot.setSelect(NO_RANGE, false);
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.target !== canvas) return;
    const times = plot.data[0], last = times.length - 1, at = plot.cursor.idx;
    const to = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last }[event.key];
    if (to != null) {
      event.preventDefault();
      const place = Math.max(0, Math.min(last, to));
      if (!event.shiftKey) clear();
      else anchor ??= at ?? place;
      plot.setCursor({ left: plot.valToPos(times[place], "x"), top: HEIGHT / 3 });
      if (anchor != null) select(place);
      tell(place);
    } else if (event.key === "Enter" && at != null) {
      const [from, until] = [Math.min(anchor ?? at, at), Math.max(anchor ?? at, at)].map((place) => times[place]);
      clear();
      choose(from, until);
    } else if (event.key === "Escape") {
      clear();
      plot.setCursor({ left: -10, top: -10 });
      tell(null);
    }
  });
  canvas.addEventListener("blur", clear);
};

// "per 1 min"
export const per = (step) => `per ${span(step)}`;
