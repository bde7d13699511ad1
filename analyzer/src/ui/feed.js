// Calls as they end, for the live tail. They are gathered and handed on a few times a second: what comes faster than
// anybody reads must not keep the page busy.

import { question } from "./address.js";
import { get } from "./api.js";

// Milliseconds between two looks.
const EVERY = 1000;

// Calls of one look. Where more came, the newest are shown, and the page says how many were passed over.
const MOST = 200;

// Calls `take({ calls, passed })` with the newest first, until the signal.
export const follow = async (take, fail, signal) => {
  let last = null;
  while (!signal.aborted) {
    try {
      const page = await get("calls", question({ sort: "id", order: "desc", limit: String(MOST) }), signal);
      const calls = last == null ? page.calls : page.calls.filter(({ id }) => id > last);
      // All of a page are new: there may be more behind it, in the order of their numbers.
      const passed = last != null && calls.length === MOST ? calls.at(-1).id - last - 1 : 0;
      if (calls.length) last = calls[0].id;
      else last ??= 0;
      take({ calls, passed });
    } catch (error) {
      if (signal.aborted) return;
      fail(error);
    }
    await pause(EVERY, signal);
  }
};

const pause = (time, signal) => new Promise((go) => {
  const timer = setTimeout(go, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); go(); }, { once: true });
});
