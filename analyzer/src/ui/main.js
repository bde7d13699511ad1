// The page: which view is shown, when it is asked again, and what stands there when there is no answer.

import { get } from "./api.js";
import { here, isOpen, link, setUsualRange, shared } from "./address.js";
import * as call from "./call.js";
import * as calls from "./calls.js";
import { h } from "./dom.js";
import * as filters from "./filters.js";
import { arrive, focusOn, leave, swap } from "./focus.js";
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

// The view that is open, by its name and by what it does.
let at = null;
let shown = null;

// Stops what is under way for the view before.
let stop = new AbortController();

// `wanted`: the control that is to have the focus, and how far the page is to be scrolled, once it is there.
const open = async (wanted = leave()) => {
  stop.abort();
  shown?.close?.();
  stop = new AbortController();
  const { signal } = stop;
  const { view } = here();
  at = view;
  const module = VIEWS[view] ?? overview;
  document.title = `${module.title} \u00b7 llmtap`;
  navigation(view);
  const root = h("div", {});
  element("view").replaceChildren(root);
  if (!wanted.scroll) scrollTo(0, 0);
  // The first answer tells the usual range too.
  const status = await first(signal);
  if (signal.aborted) return;
  filters.draw(element("filters"));
  element("filters").hidden = view === "losses" || view === "call";
  if (status) {
    shown = module.mount(root);
    await turn(shown, root, signal, wanted);
  }
};

const isFocusFree = () => document.activeElement == null || document.activeElement === document.body;

// Once the view is there: unless somebody went on meanwhile. A control that is no more leaves the focus to the view.
const settle = ({ key, scroll }) => {
  if (scroll) scrollTo(0, scroll);
  if (key && isFocusFree() && !focusOn(document, key)) element("view").focus({ preventScroll: true });
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

// Whether what is shown can be others: calls come into an open range, and counters go on.
const isAskedAgain = ({ once, always }) => !once && (always || isOpen());

// Asks again and again.
const turn = async (view, root, signal, wanted) => {
  for (let quiet = true; !signal.aborted; quiet = false) {
    const began = performance.now();
    const status = await state(signal);
    if (status && (quiet || isAskedAgain(view) || !root.firstChild || root.dataset.trouble)) {
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
    if (refusedEntry || signal.aborted) return;
    if (quiet) settle(wanted);
    const took = performance.now() - began;
    await pause(status ? Math.max(view.every, REST * took) : AGAIN, signal);
    while (document.hidden && !signal.aborted) await pause(500, signal);
  }
};

const failed = (error, root) => {
  if (error.kind === "unauthorised") {
    refusedEntry = true;
    const message = token() ? "The token that was given is not taken."
      : "Whoever runs llmtap has it: in the file of --api-token-file, else in llmtap.token beside the database.";
    forget();
    mark("bad", "a token is needed");
    element("view").replaceChildren(unauthorised(message, () => open()));
    if (isFocusFree()) element("view").querySelector("input").focus();
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
    root.replaceChildren(trouble(error, () => open()));
  } else {
    banner(String(error.message));
  }
};

// What is said aloud is said once.
const say = (place, text) => {
  if (place.textContent !== text) place.textContent = text;
};

const banner = (text) => {
  element("banner").hidden = !text;
  say(element("banner"), text ?? "");
};

const mark = (kind, text) => {
  const place = element("state");
  place.className = `state dot ${kind}`;
  say(place, text);
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
  swap(element("nav"), ...TABS.map((name) => h("a", {
    href: link(name, shared()),
    "aria-current": name === view || (view === "call" && name === "calls") ? "page" : null,
  }, VIEWS[name].title)));
};

const pause = (time, signal) => new Promise((go) => {
  const timer = setTimeout(go, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); go(); }, { once: true });
});

addEventListener("hashchange", () => {
  const was = leave(), before = arrive();
  open(before ?? { key: was.key, scroll: here().view === at ? was.scroll : 0 });
});
// The skip link's own address would be a view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("view").focus();
});
themeSwitch(element("theme"), () => open());
arrive();
open();
