// What came over the wire as a list of JSON values: one document, server-sent events, or a line each. What is cut off or
// damaged is left out and counted.

// `{ values, left }`: how many pieces could not be read. `values` is empty where it is no JSON at all.
export const values = (text) => {
  const whole = parse(text);
  if (whole !== undefined) return { values: Array.isArray(whole) && whole.every(isObject) ? whole : [whole], left: 0 };
  return /^(data|event|id|retry|:)/m.test(text) ? events(text) : lines(text);
};

const isObject = (value) => typeof value === "object" && value !== null;

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const events = (text) => collect(text.split(/\r\n\r\n|\n\n|\r\r/).map((block) => block.split(/\r\n|\n|\r/)
  .filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, "")).join("\n"))
  .filter((data) => data && data !== "[DONE]"));

const lines = (text) => collect(text.split("\n").map((line) => line.trim().replace(/^[[,]|[\],]$/g, "")).filter(Boolean));

const collect = (pieces) => {
  const read = pieces.map(parse);
  const good = read.filter(isObject);
  return { values: good, left: good.length ? read.length - good.length : 0 };
};
