// What was said, as text: roles, tools, thoughts. Nothing of it is ever markup.

import { h } from "./dom.js";
import { bytes, count, many } from "./format.js";
import { ofAnswer, ofRequest, toolsOf } from "./messages.js";
import { values } from "./streamed.js";

// Characters of one part that are shown at once: more would make the page slow.
const SHOWN = 20_000;

export const conversation = (call, { request, response }) => {
  const asked = read(request), answered = read(response);
  const [body] = asked.values;
  const tools = toolsOf(body);
  const before = ofRequest(body), after = ofAnswer(answered.values);
  return [
    tools.length ? h("details", { class: "tools" }, h("summary", {}, `${many(tools.length, "tool")} on offer: ${tools.slice(0, 6).map(({ name }) => name).join(", ")}${tools.length > 6 ? " \u2026" : ""}`),
      tools.map(({ text }) => h("pre", {}, cut(text)))) : null,
    before.length || after.length ? h("ol", { class: "conversation" }, [...before, ...after].map(bubble))
      : h("p", { class: "soft" }, "No messages were found in the texts; they stand below as they are."),
    note(asked, "request"), note(answered, "answer"),
    raw("Request, as it is stored", request), raw("Answer, as it is stored", response),
  ];
};

const read = ({ head, tail, omitted }) => {
  const first = values(head);
  if (!omitted) return { ...first, omitted };
  const last = values(tail);
  return { values: [...first.values, ...last.values], left: first.left + last.left, omitted };
};

const note = ({ left, omitted }, of) => omitted || left ? h("p", { class: "warn small" },
  omitted ? `${bytes(omitted)} in the middle of the ${of} were not stored: what is shown has a hole there. ` : "",
  left ? `${count(left)} pieces of the ${of} could not be read.` : "") : null;

const TITLES = { reasoning: "thinks", refusal: "refuses", call: "calls", result: "result of", media: "attached", error: "error" };

const bubble = ({ role, parts }) => h("li", { class: `message ${known(role)}`, "data-role": role },
  h("span", { class: "role" }, role || "message"),
  parts.map(part));

const known = (role) => ["system", "user", "tool", "developer"].includes(role) ? role : /^(assistant|model)/.test(role) ? "assistant" : "other";

const part = ({ kind, text, name }) => {
  const content = h("div", { class: `part ${kind}`, "data-kind": kind },
    kind === "text" ? null : h("span", { class: "kind" }, [TITLES[kind] ?? kind, name].filter(Boolean).join(" ")),
    kind === "media" ? text : h("div", { class: kind === "call" || kind === "result" ? "said mono" : "said" }, cut(text)));
  if (kind !== "reasoning") return content;
  return h("details", { class: "thoughts", open: true }, h("summary", {}, "thinks"), content);
};

const cut = (text) => text.length > SHOWN ? `${text.slice(0, SHOWN)} [\u2026 ${count(text.length - SHOWN)} more characters]` : text;

const raw = (title, { head, tail, omitted }) => {
  const place = h("div");
  const details = h("details", { class: "raw", on: { toggle: () => {
    if (!details.open || place.firstChild) return;
    place.append(h("pre", {}, head || "(empty)"));
    if (omitted) place.append(h("p", { class: "warn small" }, `${bytes(omitted)} left out`), h("pre", {}, tail));
  } } }, h("summary", {}, title), place);
  return details;
};
