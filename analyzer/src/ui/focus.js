// Where the keyboard is: the focus outlives a part of the page that is made anew, and comes back with a page that one
// goes back to.

const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";

// What an element is called within what it stands in, so that its successor is found. `null` for what is no control.
export const keyOf = (element) => {
  if (!element?.matches?.(FOCUSABLE) || element.id === "view") return null;
  const name = ["data-key", "aria-label", "name"].map((attribute) => element.getAttribute(attribute)).find(Boolean) ?? element.textContent;
  const within = element.parentElement?.closest("[aria-label]")?.getAttribute("aria-label") ?? "";
  return [element.tagName, within, name].join("\n");
};

export const focusOn = (root, key) => {
  const found = key == null ? null : [...root.querySelectorAll(FOCUSABLE)].find((element) => keyOf(element) === key && element.checkVisibility());
  found?.focus({ preventScroll: true });
  return Boolean(found);
};

// Children for those that are there. The focus goes to the successor of what had it, and tables stay as far scrolled.
export const swap = (place, ...children) => {
  const key = place.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  const scrolled = [...place.querySelectorAll(".scroll")].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
  place.replaceChildren(...children);
  place.querySelectorAll(".scroll").forEach((element, at) => {
    if (scrolled[at]) [element.scrollLeft, element.scrollTop] = scrolled[at];
  });
  focusOn(place, key);
};

// Links of a table's rows: one of them is reached by Tab, the others from there by the arrows.
export const rove = (body) => {
  const links = () => [...body.querySelectorAll("a")];
  const stop = (link) => {
    for (const other of links()) other.tabIndex = other === link ? 0 : -1;
  };
  body.addEventListener("focusin", ({ target }) => stop(target));
  body.addEventListener("keydown", (event) => {
    const all = links(), at = all.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to == null || at < 0) return;
    event.preventDefault();
    all[to]?.focus();
  });
  // After rows came or went.
  return () => {
    const all = links();
    const kept = all.includes(document.activeElement) ? document.activeElement : all[0];
    if (kept) stop(kept);
  };
};

// Each visit of the page by its entry in the browser's history: what had the focus, and how far it was scrolled.
const visits = new Map();
let current = null;
history.scrollRestoration = "manual";

// Tells where one was if one comes back here, else `null`.
export const arrive = () => {
  const known = visits.get(history.state?.visit);
  current = history.state?.visit ?? crypto.getRandomValues(new Uint32Array(2)).join("-");
  if (!history.state?.visit) history.replaceState({ visit: current }, "");
  return known ?? null;
};

// Called while what is left is still shown.
export const leave = () => {
  const was = { key: keyOf(document.activeElement), scroll: scrollY };
  visits.set(current, was);
  return was;
};
