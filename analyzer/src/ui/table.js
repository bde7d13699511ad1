// Tables that can be sorted, and the numbers of a chart.

import { path, save } from "./api.js";
import { button, h } from "./dom.js";
import { swap } from "./focus.js";
import { token } from "./token.js";

// A column: `title`, `cell(row)` (text or an element), `number` (to the right), `value(row)` (to sort by), `name`
// (one long word, cut off where there is no room), `mark(row)` (a class).
export const table = (columns, rows, { label, sorted, none = "nothing" } = {}) => {
  let order = sorted ?? null;
  const body = h("tbody");
  const heads = columns.map((column) => h("th", { scope: "col", class: column.number ? "n" : null },
    column.value ? button(column.title, () => sort(column)) : column.title));
  const sort = (column) => {
    const descending = order?.column === column ? !order.descending : Boolean(column.number);
    order = { column, descending };
    draw();
  };
  const draw = () => {
    let shown = rows;
    if (order) {
      shown = [...rows].sort((a, b) => compare(order.column.value(a), order.column.value(b)));
      if (order.descending) shown.reverse();
    }
    columns.forEach((column, place) => {
      const direction = order?.column !== column ? null : order.descending ? "descending" : "ascending";
      if (direction) heads[place].setAttribute("aria-sort", direction);
      else heads[place].removeAttribute("aria-sort");
    });
    body.replaceChildren(...shown.map((row) => line(columns, row)));
    if (!rows.length) body.append(h("tr", {}, h("td", { colspan: columns.length, class: "soft" }, none)));
  };
  draw();
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", { class: "data" }, h("thead", {}, h("tr", {}, heads)), body));
};

// Puts a table where one was, in the order that was chosen there: `heading` stands above, `more` below.
export const renew = (place, columns, rows, { heading, ...options }, ...more) => {
  const was = place.querySelector("th[aria-sort]");
  const column = was && columns.find(({ title }) => title === was.textContent);
  const sorted = column ? { column, descending: was.getAttribute("aria-sort") === "descending" } : undefined;
  swap(place, heading ? h("h2", {}, heading) : "", table(columns, rows, { ...options, sorted }), ...more);
};

export const line = (columns, row) => h("tr", {}, columns.map((column) => {
  const classes = [column.number && "n", column.name && "name", column.mark?.(row)].filter(Boolean).join(" ");
  const cell = column.cell(row);
  return h("td", { class: classes || null, title: column.name && typeof cell === "string" ? cell : null }, cell);
}));

// Nothing comes first.
const compare = (a, b) => a == null ? (b == null ? 0 : -1) : b == null ? 1
  : typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

// The same numbers as a file.
export const csvLink = (endpoint, parameters, text = "CSV") => {
  const address = path(`${endpoint}.csv`, parameters);
  const name = `llmtap-${endpoint}.csv`;
  return h("a", { href: address, download: name, class: "csv", on: { click: (event) => {
    if (!token()) return;
    event.preventDefault();
    save(address, name).catch((error) => alert(error.message));
  } } }, text);
};

// Numbers that open below a chart, beside links to them as files: `fill(place)` makes them when they are looked at. The
// element's `renew(files)` is called when they are others.
export const numbers = (fill, files) => {
  const place = h("div"), links = h("span", { class: "row" }, files);
  const details = h("details", { class: "numbers", on: { toggle: () => details.open && fill(place) } }, h("summary", {}, "Numbers"), place);
  const row = h("div", { class: "row below" }, details, links);
  row.renew = (others) => {
    swap(links, ...[others].flat().filter(Boolean));
    if (details.open) fill(place);
  };
  return row;
};
