// Lines over time, by uPlot: a cursor that all charts share, a range that is chosen by dragging, the period before as
// thin lines, and the numbers as a table.

import { colour, h } from "./dom.js";
import { numbers, table } from "./table.js";
import { clock, span, time } from "./format.js";

const HEIGHT = 180;

const COLOURS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7"];

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4], [3, 6]];

const BEFORE_DASH = [2, 4];

// `series`: `{ name, values, before }`, one value a time. `format` makes text of a value, `csv()` makes a link, and
// `choose(from, to)` is told what was dragged over. The element has `close`.
export const chart = ({ title, times, step, series, format, csv, choose, columns }) => {
  const canvas = h("div", { class: "plot", tabindex: 0, role: "img", "aria-label": `${title}, over time. The numbers are in the table below. Arrow keys move the cursor.` });
  const lines = series.flatMap((one, place) => drawn(one, place, format));
  const data = [times, ...series.flatMap(({ values, before }) => before ? [values, before] : [values])];
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const options = {
    width: 400,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "all" }, points: { size: 7 } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] } },
    axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map((tick, place) => moment(tick, ticks[place - 1], step)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) }],
    series: [{ label: "time", value: (_, s) => s == null ? "\u2013" : step >= 86400 ? time(s).slice(0, 10) : step >= 3600 ? time(s).slice(0, 16) : clock(s) }, ...lines],
    hooks: { setSelect: [(plot) => {
      const { left, width } = plot.select;
      if (width < 4) return;
      const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      choose?.(from, to);
    }] },
  };
  const plot = new globalThis.uPlot(options, data, canvas);
  const resized = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 50 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  });
  resized.observe(canvas);
  canvas.addEventListener("keydown", (event) => move(plot, event));
  const figure = h("figure", { class: "card chart" },
    h("figcaption", {}, h("h2", {}, title)),
    canvas,
    numbers(() => table(columns ?? numberColumns(series, format), times.map((t, place) => ({ t, place })), { label: `${title}: numbers` }), csv()));
  figure.close = () => {
    resized.disconnect();
    plot.destroy();
  };
  return figure;
};

// 14:05, with the day where that is another one, and seconds where they tell ticks apart.
const moment = (tick, before, step) => {
  const text = time(tick);
  const day = before == null || time(before).slice(0, 10) !== text.slice(0, 10);
  const clock_ = text.slice(11, step < 60 ? 19 : 16);
  return step >= 86400 ? text.slice(0, 10) : day ? `${clock_}\n${text.slice(0, 10)}` : clock_;
};

const drawn = ({ name, values, before }, place, format) => {
  const stroke = colour(COLOURS[place % COLOURS.length]);
  // A value without neighbours makes no line.
  const alone = (_, series, shown) => shown && (values.length < 40 || isSparse(values));
  const value = (_, v) => format(v);
  const line = { label: name, stroke, width: 2, dash: DASHES[place % DASHES.length], value, points: { show: alone, size: 5, fill: stroke }, spanGaps: false };
  if (!before) return [line];
  return [line, { label: `${name}, before`, stroke, width: 1, dash: BEFORE_DASH, alpha: .65, value, points: { show: isSparse(before), size: 3 }, spanGaps: false }];
};

const isSparse = (values) => values.filter((v) => v != null).length < values.length / 2;

const numberColumns = (series, format) => [
  { title: "from", cell: ({ t }) => time(t), value: ({ t }) => t },
  ...series.flatMap(({ name, values, before }) => [
    { title: name, number: true, cell: ({ place }) => format(values[place]), value: ({ place }) => values[place] },
    ...(before ? [{ title: `${name}, before`, number: true, cell: ({ place }) => format(before[place]), value: ({ place }) => before[place] }] : []),
  ]),
];

const move = (plot, event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!steps) return;
  event.preventDefault();
  const times = plot.data[0];
  const place = Math.max(0, Math.min(times.length - 1, (plot.cursor.idx ?? (steps > 0 ? -1 : times.length)) + steps));
  plot.setCursor({ left: plot.valToPos(times[place], "x"), top: HEIGHT / 3 });
};

// "per 1 min"
export const per = (step) => `per ${span(step)}`;
