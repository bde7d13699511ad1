"""The real openai package against a server: openai_client.py BASE_URL THREADS [FROM] < CALLS > TRUTH

CALLS is a JSON list; each item has an `id`, and may have: `api` (chat | completion), `model`, `prompt` (a string, or a list
of content parts), `stream`, `include_usage`, `max_tokens`, `n`, `tools`, `headers` (more of the request's), and `leave_after`
(break off after so many chunks).
They are made by THREADS threads that share one client, and so its pool of kept-alive connections. The `id` goes out as the
body's `user` and as `X-Request-Id`. FROM is the address that it connects from.

TRUTH is a line of JSON for each call: what this client saw.
"""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def arguments(call):
    """The call as arguments for `create`."""
    result = {
        "model": call.get("model", "m"),
        "user": call["id"],
        "extra_headers": {"X-Request-Id": call["id"], **call.get("headers", {})},
    }
    for name in ("max_tokens", "n"):
        if name in call:
            result[name] = call[name]
    if call.get("api") == "completion":
        result["prompt"] = call.get("prompt", "hello")
    else:
        result["messages"] = [{"role": "user", "content": call.get("prompt", "hello")}]
    if call.get("tools"):
        result["tools"] = [TOOL]
    if call.get("stream"):
        result["stream"] = True
        if call.get("include_usage"):
            result["stream_options"] = {"include_usage": True}
    return result


def see_usage(seen, usage):
    if usage is not None:
        seen["input_tokens"] = usage.prompt_tokens
        seen["output_tokens"] = usage.completion_tokens


def see_stream(call, stream, seen):
    for chunk in stream:
        seen["chunks"] += 1
        see_usage(seen, chunk.usage)
        for choice in chunk.choices:
            if choice.finish_reason:
                seen["finish_reasons"].append(choice.finish_reason)
            text = choice.text if call.get("api") == "completion" else choice.delta.content
            seen["text_length"] += len(text or "")
        if seen["chunks"] == call.get("leave_after"):
            stream.close()
            seen["left"] = True
            return


def see_answer(call, answer, seen):
    see_usage(seen, answer.usage)
    for choice in answer.choices:
        seen["finish_reasons"].append(choice.finish_reason)
        text = choice.text if call.get("api") == "completion" else choice.message.content
        seen["text_length"] += len(text or "")


def make(client, call):
    """Makes one call and says what was seen of it."""
    seen = {
        "id": call["id"],
        "model": call.get("model", "m"),
        "stream": bool(call.get("stream")),
        "status": None,
        "input_tokens": None,
        "output_tokens": None,
        "text_length": 0,
        "chunks": 0,
        "finish_reasons": [],
        "left": False,
        "error": None,
    }
    api = client.completions if call.get("api") == "completion" else client.chat.completions
    try:
        answer = api.create(**arguments(call))
        seen["status"] = 200
        if call.get("stream"):
            see_stream(call, answer, seen)
        else:
            see_answer(call, answer, seen)
    except openai.APIStatusError as error:
        seen["status"] = error.status_code
        seen["error"] = type(error).__name__
    except Exception as error:  # a cut stream comes as an error of the transport
        seen["error"] = type(error).__name__
    return seen


def main():
    base_url, threads = sys.argv[1], int(sys.argv[2])
    own = {}
    if len(sys.argv) > 3:
        transport = httpx2.HTTPTransport(local_address=sys.argv[3])
        own["http_client"] = openai.DefaultHttpxClient(transport=transport)
    client = openai.OpenAI(base_url=base_url, api_key="sk-for-tests", max_retries=0, timeout=60, **own)
    with ThreadPoolExecutor(threads) as pool:
        for seen in pool.map(lambda call: make(client, call), json.load(sys.stdin)):
            print(json.dumps(seen), flush=True)


main()
