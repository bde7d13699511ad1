// Calls as they end, for the live tail: the server's feed, read as a stream, since an EventSource could send no token.
// Calls are gathered and handed on a few times a second: what comes faster than anybody reads must not keep the page
// busy.

import { filters, question } from "./address.js";
import { Trouble, ask, get, path } from "./api.js";

// Milliseconds from one handing on to the next, and to the next try.
const EVERY = 500, AGAIN = 2000;

// Calls that are shown at once when the tail is opened, and that wait to be handed on.
const FIRST = 50, MOST = 100;

// Filters that need the store: where one is set, the store is asked again and again.
const OF_STORED = ["q"];

// Calls `take({ calls, passed })` with the newest first and how many were passed over, until the signal.
export const follow = async (take, fail, signal) => {
  let known = new Set();
  const stored = filters().some(([name]) => OF_STORED.includes(name));
  const batch = new Batch(take, signal);
  const catchUp = async () => {
    const { calls } = await get("calls", question({ sort: "id", order: "desc", limit: String(stored ? MOST : FIRST) }), signal);
    batch.add(calls.filter(({ call_key }) => !known.has(call_key)).reverse());
    known = new Set(calls.map(({ call_key }) => call_key));
  };
  while (!signal.aborted) {
    try {
      if (stored) await catchUp();
      else await stream({ opened: catchUp, call: (call) => known.has(call.call_key) || batch.add([call]), missed: (n) => batch.pass(n) }, signal);
    } catch (error) {
      if (signal.aborted) return;
      fail(error);
    }
    await pause(AGAIN, signal);
  }
};

// One connection to the feed, until it ends.
const stream = async ({ opened, call, missed }, signal) => {
  const answer = await ask(path("live", new URLSearchParams(filters())), signal, { limit: false });
  await opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Trouble("disconnected", "the feed ended");
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("event") === "end") call(JSON.parse(field("data")));
      if (field("event") === "lagged") missed(JSON.parse(field("data")).missed);
    }
  }
};

class Batch {
  #calls = [];
  #passed = 0;
  #timer = null;

  constructor(take, signal) {
    this.take = take;
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  // The oldest first.
  add(calls) {
    this.#calls.push(...calls);
    const excess = this.#calls.length - MOST;
    if (excess > 0) this.#passed += this.#calls.splice(0, excess).length;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.take({ calls: this.#calls.splice(0).reverse(), passed: this.#passed });
      this.#passed = 0;
    }, EVERY);
  }

  pass(n) {
    this.#passed += n ?? 0;
    this.add([]);
  }
}

const pause = (time, signal) => new Promise((go) => {
  const timer = setTimeout(go, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); go(); }, { once: true });
});
