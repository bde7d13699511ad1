"""A server that speaks the dialects of llmtap as their owners' documentation has them.

It answers by the model's name: `MODEL` gives an ordinary answer, and words in the name change it (`think`, `tools`,
`cached`, `error400`, `error429`, `error500`, `error529`, `midway` for an error inside a stream, `cut` for a stream that the server breaks off).
What it answers is fixed, so that a recording made again differs in its times alone.

HTTP is written by hand, over asyncio's streams: head, each event and the end go out as packets of their own, some
milliseconds apart, as a model server sends them.
"""
import asyncio
import gzip
import json
import re
import zlib

WORDS = ["A", " tap", " reads", " what", " passes", ",", " and", " changes", " nothing", "."]
THOUGHTS = ["The", " user", " asks", " about", " taps", "."]
STEP = 0.004


class Answer:
    """What goes out: plain JSON, or a stream of pieces."""

    def __init__(self, status=200, body=b"", pieces=None, kind="application/json", headers=None, cut=False):
        self.status = status
        self.body = body
        self.pieces = pieces
        self.kind = kind
        self.headers = headers or {}
        self.cut = cut


def plain(value, status=200, **headers):
    return Answer(status, json.dumps(value).encode(), headers={k.replace("_", "-"): v for k, v in headers.items()})


def sse(events, named=False, done=False, **rest):
    pieces = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    if done:
        pieces.append(b"data: [DONE]\n\n")
    return Answer(pieces=pieces, kind="text/event-stream; charset=utf-8", **rest)


def ndjson(objects, **rest):
    return Answer(pieces=[json.dumps(it).encode() + b"\n" for it in objects], kind="application/x-ndjson", **rest)


def wants(model, word):
    return word in model


# --- Anthropic ---------------------------------------------------------------------------------------------------

ANTHROPIC_ERRORS = {
    "error400": (400, "invalid_request_error", "max_tokens: Field required"),
    "error429": (429, "rate_limit_error", "Number of requests has exceeded your rate limit"),
    "error500": (500, "api_error", "Internal server error"),
    "error529": (529, "overloaded_error", "Overloaded"),
}


def anthropic(path, request):
    model = request.get("model", "")
    for word, (status, kind, text) in ANTHROPIC_ERRORS.items():
        if wants(model, word):
            more = {"retry_after": "7"} if status == 429 else {}
            body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
            return plain(body, status, request_id="req_011CSHoEeqs5C35K2UUqR7Fy", **more)
    usage = {"input_tokens": 25, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    if wants(model, "cached"):
        usage |= {"input_tokens": 7, "cache_creation_input_tokens": 120, "cache_read_input_tokens": 2048}
    blocks = []
    if wants(model, "think"):
        blocks.append({"type": "thinking", "thinking": "".join(THOUGHTS), "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"})
    blocks.append({"type": "text", "text": "".join(WORDS)})
    reason = "end_turn"
    if wants(model, "tools"):
        blocks.append({"type": "tool_use", "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "name": "get_weather",
                       "input": {"location": "San Francisco, CA", "unit": "celsius"}})
        reason = "tool_use"
    output = 10 + (6 if wants(model, "think") else 0) + (40 if wants(model, "tools") else 0)
    message = {"id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": model, "content": blocks,
               "stop_reason": reason, "stop_sequence": None, "usage": usage | {"output_tokens": output}}
    if not request.get("stream"):
        return plain(message, request_id="req_018EeWyXxfu5pfWkrYcMdjWG")
    start = message | {"content": [], "stop_reason": None, "usage": usage}
    events = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        match block["type"]:
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": word} for word in THOUGHTS]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                empty = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": word} for word in WORDS]
            case _:
                empty = block | {"input": {}}
                text = json.dumps(block["input"])
                deltas = [{"type": "input_json_delta", "partial_json": ""}]
                deltas += [{"type": "input_json_delta", "partial_json": text[at:at + 9]} for at in range(0, len(text), 9)]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        if index == 0:
            events.append({"type": "ping"})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if wants(model, "midway"):
        events = events[:6]
        events.append({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        return sse(events, named=True)
    if wants(model, "cut"):
        return sse(events[:6], named=True, cut=True)
    events.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
                   "usage": {"output_tokens": output}})
    events.append({"type": "message_stop"})
    return sse(events, named=True, headers={"request-id": "req_018EeWyXxfu5pfWkrYcMdjWG"})


# --- OpenAI: what LiteLLM does not give ----------------------------------------------------------------------------

OPENAI_ERRORS = {
    "error400": (400, "invalid_request_error", "context_length_exceeded"),
    "error401": (401, "invalid_request_error", "invalid_api_key"),
    "error429": (429, "requests", "rate_limit_exceeded"),
    "error500": (500, "server_error", None),
}


def openai_error(model):
    for word, (status, kind, code) in OPENAI_ERRORS.items():
        if wants(model, word):
            more = {"retry_after": "2"} if status == 429 else {}
            body = {"error": {"message": "It cannot be done.", "type": kind, "param": None, "code": code}}
            return plain(body, status, x_request_id="req_7c1f", **more)
    return None


def chat(path, request):
    model = request.get("model", "")
    if error := openai_error(model):
        return error
    base = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "created": 1741569952, "model": model + "-2025-01-01"}
    message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
    reason = "stop"
    if wants(model, "think"):
        message["reasoning_content"] = "".join(THOUGHTS)
    if wants(model, "tools"):
        message |= {"content": None, "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}},
            {"id": "call_b", "type": "function", "function": {"name": "get_time", "arguments": '{"zone": "CET"}'}}]}
        reason = "tool_calls"
    usage = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
             "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}
    if wants(model, "think"):
        usage |= {"completion_tokens": 16, "total_tokens": 35,
                  "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 0}}
    if not request.get("stream"):
        count = request.get("n") or 1
        choices = [{"index": n, "message": message, "logprobs": None, "finish_reason": reason} for n in range(count)]
        return plain(base | {"object": "chat.completion", "choices": choices, "usage": usage}, x_request_id="req_1")
    base["object"] = "chat.completion.chunk"

    def chunk(delta, finish=None):
        return base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    events = [chunk({"role": "assistant", "content": ""})]
    if wants(model, "think"):
        events += [chunk({"reasoning_content": word}) for word in THOUGHTS]
    if wants(model, "tools"):
        for index, call in enumerate(message["tool_calls"]):
            text = call["function"]["arguments"]
            head = call | {"index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
            events.append(chunk({"tool_calls": [head]}))
            events += [chunk({"tool_calls": [{"index": index, "function": {"arguments": text[at:at + 6]}}]})
                       for at in range(0, len(text), 6)]
    else:
        events += [chunk({"content": word}) for word in WORDS]
    if wants(model, "midway"):
        return sse(events[:5] + [{"error": {"message": "out of memory", "type": "server_error", "code": 500}}], done=True)
    if wants(model, "cut"):
        return sse(events[:5], cut=True)
    events.append(chunk({}, reason))
    if (request.get("stream_options") or {}).get("include_usage"):
        events.append(base | {"choices": [], "usage": usage})
    return sse(events, done=True)


def responses(path, request):
    model = request.get("model", "")
    if error := openai_error(model):
        return error
    usage = {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 12}, "output_tokens": 87,
             "output_tokens_details": {"reasoning_tokens": 6}, "total_tokens": 123}
    text = "".join(WORDS)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    output = []
    if wants(model, "think"):
        output.append({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "".join(THOUGHTS)}]})
    if wants(model, "tools"):
        output.append({"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1",
                       "name": "get_weather", "arguments": '{"location":"Paris, France"}'})
    else:
        output.append({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]})
    response = {"id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b", "object": "response", "created_at": 1741476542,
                "status": "completed", "error": None, "incomplete_details": None, "instructions": None,
                "max_output_tokens": request.get("max_output_tokens"), "model": model + "-2025-04-14", "output": output,
                "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
                "store": True, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
                "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": None, "metadata": {}}
    if not request.get("stream"):
        return plain(response, x_request_id="req_2")
    started = response | {"status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": started}, {"type": "response.in_progress", "response": started}]
    for index, item in enumerate(output):
        at = {"output_index": index, "item_id": item["id"]}
        match item["type"]:
            case "reasoning":
                events.append({"type": "response.output_item.added", "output_index": index, "item": item | {"summary": []}})
                events.append({"type": "response.reasoning_summary_part.added", **at, "summary_index": 0,
                               "part": {"type": "summary_text", "text": ""}})
                events += [{"type": "response.reasoning_summary_text.delta", **at, "summary_index": 0, "delta": word}
                           for word in THOUGHTS]
                events.append({"type": "response.reasoning_summary_text.done", **at, "summary_index": 0,
                               "text": "".join(THOUGHTS)})
                events.append({"type": "response.reasoning_summary_part.done", **at, "summary_index": 0,
                               "part": item["summary"][0]})
            case "function_call":
                events.append({"type": "response.output_item.added", "output_index": index,
                               "item": item | {"status": "in_progress", "arguments": ""}})
                arguments = item["arguments"]
                events += [{"type": "response.function_call_arguments.delta", **at, "delta": arguments[n:n + 5]}
                           for n in range(0, len(arguments), 5)]
                events.append({"type": "response.function_call_arguments.done", **at, "name": item["name"],
                               "arguments": arguments})
            case _:
                events.append({"type": "response.output_item.added", "output_index": index,
                               "item": item | {"status": "in_progress", "content": []}})
                events.append({"type": "response.content_part.added", **at, "content_index": 0, "part": part | {"text": ""}})
                events += [{"type": "response.output_text.delta", **at, "content_index": 0, "delta": word, "logprobs": []}
                           for word in WORDS]
                events.append({"type": "response.output_text.done", **at, "content_index": 0, "text": text, "logprobs": []})
                events.append({"type": "response.content_part.done", **at, "content_index": 0, "part": part})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    if wants(model, "cut"):
        return sse(numbered(events[:9]), named=True, cut=True)
    if wants(model, "midway"):
        failed = response | {"status": "failed", "output": [], "usage": None,
                             "error": {"code": "server_error", "message": "The model failed to generate a response."}}
        events = events[:9] + [{"type": "response.failed", "response": failed}]
    elif wants(model, "short"):
        half = response | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        events.append({"type": "response.incomplete", "response": half})
    else:
        events.append({"type": "response.completed", "response": response})
    return sse(numbered(events), named=True)


def numbered(events):
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


def embeddings(path, request):
    model = request.get("model", "")
    if error := openai_error(model):
        return error
    given = request.get("input")
    count = len(given) if isinstance(given, list) and not all(isinstance(it, int) for it in given) else 1
    vector = "AACAPwAAAEAAAEBAAACAQA==" if request.get("encoding_format") == "base64" else [1.0, 2.0, 3.0, 4.0]
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(count)]
    return plain({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 8 * count, "total_tokens": 8 * count}})


def transcription(path, request):
    kind = request.get("response_format", "json")
    if kind == "text":
        return Answer(body=("".join(WORDS) + "\n").encode(), kind="text/plain; charset=utf-8")
    usage = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
             "output_tokens": 10, "total_tokens": 24}
    if request.get("stream") == "true":
        events = [{"type": "transcript.text.delta", "delta": word} for word in WORDS]
        events.append({"type": "transcript.text.done", "text": "".join(WORDS), "usage": usage})
        return sse(events)
    return plain({"text": "".join(WORDS), "usage": usage})


def speech(path, request):
    sound = bytes((n * 37) % 251 for n in range(600))
    return Answer(pieces=[sound, sound, sound], kind="audio/mpeg")


def images(path, request):
    usage = {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 50,
             "total_tokens": 100}
    return plain({"created": 1713833628, "data": [{"b64_json": "iVBORw0KGgo" * 40}], "usage": usage})


def moderations(path, request):
    names = ["harassment", "hate", "self-harm", "sexual", "violence"]
    result = {"flagged": False, "categories": {name: False for name in names},
              "category_scores": {name: 0.01 for name in names}, "category_applied_input_types": {name: ["text"] for name in names}}
    return plain({"id": "modr-1", "model": request.get("model", "omni-moderation-latest"), "results": [result]})


def rerank(path, request):
    texts = request.get("documents", [])
    results = [{"index": n, "relevance_score": 0.9 - n / 10, "document": {"text": "x"}} for n in range(len(texts))]
    usage = {"total_tokens": 15, "prompt_tokens": 15}
    return plain({"model": request.get("model"), "object": "list", "usage": usage, "results": results})


# --- Ollama --------------------------------------------------------------------------------------------------------

OLLAMA_END = {"total_duration": 4883583458, "load_duration": 1334875, "prompt_eval_count": 26, "prompt_eval_duration": 342546000,
              "eval_count": 10, "eval_duration": 4535599000}


def ollama(path, request):
    model = request.get("model", "")
    if wants(model, "missing"):
        return plain({"error": f"model '{model}' not found"}, 404)
    if path.endswith("/embed"):
        given = request.get("input")
        count = len(given) if isinstance(given, list) else 1
        return plain({"model": model, "embeddings": [[0.01, -0.02, 0.03]] * count, "total_duration": 14143917,
                      "load_duration": 1019500, "prompt_eval_count": 8})
    is_chat = path.endswith("/chat")

    def piece(word, thought=""):
        base = {"model": model, "created_at": "2025-08-04T08:52:19.385406455-07:00"}
        if is_chat:
            message = {"role": "assistant", "content": word}
            return base | {"message": message | ({"thinking": thought} if thought else {})}
        return base | {"response": word} | ({"thinking": thought} if thought else {})

    end = OLLAMA_END | ({"eval_count": 16} if wants(model, "think") else {})
    tools = [{"function": {"name": "get_weather", "arguments": {"city": "Tokyo"}}}]
    if request.get("stream") is False:
        body = piece("".join(WORDS), "".join(THOUGHTS) if wants(model, "think") else "")
        if wants(model, "tools"):
            body["message"] |= {"content": "", "tool_calls": tools}
        return plain(body | {"done_reason": "stop", "done": True} | end)
    objects = [piece("", word) | {"done": False} for word in THOUGHTS] if wants(model, "think") else []
    if wants(model, "tools"):
        call = piece("")
        call["message"]["tool_calls"] = tools
        objects.append(call | {"done": False})
    else:
        objects += [piece(word) | {"done": False} for word in WORDS]
    if wants(model, "midway"):
        return ndjson(objects[:4] + [{"error": "an error was encountered while running the model: unexpected EOF"}])
    if wants(model, "cut"):
        return ndjson(objects[:4], cut=True)
    objects.append(piece("") | {"done_reason": "stop", "done": True} | end)
    return ndjson(objects)


# --- Gemini --------------------------------------------------------------------------------------------------------

def gemini(path, request):
    model, action = re.search(r"/models/([^/:]+):(\w+)", path).groups()
    if wants(model, "error400"):
        return plain({"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}, 400)
    if wants(model, "error429"):
        return plain({"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}}, 429)
    if action == "countTokens":
        return plain({"totalTokens": 9})
    if action == "batchEmbedContents":
        return plain({"embeddings": [{"values": [0.1, 0.2, 0.3]} for _ in request.get("requests", [])]})
    if action == "embedContent":
        return plain({"embedding": {"values": [0.1, 0.2, 0.3]}})
    parts = [{"text": "".join(THOUGHTS), "thought": True}] if wants(model, "think") else []
    if wants(model, "tools"):
        parts.append({"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}})
    else:
        parts.append({"text": "".join(WORDS)})
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 10, "totalTokenCount": 22}
    if wants(model, "think"):
        usage |= {"thoughtsTokenCount": 6, "totalTokenCount": 28}
    if wants(model, "cached"):
        usage |= {"cachedContentTokenCount": 8}
    around = {"modelVersion": model + "-001", "responseId": "mAitaLmkHPPlz7IPvtfUqQ4"}

    def answer(parts, finish=None, usage=usage):
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], "usageMetadata": usage, **around}

    if action == "generateContent":
        return plain(answer(parts, "STOP"))
    running = {"promptTokenCount": 12, "totalTokenCount": 12}
    events = [answer([{"text": word, "thought": True}], usage=running) for word in THOUGHTS] if wants(model, "think") else []
    if wants(model, "tools"):
        events.append(answer(parts[-1:], "STOP"))
    else:
        events += [answer([{"text": word}], usage=running) for word in WORDS[:-1]]
        events.append(answer([{"text": WORDS[-1]}], "STOP"))
    if wants(model, "cut"):
        return sse(events[:3], cut=True)
    if "alt=sse" in path:
        return sse(events)
    texts = [json.dumps(event, indent=2).encode() for event in events]
    return Answer(pieces=[(b"[" if n == 0 else b",\r\n") + text for n, text in enumerate(texts)] + [b"]"])


ROUTES = [
    ("/v1/messages", anthropic),
    ("/chat/completions", chat),
    ("/responses", responses),
    ("/embeddings", embeddings),
    ("/audio/transcriptions", transcription),
    ("/audio/translations", transcription),
    ("/audio/speech", speech),
    ("/images/generations", images),
    ("/images/edits", images),
    ("/moderations", moderations),
    ("/rerank", rerank),
    ("/api/chat", ollama),
    ("/api/generate", ollama),
    ("/api/embed", ollama),
]


def answer(target, headers, body):
    path = target.partition("?")[0]
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/"):
        fields = re.findall(rb'name="([^"]+)"\r\n\r\n([^\r]*)\r\n', body)
        request = {name.decode(): value.decode() for name, value in fields}
    else:
        request = json.loads(body or b"{}")
    if re.search(r"/models/[^/:]+:\w+", path):
        return gemini(target, request)
    for suffix, route in ROUTES:
        if path.endswith(suffix):
            return route(path, request)
    return plain({"detail": "Not Found"}, 404)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            target = lines[0].split(" ")[1]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:]) if name}
            if headers.get("transfer-encoding", "") == "chunked":
                body = b""
                while size := int((await reader.readline()).split(b";")[0], 16):
                    body += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
            else:
                body = await reader.readexactly(int(headers.get("content-length", 0)))
            if not await send(writer, answer(target, headers, body), headers):
                break
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        writer.close()


async def send(writer, it, asked):
    """Writes one answer; says whether the connection stays open."""
    head = f"HTTP/1.1 {it.status} X\r\ndate: Sun, 01 Jan 2026 00:00:00 GMT\r\nserver: dialects\r\ncontent-type: {it.kind}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in it.headers.items())
    coded = "gzip" in asked.get("accept-encoding", "")
    if it.pieces is None:
        body = gzip.compress(it.body, mtime=0) if coded and len(it.body) > 300 else it.body
        head += "content-encoding: gzip\r\n" if body is not it.body else ""
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode())
        await pause(writer, 3)
        writer.write(body)
        await writer.drain()
        return True
    # As Anthropic does: gzip, flushed with each event.
    coder = zlib.compressobj(wbits=31) if coded and "event-stream" in it.kind else None
    head += "content-encoding: gzip\r\n" if coder else ""
    writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    await pause(writer, 5)
    for piece in it.pieces:
        if coder:
            piece = coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH)
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await pause(writer, 1)
    if it.cut:
        return False
    rest = coder.flush() if coder else b""
    writer.write((b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b"") + b"0\r\n\r\n")
    await writer.drain()
    return True


async def pause(writer, steps):
    await writer.drain()
    await asyncio.sleep(steps * STEP)
