// What was not seen, not kept, or is odd; and what is seen at all.

import { h } from "./dom.js";
import { swap } from "./focus.js";
import { bytes, count, span, words } from "./format.js";
import { isLoss, isTraffic } from "./health.js";
import { empty, loading } from "./states.js";
import { table } from "./table.js";

export const title = "Losses";

export const mount = (root) => {
  root.replaceChildren(loading("counters"));
  const refresh = async ({ status }) => {
    swap(root, h("div", { class: "stack" }, process(status), counters(status.losses.filter((loss) => !isTraffic(loss)))));
  };
  return { refresh, every: 5000, always: true };
};

const process = (status) => {
  const connections = Object.entries(status.connections).filter(([, n]) => n);
  const rows = [
    ["version", status.version],
    ["up for", span(status.uptime)],
    ["capture", [words(status.capture.state), status.capture.detail].filter(Boolean).join(": ")],
    ["packets", count(status.packets)],
    ["bytes", bytes(status.bytes)],
    ["connections", connections.map(([name, n]) => `${count(n)} ${words(name)}`).join(", ") || "none"],
    ["HTTP exchanges", Object.entries(status.exchanges).map(([name, n]) => `${count(n)} ${words(name)}`).join(", ") || "none"],
    ["rows", Object.entries(status.store.rows).filter(([, n]) => n).map(([name, n]) => `${count(n)} ${words(name)}`).join(", ") || "none"],
    ["rows that wait to be stored", count(status.store.queue_rows)],
    ["store", `${bytes(status.store.size_bytes)}${status.store.storing ? "" : ", failing"}`],
  ];
  return h("section", { class: "card stack tight" }, h("h2", {}, "The process"),
    h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
};

const counters = (losses) => {
  const shown = [
    { title: "counter", cell: ({ family }) => family, value: ({ family }) => family },
    { title: "reason", cell: ({ reason }) => words(reason), value: ({ reason }) => reason },
    { title: "count", number: true, cell: ({ count: n }) => count(n), value: ({ count: n }) => n },
    { title: "", cell: (loss) => isLoss(loss) ? "lost" : "odd" },
  ];
  return h("section", { class: "card stack tight" }, h("h2", {}, "Lost, left aside, or odd"),
    h("p", { class: "soft small" }, "Counted since the start of the process. A call that something of is missing says so in its own row."),
    losses.length ? table(shown, losses, { label: "Losses" }) : empty("Nothing", "Nothing that came was lost or left aside, and every row that was made was kept."));
};
