// Questions to the server that the page came from.

import { token } from "./token.js";

// How long an answer may take: longer than the server itself gives a question.
const PATIENCE = 20_000;

// `kind` is what the page shows: `unauthorised`, `refused` (the question is wrong), `unavailable` (the server
// cannot answer now) or `disconnected`.
export class Trouble extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

export const path = (name, parameters) => {
  const query = parameters?.toString();
  return `api/${name}${query ? `?${query}` : ""}`;
};

export const get = async (name, parameters, signal) => {
  const answer = await ask(path(name, parameters), signal);
  try {
    return await answer.json();
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("disconnected", "the answer broke off");
  }
};

// The answer itself, once its head says that it is good. Without a time limit, it may go on for ever.
export const ask = async (address, signal, { limit = true } = {}) => {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const signals = [signal, limit && AbortSignal.timeout(PATIENCE)].filter(Boolean);
  let answer;
  try {
    answer = await fetch(address, { headers, signal: AbortSignal.any(signals), cache: "no-store", credentials: "omit" });
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("disconnected", "llmtap does not answer");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const message = String(problem.detail ?? problem.error ?? `status ${answer.status}`);
  if (answer.status === 401 || answer.status === 403) throw new Trouble("unauthorised", message);
  throw new Trouble(answer.status >= 500 ? "unavailable" : "refused", message);
};

// Saves what an endpoint sends. A link alone could not send the token.
export const save = async (address, name) => {
  const answer = await ask(address, undefined, { limit: false });
  const content = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = content;
  link.download = name;
  link.click();
  URL.revokeObjectURL(content);
};
