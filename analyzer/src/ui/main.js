// The page: which view is shown, when it is asked again, and what stands there when there is no answer.

import { get } from "./api.js";
import { here, isMoving, link, setUsualRange, shared } from "./address.js";
import * as call from "./call.js";
import * as calls from "./calls.js";
import { h } from "./dom.js";
import * as filters from "./filters.js";
import { span, words } from "./format.js";
import * as groups from "./groups.js";
import * as heat from "./heat.js";
import * as losses from "./losses.js";
import * as overview from "./overview.js";
import { trouble, unauthorised } from "./states.js";
import { themeSwitch } from "./theme.js";
import { forget, token } from "./token.js";

const VIEWS = { overview, groups, calls, heat, losses, call };

// In the order of an operator's questions.
const TABS = ["overview", "groups", "calls", "heat", "losses"];

// What a question may take of the time, at most one part in so many: a store with many rows is asked less often.
const REST = 4;

// Milliseconds to the next try where nobody answered.
const AGAIN = 3000;

const element = (id) => document.getElementById(id);

let shown = null;

// Stops what is under way for the view before.
let stop = new AbortController();

const open = async () => {
  stop.abort();
  shown?.close?.();
  stop = new AbortController();
  const { signal } = stop;
  const { view } = here();
  const module = VIEWS[view] ?? overview;
  document.title = `${module.title} \u00b7 llmtap`;
  navigation(view);
  const root = h("div", {});
  element("view").replaceChildren(root);
  // The first answer tells the usual range too.
  const status = await first(signal);
  if (signal.aborted) return;
  filters.draw(element("filters"));
  element("filters").hidden = view === "losses" || view === "call";
  if (status) {
    shown = module.mount(root);
    await turn(shown, root, signal);
  }
};

// Asks for the state until there is one.
const first = async (signal) => {
  while (!signal.aborted) {
    const status = await state(signal);
    if (status) {
      if (status.capture.state === "replayed") setUsualRange("all");
      return status;
    }
    if (refusedEntry) return null;
    await pause(AGAIN, signal);
  }
  return null;
};

let refusedEntry = false;

const state = async (signal) => {
  try {
    const status = await get("status", null, signal);
    refusedEntry = false;
    tell(status);
    return status;
  } catch (error) {
    if (!signal.aborted) failed(error);
    return null;
  }
};

// Asks again and again.
const turn = async (view, root, signal) => {
  for (let quiet = true; !signal.aborted; quiet = false) {
    const began = performance.now();
    const status = await state(signal);
    if (status && (quiet || isMoving() || !root.firstChild || root.dataset.trouble)) {
      try {
        if (root.dataset.trouble) {
          delete root.dataset.trouble;
          shown?.close?.();
          view = shown = VIEWS[here().view]?.mount(root) ?? overview.mount(root);
        }
        await view.refresh({ status, signal });
      } catch (error) {
        if (signal.aborted) return;
        failed(error, root);
      }
    }
    if (refusedEntry) return;
    const took = performance.now() - began;
    await pause(status ? Math.max(view.every, REST * took) : AGAIN, signal);
    while (document.hidden && !signal.aborted) await pause(500, signal);
  }
};

const failed = (error, root) => {
  if (error.kind === "unauthorised") {
    refusedEntry = true;
    const message = token() ? "The token that was given is not taken." : String(error.message);
    forget();
    mark("bad", "a token is needed");
    element("view").replaceChildren(unauthorised(message, open));
    return;
  }
  if (error.kind === "disconnected") {
    mark("bad", "no connection");
    banner("llmtap does not answer. What is shown is old; it is asked again every few seconds.");
    return;
  }
  if (!error.kind) console.error(error);
  if (root) {
    root.dataset.trouble = "1";
    root.replaceChildren(trouble(error, open));
  } else {
    banner(String(error.message));
  }
};

const banner = (text) => {
  element("banner").hidden = !text;
  element("banner").textContent = text ?? "";
};

const mark = (kind, text) => {
  const place = element("state");
  place.className = `state dot ${kind}`;
  place.textContent = text;
  place.title = text;
};

const tell = (status) => {
  const obstacles = [...status.obstacles, ...(status.blind ? ["packets come, and no HTTP exchange is found in them"] : [])];
  const { state: how, detail } = status.capture;
  mark(obstacles.length ? "bad" : "good", obstacles.length ? obstacles.join("; ") : how === "none" ? "takes reports, captures nothing" : detail ?? words(how));
  banner(obstacles.length ? obstacles.join("; ") : null);
  element("foot").textContent = `llmtap ${status.version}, up ${span(status.uptime)}. Times are this browser's. Nothing on this page comes from elsewhere.`;
};

const navigation = (view) => {
  element("nav").replaceChildren(...TABS.map((name) => h("a", {
    href: link(name, shared()),
    "aria-current": name === view || (view === "call" && name === "calls") ? "page" : null,
  }, VIEWS[name].title)));
};

const pause = (time, signal) => new Promise((go) => {
  const timer = setTimeout(go, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); go(); }, { once: true });
});

addEventListener("hashchange", () => {
  // Charts and tables are made anew; the place on the page stays.
  open();
});
themeSwitch(element("theme"), open);
open();
