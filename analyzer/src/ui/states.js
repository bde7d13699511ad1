// What stands where figures would be: loading, nothing, trouble, and the way in.

import { button, h } from "./dom.js";
import { keep } from "./token.js";

export const loading = (what) => h("p", { class: "loading", role: "status" }, `Loading ${what} \u2026`);

export const empty = (title, why, ...actions) => h("div", { class: "empty" },
  h("h2", {}, title), h("p", {}, why), actions.length ? h("div", { class: "row" }, actions) : null);

const TITLES = {
  refused: "This cannot be asked",
  unavailable: "No answer just now",
  disconnected: "No connection",
};

const HINTS = {
  refused: "Change the filters or the range above.",
  unavailable: "It is asked again by itself.",
  disconnected: "Is llmtap running? It is asked again by itself; figures that are still shown are old.",
};

export const trouble = (error, again) => h("div", { class: "card problem stack tight", role: "alert" },
  h("h2", {}, TITLES[error.kind] ?? "Something went wrong"),
  h("p", {}, String(error.message ?? error)),
  h("p", { class: "soft" }, HINTS[error.kind] ?? ""),
  again ? h("div", { class: "row" }, button("Ask again", again)) : null);

// The form that takes the token.
export const unauthorised = (message, entered) => {
  const input = h("input", { type: "password", name: "token", autocomplete: "off", required: true, "aria-label": "Token", spellcheck: "false" });
  const form = h("form", { on: { submit: (event) => {
    event.preventDefault();
    keep(input.value.trim());
    entered();
  } } }, input, h("button", { class: "main", type: "submit" }, "Open"));
  return h("div", { class: "card token stack tight" },
    h("h2", {}, "A token is needed"),
    h("p", { class: "soft" }, message),
    form,
    h("p", { class: "soft small" }, "It stays in this tab until it is closed, and is sent to this server alone."));
};
