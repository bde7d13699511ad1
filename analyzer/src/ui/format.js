// Numbers for people.

export const NOTHING = "\u2013";

const number = (digits) => new Intl.NumberFormat("en-US", { maximumFractionDigits: digits });
const WHOLE = number(0), ONE = number(1), TWO = number(2), FOUR = number(4);

const whenThere = (format) => (value) => value == null || Number.isNaN(value) ? NOTHING : format(value);

// 1,234,567
export const count = whenThere((n) => WHOLE.format(n));

// 1 call, 1,234 calls
export const many = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

// 1.2 M, for where there is little room.
export const short = whenThere((n) => {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    if (Math.abs(n) >= size) return `${ONE.format(n / (unit === "k" ? 1e3 : size))} ${unit}`;
  }
  return WHOLE.format(n);
});

// 0.25, 3.1, 250: per second, mostly.
export const rate = whenThere((x) => (x >= 100 ? WHOLE : x >= 10 ? ONE : x >= .1 || x === 0 ? TWO : FOUR).format(x));

// 44 µs, 1.4 ms, 340 ms, 2.35 s, 3 min 20 s
export const seconds = whenThere((s) => {
  if (s !== 0 && Math.abs(s) < .001) return `${Math.round(s * 1e6)} \u00b5s`;
  if (Math.abs(s) < 1) return `${(s * 1e3).toFixed(Math.abs(s) < .01 && s !== 0 ? 1 : 0)} ms`;
  if (s < 60) return `${TWO.format(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  return span(s);
});

// 15 s, 5 min, 2 d 3 h: a length of time that is no measurement.
export const span = whenThere((s) => {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.round(s);
  const words = [];
  for (const [unit, size] of parts) {
    if (rest >= size && words.length < 2) words.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return words.join(" ") || (s > 0 ? seconds(s) : "0 s");
});

export const percent = whenThere((part) => `${(part >= .1 || part === 0 ? ONE : TWO).format(part * 100)} %`);

export const bytes = whenThere((n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit += 1) n /= 1024;
  return `${unit ? ONE.format(n) : n} ${units[unit]}`;
});

export const money = (value, currency) => currency === "~mixed" ? "several currencies"
  : value == null ? NOTHING : `${(value >= 1 || value === 0 ? TWO : FOUR).format(value)} ${currency ?? ""}`.trim();

const two = (n) => String(n).padStart(2, "0");

// Local time, 2026-03-01 14:05:09: the same everywhere, and sorted as text.
export const time = whenThere((s) => {
  const d = new Date(s * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(s)}`;
});

export const clock = whenThere((s) => {
  const d = new Date(s * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
});

// The clock alone for today's, as 11-23 14:05:09 for others of this year.
export const when = whenThere((s) => {
  const text = time(s), today = time(Date.now() / 1000);
  return text.slice(0, 10) === today.slice(0, 10) ? text.slice(11) : text.slice(0, 4) === today.slice(0, 4) ? text.slice(5) : text;
});

// With microseconds, as they were captured.
export const fineTime = whenThere((s) => `${time(s)}.${String(Math.round((s - Math.floor(s)) * 1e6)).padStart(6, "0").slice(0, 6)}`);

export const words = (name) => String(name).replaceAll("_", " ");

export const text = (value) => value == null || value === "" ? NOTHING : String(value);
