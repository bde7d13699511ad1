// Requests and answers of all dialects as messages: `{ role, parts }`, a part being `{ kind, text, name }`. Kinds are
// text, reasoning, refusal, call (of a tool), result, media and error. What is not known is left out; the raw text is
// shown beside.

const list = (value) => Array.isArray(value) ? value : value == null ? [] : [value];

const object = (value) => typeof value === "object" && value !== null ? value : {};

const json = (value) => typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";

// The content of a message: a string, or parts of many kinds.
const content = (value) => list(value).flatMap((part) => {
  if (typeof part === "string") return part ? [{ kind: "text", text: part }] : [];
  const { type = "" } = object(part);
  if (/tool_use|function_?call$|^tool_call$/.test(type)) return [{ kind: "call", name: part.name, text: json(part.input ?? part.arguments) }];
  if (/tool_result|function_call_output/.test(type)) return [{ kind: "result", name: part.tool_use_id ?? part.call_id, text: plain(part.content ?? part.output) }];
  if (/thinking|reasoning/.test(type)) return [{ kind: "reasoning", text: plain(part.thinking ?? part.text ?? part.summary ?? part.content ?? part.data) }];
  if (part.functionCall) return [{ kind: "call", name: part.functionCall.name, text: json(part.functionCall.args) }];
  if (part.functionResponse) return [{ kind: "result", name: part.functionResponse.name, text: json(part.functionResponse.response) }];
  if (part.refusal) return [{ kind: "refusal", text: json(part.refusal) }];
  if (typeof part.text === "string") return [{ kind: part.thought ? "reasoning" : "text", text: part.text }];
  if (/image|audio|file|video|document/.test(type) || part.inlineData || part.inline_data) return [{ kind: "media", text: (type || "data").replaceAll("_", " ") }];
  return [];
});

const plain = (value) => typeof value === "string" ? value : content(value).map(({ text }) => text).join("\n") || (value == null ? "" : json(value));

const calls = (value) => list(value).map((call) => ({ kind: "call", name: object(call.function).name ?? call.name, text: json(object(call.function).arguments ?? call.arguments ?? call.input) }));

const message = (value) => {
  const { role = "", content: said, tool_calls, reasoning_content, reasoning, thinking, refusal, images, tool_call_id } = object(value);
  const thoughts = reasoning_content ?? reasoning ?? thinking;
  let parts = content(said);
  if (role === "tool") parts = [{ kind: "result", name: tool_call_id, text: plain(said) }];
  return { role, parts: [
    ...(typeof thoughts === "string" && thoughts ? [{ kind: "reasoning", text: thoughts }] : []),
    ...parts,
    ...(refusal ? [{ kind: "refusal", text: json(refusal) }] : []),
    ...calls(tool_calls),
    ...list(images).map(() => ({ kind: "media", text: "image" })),
  ] };
};

// An item of the Responses API: a message, or what stands between them.
const item = (value) => {
  const { type, role } = object(value);
  if (typeof value === "string") return { role: "user", parts: content(value) };
  if (!type || type === "message") return message({ role: role ?? "assistant", ...value });
  return { role: /output|result/.test(type) ? "tool" : "assistant", parts: content([value]) };
};

export const ofRequest = (body) => {
  const b = object(body);
  const told = [];
  const system = b.system ?? b.instructions ?? b.systemInstruction?.parts ?? b.system_instruction?.parts;
  if (system != null) told.push({ role: "system", parts: content(system) });
  if (Array.isArray(b.messages)) told.push(...b.messages.map(message));
  else if (Array.isArray(b.contents)) told.push(...b.contents.map(({ role = "user", parts }) => ({ role, parts: content(parts) })));
  else if (Array.isArray(b.input) && b.input.some((one) => typeof one === "object")) told.push(...b.input.map(item));
  else {
    for (const name of ["prompt", "input", "inputs", "text", "texts", "query", "text_input", "message"]) {
      for (const text of list(b[name])) if (typeof text === "string") told.push({ role: name === "message" ? "user" : name, parts: content(text) });
    }
    for (const text of list(b.documents)) told.push({ role: "document", parts: content(text) });
  }
  return told.filter(({ parts }) => parts.length);
};

export const toolsOf = (body) => list(object(body).tools ?? object(body).functions).flatMap((tool) => {
  if (Array.isArray(tool?.functionDeclarations)) return tool.functionDeclarations;
  return [object(tool).function ?? tool];
}).map((tool) => ({ name: object(tool).name ?? object(tool).type ?? "tool", text: json(tool) }));

// Puts the pieces of a stream together: neighbours of one kind and place are one part.
class Gathered {
  constructor() { this.choices = new Map(); }

  add(choice, place, kind, text, name) {
    if (text == null && name == null) return;
    const parts = this.choices.get(choice) ?? this.choices.set(choice, []).get(choice);
    let part = parts.findLast((one) => one.kind === kind && one.place === place);
    if (!part) parts.push(part = { kind, place, text: "", name: undefined });
    part.text += text ?? "";
    if (name) part.name = name;
  }

  messages() {
    return [...this.choices].map(([choice, parts]) => ({ role: this.choices.size > 1 ? `assistant, choice ${Number(choice) + 1 || choice}` : "assistant", parts: parts.filter(({ text, name }) => text || name) }));
  }
}

const addParts = (gathered, choice, parts) => parts.forEach(({ kind, text, name }, place) => gathered.add(choice, kind === "text" ? "" : `${kind}${place}`, kind, text, name));

export const ofAnswer = (events) => {
  const gathered = new Gathered();
  // The whole answer at the end of a stream says it all again.
  const final = events.find((event) => event?.type === "response.completed" && event.response?.output);
  for (const event of final ? [final.response] : events) readEvent(gathered, object(event));
  return gathered.messages().filter(({ parts }) => parts.length);
};

const readEvent = (gathered, event) => {
  const error = event.error ?? (event.type === "error" || event.object === "error" ? event : null);
  if (error) gathered.add(0, "error", "error", typeof error === "string" ? error : json(error.message ?? error));
  for (const choice of list(event.choices)) readChoice(gathered, object(choice));
  for (const candidate of list(event.candidates)) addParts(gathered, candidate.index ?? 0, content(object(candidate.content).parts));
  list(event.output).forEach((one) => { if (typeof one === "object") addParts(gathered, 0, item(one).parts); });
  const of = event.index ?? event.content_index ?? 0;
  const { type = "" } = event;
  const delta = object(event.delta);
  if (type === "content_block_start") {
    const block = object(event.content_block);
    if (block.type === "tool_use") gathered.add(0, of, "call", "", block.name);
    else addParts(gathered, 0, content([block]));
  } else if (type === "content_block_delta") {
    gathered.add(0, "", "text", delta.text);
    gathered.add(0, of, "reasoning", delta.thinking);
    gathered.add(0, of, "call", delta.partial_json);
  } else if (/^response\..*delta$/.test(type) && typeof event.delta === "string") {
    const kind = /reasoning/.test(type) ? "reasoning" : /arguments/.test(type) ? "call" : /refusal/.test(type) ? "refusal" : "text";
    if (!/audio/.test(type)) gathered.add(0, kind === "text" ? "" : event.item_id, kind, event.delta);
  } else if (type === "response.output_item.added" && event.item?.name) {
    gathered.add(0, event.item.id, "call", "", event.item.name);
  } else if (delta.message) {
    addParts(gathered, 0, message({ ...delta.message, content: delta.message.content }).parts);
  } else if (type === "message" && Array.isArray(event.content)) {
    addParts(gathered, 0, content(event.content));
  } else if (event.message && typeof event.message === "object" && type !== "message_start") {
    addParts(gathered, 0, message(event.message).parts);
  } else if (typeof event.content === "string" && !event.choices) {
    gathered.add(0, "", "text", event.content);
  }
  for (const name of ["response", "generated_text", "text_output", "completion"]) if (typeof event[name] === "string") gathered.add(0, "", "text", event[name]);
  if (typeof event.text === "string" && !type) gathered.add(0, "", "text", event.text);
  if (typeof event.thinking === "string") gathered.add(0, "thinking", "reasoning", event.thinking);
  if (event.token && typeof event.token.text === "string" && !event.generated_text) gathered.add(0, "", "text", event.token.special ? "" : event.token.text);
};

const readChoice = (gathered, choice) => {
  const said = object(choice.delta ?? choice.message);
  const at = choice.index ?? 0;
  const thoughts = said.reasoning_content ?? said.reasoning;
  if (typeof thoughts === "string") gathered.add(at, "thoughts", "reasoning", thoughts);
  for (const part of content(said.content)) gathered.add(at, part.kind === "text" ? "" : part.kind, part.kind, part.text, part.name);
  if (typeof said.refusal === "string") gathered.add(at, "refusal", "refusal", said.refusal);
  list(said.tool_calls).forEach((call, place) => gathered.add(at, call.index ?? place, "call", object(call.function).arguments == null ? "" : json(call.function.arguments), object(call.function).name));
  if (typeof choice.text === "string") gathered.add(at, "", "text", choice.text);
};
