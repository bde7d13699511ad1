// Where one is: view, range of time and filters, all in the address's fragment, so that a view can be shared by
// its address. The fragment is sent to nobody, so that names in it stand in no server's log.

export const FILTERS = ["model", "operation", "outcome", "status", "client", "user", "key", "dialect", "stream",
  "server", "source", "min_ttft", "min_elapsed", "q", "outer"];

const isFilter = (name) => FILTERS.includes(name) || name.startsWith("label.");

let usual = "-1h";

// The range of an address that names none.
export const setUsualRange = (from) => { usual = from; };

// `view`, what follows it (a call's number), and the parameters.
export const here = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, item] = path.split("/");
  return { view: view || "overview", item, parameters: new URLSearchParams(query) };
};

export const link = (view, parameters) => {
  const query = parameters.toString();
  return `#/${view}${query ? `?${query}` : ""}`;
};

export const go = (view, parameters) => { location.hash = link(view, parameters); };

// The same address with these parameters changed; `null` takes one away.
export const change = (changes) => {
  const { view, item, parameters } = here();
  for (const [name, value] of Object.entries(changes)) {
    parameters.delete(name);
    if (value != null) parameters.set(name, value);
  }
  go(item ? `${view}/${item}` : view, parameters);
};

// What goes from one view to the next: the range and the filters.
export const shared = () => pick((name) => name === "from" || name === "to" || isFilter(name));

// The filters alone, as pairs.
export const filters = () => [...pick(isFilter)];

const pick = (wanted) => {
  const { parameters } = here();
  return new URLSearchParams([...parameters].filter(([name]) => wanted(name)));
};

// As the API takes it: `from=all` is no bound.
export const question = (more = {}) => {
  const parameters = shared();
  const { from, to } = range();
  parameters.delete("from");
  parameters.delete("to");
  if (from !== "all") parameters.set("from", from);
  if (to) parameters.set("to", to);
  for (const [name, value] of Object.entries(more)) if (value != null) parameters.set(name, value);
  return parameters;
};

export const range = () => {
  const { parameters } = here();
  return { from: parameters.get("from") ?? usual, to: parameters.get("to") };
};

// Whether it has no end, so that calls come into it.
export const isOpen = () => !range().to;

// Whether it is a span before now, so that it moves on.
export const isMoving = () => isOpen() && range().from !== "all";

const literally = (value) => value == null ? "~none" : value.replace(/[\\*]/g, "\\$&").replace(/^[!~]/, "\\$&");

// Adds a filter for exactly this value; other values of the same name go.
export const narrow = (name, value) => change({ [name]: literally(value) });

export const add = (name, value) => {
  const { view, parameters } = here();
  parameters.append(name, value);
  go(view, parameters);
};

export const remove = (name, value) => {
  const { view, parameters } = here();
  const rest = parameters.getAll(name).filter((other) => other !== value);
  parameters.delete(name);
  for (const other of rest) parameters.append(name, other);
  go(view, parameters);
};
