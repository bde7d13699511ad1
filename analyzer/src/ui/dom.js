// Elements out of data. Text becomes text: there is no way here to make markup of it.

// A child may be an element, text, a number, nothing, or a list of those.
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

const SVG = "http://www.w3.org/2000/svg";

export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

const fill = (element, properties, children) => {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value == null || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) if (child != null && child !== false) element.append(child);
  return element;
};

// A button that acts.
export const button = (text, act, properties) => h("button", { type: "button", on: { click: act }, ...properties }, text);

// One of several, as buttons that are pressed.
export const choice = (label, options, chosen, choose) => h("div", { class: "choice", role: "group", "aria-label": label },
  options.map(([value, text, title]) => button(text, () => choose(value), { "aria-pressed": String(value === chosen), title })));

// A drop-down list.
export const select = (label, options, chosen, choose) => {
  const list = h("select", { "aria-label": label, on: { change: () => choose(list.value) } },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return list;
};

// The colour that the style sheet has under this name, for what is painted.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
