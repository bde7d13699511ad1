// Light, dark, or what the system says.

import { choice } from "./dom.js";
import { swap } from "./focus.js";

const NAME = "llmtap.theme";

const OPTIONS = [["auto", "\u25d0", "Colours as the system has them"], ["light", "\u2600", "Light"], ["dark", "\u263e", "Dark"]];

const chosen = () => localStorage.getItem(NAME) ?? "auto";

const apply = () => {
  const root = document.documentElement;
  if (chosen() === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", chosen());
};

// Puts the switch there; `changed` is called when the colours are others.
export const themeSwitch = (place, changed) => {
  const draw = () => swap(place, choice("Colours", OPTIONS, chosen(), (value) => {
    localStorage.setItem(NAME, value);
    apply();
    draw();
    changed();
  }));
  apply();
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
};
