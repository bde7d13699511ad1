"""Records real client libraries while they talk to servers in their dialects: record.py FOLDER [NAME...]

For each NAME (default: all) FOLDER gets NAME.pcap.gz, the packets, and NAME.truth.ndjson: for each call what the client itself
saw, under the names of llmtap's columns. It needs root (tcpdump on loopback), tcpdump, and the packages of requirements.txt.
`cargo xtask captures` puts those in place and runs it.
"""
import asyncio
import contextlib
import gzip
import io
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import wave

import server

HERE = pathlib.Path(__file__).parent
# LiteLLM would fetch its price list; a recording reaches nothing but loopback.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
PATIENCE = 180
PROXY_KEY = "sk-of-the-proxy-that-answers-with-mocks-and-nothing-else"


class Truth:
    """What the client saw, a line a call."""

    def __init__(self):
        self.rows = []

    def add(self, call, **fields):
        self.rows.append({"call": call, **fields})

    @contextlib.contextmanager
    def refused(self, call, *errors, **fields):
        """A call that the client is told an error of."""
        try:
            yield
        except errors as error:
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            self.add(call, **({"status": status} if isinstance(status, int) else {}), **fields)
        else:
            raise AssertionError(f"{call}: the client saw no error")


# --- Clients -------------------------------------------------------------------------------------------------------

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
OPENAI_TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}]
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does a tap do?"}]


def openai_client(base, key="sk-not-a-key"):
    import openai
    return openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)


def chat_row(made):
    usage = made.usage
    return dict(
        status=200, stream=False, response_model=made.model, input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens,
        finish_reasons=[choice.finish_reason for choice in made.choices],
        tool_calls=[call.function.name for choice in made.choices for call in choice.message.tool_calls or []],
    )


def chat_stream(client, truth, call, leave_after=None, **arguments):
    """A streamed chat: what was seen of it."""
    seen = dict(status=200, stream=True, request_model=arguments["model"])
    reasons, tools, chunks = [], [], 0
    stream = client.chat.completions.create(stream=True, **arguments)
    for chunk in stream:
        chunks += 1
        if chunk.model:
            seen["response_model"] = chunk.model
        if chunk.usage:
            seen |= dict(reported_input_tokens=chunk.usage.prompt_tokens, reported_output_tokens=chunk.usage.completion_tokens)
        for choice in chunk.choices:
            tools += [it.function.name for it in choice.delta.tool_calls or [] if it.function and it.function.name]
            reasons += [choice.finish_reason] if choice.finish_reason else []
        if leave_after and chunks >= leave_after:
            stream.close()
            truth.add(call, **seen, outcome="client_abort")
            return
    truth.add(call, **seen, finish_reasons=reasons, tool_calls=tools, outcome="ok")


def openai_chat(base, truth):
    import openai
    client = openai_client(base)
    create = client.chat.completions.create
    for call, model, more in [
        ("plain", "gpt-x", {}), ("plain, reasoning", "gpt-x-think", {}), ("plain, tools", "gpt-x-tools", {"tools": OPENAI_TOOLS}),
        ("plain, two choices", "gpt-x", {"n": 2, "temperature": 0.5, "max_tokens": 64}),
        ("plain, JSON asked for", "gpt-x", {"response_format": {"type": "json_object"}}),
    ]:
        made = create(model=model, messages=MESSAGES, user="ada", **more)
        truth.add(call, request_model=model, user="ada", **chat_row(made))
    usage = {"stream_options": {"include_usage": True}}
    chat_stream(client, truth, "stream", model="gpt-x", messages=MESSAGES)
    chat_stream(client, truth, "stream, usage", model="gpt-x", messages=MESSAGES, **usage)
    chat_stream(client, truth, "stream, reasoning", model="gpt-x-think", messages=MESSAGES, **usage)
    chat_stream(client, truth, "stream, tools", model="gpt-x-tools", messages=MESSAGES, tools=OPENAI_TOOLS)
    chat_stream(client, truth, "the client leaves", model="gpt-x", messages=MESSAGES, leave_after=3)
    for word, kind in [("error400", "invalid_request_error"), ("error401", "invalid_request_error"), ("error429", "requests"), ("error500", "server_error")]:
        with truth.refused(word, openai.APIStatusError, request_model="gpt-x-" + word, error_type=kind):
            create(model="gpt-x-" + word, messages=MESSAGES)
    with truth.refused("error in a stream", openai.APIError, request_model="gpt-x-midway", outcome="error_in_200", error_type="server_error", error_code="500"):
        list(create(model="gpt-x-midway", messages=MESSAGES, stream=True))
    with truth.refused("the server breaks off", Exception, request_model="gpt-x-cut", outcome="server_abort"):
        list(create(model="gpt-x-cut", messages=MESSAGES, stream=True))


def openai_responses(base, truth):
    import openai
    client = openai_client(base)

    def row(made):
        return dict(
            response_model=made.model, reported_input_tokens=made.usage.input_tokens, reported_output_tokens=made.usage.output_tokens,
            cached_tokens=made.usage.input_tokens_details.cached_tokens, reasoning_tokens=made.usage.output_tokens_details.reasoning_tokens,
            tool_calls=[item.name for item in made.output if item.type == "function_call"],
        )

    tools = [{"type": "function", "name": "get_weather", "parameters": TOOL, "strict": None}]
    for model in ["gpt-r", "gpt-r-think", "gpt-r-tools"]:
        made = client.responses.create(model=model, instructions="Be brief.", input="What does a tap do?", max_output_tokens=300, tools=tools)
        truth.add("plain", request_model=model, status=200, stream=False, outcome="ok", **row(made))
    for model in ["gpt-r", "gpt-r-think", "gpt-r-tools", "gpt-r-short"]:
        last = None
        for event in client.responses.create(model=model, input=[{"role": "user", "content": "What does a tap do?"}], stream=True):
            last = event
        truth.add("stream", request_model=model, status=200, stream=True, outcome="ok", **row(last.response))
    for event in client.responses.create(model="gpt-r-midway", input="?", stream=True):
        last = event
    truth.add("failed in the stream", request_model="gpt-r-midway", outcome="error_in_200", error_code=last.response.error.code)
    with truth.refused("error400", openai.APIStatusError, request_model="gpt-r-error400"):
        client.responses.create(model="gpt-r-error400", input="?")


def openai_others(base, truth):
    import openai
    client = openai_client(base)
    for given, more in [("one text", {}), (["two", "texts"], {}), ("as floats", {"encoding_format": "float"})]:
        made = client.embeddings.create(model="embed-x", input=given, **more)
        truth.add("embeddings", dialect="openai_embeddings", operation="embeddings", request_model="embed-x", status=200,
                  reported_input_tokens=made.usage.prompt_tokens, output_tokens=None)
    with truth.refused("embeddings refused", openai.APIStatusError, request_model="embed-x-error400", error_type="invalid_request_error"):
        client.embeddings.create(model="embed-x-error400", input="x")
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000), file.writeframes(bytes(16000))
    for more in [{}, {"response_format": "text"}, {"stream": True}]:
        sound.seek(0)
        made = client.audio.transcriptions.create(model="whisper-x", file=("a.wav", sound), **more)
        for _ in made if more.get("stream") else []:
            pass
        truth.add("transcription", request_model="whisper-x", status=200, stream=more.get("stream", False), outcome="ok")
    client.audio.speech.create(model="tts-x", voice="alloy", input="A tap reads what passes.").read()
    truth.add("speech", request_model="tts-x", status=200, outcome="ok")
    client.images.generate(model="image-x", prompt="a brass tap", n=1)
    truth.add("image", request_model="image-x", status=200, reported_input_tokens=50, reported_output_tokens=50, outcome="ok")
    client.moderations.create(model="omni-moderation-latest", input="is this fine?")
    truth.add("moderation", request_model="omni-moderation-latest", status=200, outcome="ok")


def anthropic_messages(base, truth):
    import anthropic
    client = anthropic.Anthropic(base_url=base, api_key="sk-ant-not-a-key", max_retries=0)
    asked = dict(max_tokens=256, system="Be brief.", messages=MESSAGES[1:])
    tools = [{"name": "get_weather", "input_schema": TOOL}]

    def row(message):
        usage = message.usage
        fields = dict(
            status=200, outcome="ok", response_model=message.model, finish_reasons=[message.stop_reason], output_tokens=usage.output_tokens,
            input_tokens=usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
            tool_calls=[block.name for block in message.content if block.type == "tool_use"],
        )
        if usage.cache_read_input_tokens:
            fields |= dict(cached_tokens=usage.cache_read_input_tokens, cache_write_tokens=usage.cache_creation_input_tokens)
        return fields

    for model in ["claude-x", "claude-x-think", "claude-x-tools", "claude-x-cached"]:
        made = client.messages.create(model=model, tools=tools, metadata={"user_id": "ada"}, **asked)
        truth.add("plain", request_model=model, stream=False, user="ada", **row(made))
        with client.messages.stream(model=model, tools=tools, **asked) as stream:
            truth.add("stream", request_model=model, stream=True, **row(stream.get_final_message()))
    for word in ["error400", "error429", "error500", "error529"]:
        with truth.refused(word, anthropic.APIStatusError, request_model="claude-x-" + word, error_type=server.ANTHROPIC_ERRORS[word][1]):
            client.messages.create(model="claude-x-" + word, **asked)
    with truth.refused("error in a stream", anthropic.APIError, request_model="claude-x-midway", outcome="error_in_200", error_type="overloaded_error"):
        list(client.messages.create(model="claude-x-midway", stream=True, **asked))
    with truth.refused("the server breaks off", Exception, request_model="claude-x-cut", outcome="server_abort"):
        list(client.messages.create(model="claude-x-cut", stream=True, **asked))
    stream = client.messages.create(model="claude-x-think", stream=True, **asked)
    for _ in range(4):
        next(iter(stream))
    stream.close()
    truth.add("the client leaves", request_model="claude-x-think", outcome="client_abort")


def ollama_native(base, truth):
    import ollama
    client = ollama.Client(host=base)

    def row(made):
        return dict(status=200, outcome="ok", response_model=made.model, reported_input_tokens=made.prompt_eval_count,
                    reported_output_tokens=made.eval_count, finish_reasons=[made.done_reason])

    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}]
    for model in ["llama:1b", "llama-think:1b", "llama-tools:1b"]:
        made = client.chat(model=model, messages=MESSAGES, tools=tools if "tools" in model else None)
        truth.add("chat", operation="chat", request_model=model, stream=False, **row(made))
        for last in client.chat(model=model, messages=MESSAGES, stream=True, options={"temperature": 0.2, "num_predict": 99}):
            pass
        truth.add("chat, stream", operation="chat", request_model=model, stream=True, **row(last))
    made = client.generate(model="llama:1b", prompt="What does a tap do?", system="Be brief.")
    truth.add("generate", request_model="llama:1b", stream=False, **row(made))
    for last in client.generate(model="llama-think:1b", prompt="What does a tap do?", stream=True):
        pass
    truth.add("generate, stream", request_model="llama-think:1b", stream=True, **row(last))
    made = client.embed(model="embed:1b", input=["one", "two"])
    truth.add("embed", operation="embeddings", request_model="embed:1b", status=200, reported_input_tokens=made.prompt_eval_count)
    with truth.refused("no such model", ollama.ResponseError, request_model="missing:1b"):
        client.chat(model="missing:1b", messages=MESSAGES)
    with truth.refused("error in a stream", ollama.ResponseError, request_model="llama-midway:1b", outcome="error_in_200"):
        list(client.chat(model="llama-midway:1b", messages=MESSAGES, stream=True))
    truth.rows[-1].pop("status", None)


def google_genai(base, truth):
    from google import genai
    from google.genai import errors, types
    client = genai.Client(api_key="AIza-not-a-key", http_options=types.HttpOptions(base_url=base))

    def row(made):
        usage = made.usage_metadata
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        fields = dict(status=200, outcome="ok", response_model=made.model_version, input_tokens=usage.prompt_token_count, output_tokens=output)
        if usage.thoughts_token_count:
            fields["reasoning_tokens"] = usage.thoughts_token_count
        if usage.cached_content_token_count:
            fields["cached_tokens"] = usage.cached_content_token_count
        return fields

    settings = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.3, max_output_tokens=99)
    for model in ["gemini-x", "gemini-x-think", "gemini-x-tools", "gemini-x-cached"]:
        made = client.models.generate_content(model=model, contents="What does a tap do?", config=settings)
        truth.add("plain", request_model=model, stream=False, **row(made))
        for last in client.models.generate_content_stream(model=model, contents="What does a tap do?", config=settings):
            pass
        truth.add("stream", request_model=model, stream=True, **row(last))
    client.models.embed_content(model="embed-x", contents=["one", "two"])
    truth.add("embed", operation="embeddings", request_model="embed-x", status=200)
    client.models.count_tokens(model="gemini-x", contents="no call")
    for word in ["error400", "error429"]:
        with truth.refused(word, errors.APIError, request_model="gemini-x-" + word):
            client.models.generate_content(model="gemini-x-" + word, contents="?")


def litellm_library(base, truth):
    import litellm
    litellm.num_retries = 0
    litellm.telemetry = False
    for model, where in [("openai/gpt-x", base + "/v1"), ("anthropic/claude-x", base), ("ollama_chat/llama:1b", base)]:
        name = model.split("/")[1]
        asked = dict(model=model, api_base=where, api_key="sk-not-a-key", messages=MESSAGES)
        made = litellm.completion(**asked)
        truth.add("plain", request_model=name, status=200, outcome="ok", input_tokens=made.usage.prompt_tokens, output_tokens=made.usage.completion_tokens)
        for _ in litellm.completion(stream=True, **asked):
            pass
        truth.add("stream", request_model=name, status=200, stream=True, outcome="ok")


def litellm_proxy(base, truth):
    """The proxy's own server, with mocked answers, in the dialects that it offers."""
    import anthropic
    import openai
    client = openai_client(base, PROXY_KEY)
    made = client.chat.completions.create(model="mocked", messages=MESSAGES)
    truth.add("chat", dialect="openai_chat", request_model="mocked", **chat_row(made))
    chat_stream(client, truth, "chat, stream", model="mocked", messages=MESSAGES, stream_options={"include_usage": True})
    made = client.completions.create(model="mocked", prompt="What does a tap do?")
    truth.add("completion", dialect="openai_completions", status=200, input_tokens=made.usage.prompt_tokens, output_tokens=made.usage.completion_tokens)
    made = client.responses.create(model="mocked", input="What does a tap do?")
    truth.add("responses", dialect="openai_responses", status=200, input_tokens=made.usage.input_tokens, output_tokens=made.usage.output_tokens)
    # Its mock has no stream of this kind: an honest 500.
    with truth.refused("responses, stream", openai.APIStatusError, dialect="openai_responses", outcome="server_error"):
        list(client.responses.create(model="mocked", input="What does a tap do?", stream=True))
    speaker = anthropic.Anthropic(base_url=base, api_key=PROXY_KEY, max_retries=0)
    made = speaker.messages.create(model="mocked", max_tokens=99, messages=MESSAGES[1:])
    truth.add("messages", dialect="anthropic", status=200, input_tokens=made.usage.input_tokens, output_tokens=made.usage.output_tokens)
    list(speaker.messages.create(model="mocked", max_tokens=99, messages=MESSAGES[1:], stream=True))
    truth.add("messages, stream", dialect="anthropic", status=200, stream=False)
    with truth.refused("no such model", openai.APIStatusError, request_model="missing"):
        client.chat.completions.create(model="missing", messages=MESSAGES)


def llamacpp(base, truth):
    """llama.cpp's own server, with a tiny random model."""
    import anthropic
    client = openai_client(base)
    for more in [{}, {"n": 2}]:
        made = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=12, **more)
        truth.add("chat", dialect="openai_chat", request_model="tiny", **chat_row(made))
    chat_stream(client, truth, "chat, stream", model="tiny", messages=MESSAGES, max_tokens=12, stream_options={"include_usage": True})
    made = client.completions.create(model="tiny", prompt="What does a tap do?", max_tokens=9)
    truth.add("completion", dialect="openai_completions", status=200, input_tokens=made.usage.prompt_tokens, output_tokens=made.usage.completion_tokens)
    for stream in [False, True]:
        asked = {"prompt": "What does a tap do?", "n_predict": 10, "stream": stream}
        request = urllib.request.Request(base + "/completion", json.dumps(asked).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as came:
            text = came.read().decode()
        last = json.loads(text.strip().split("\n")[-1].removeprefix("data: ") if stream else text)
        timings = last["timings"]
        truth.add("native", dialect="llamacpp", status=200, stream=stream, outcome="ok", output_tokens=timings["predicted_n"],
                  input_tokens=timings["prompt_n"] + timings.get("cache_n", 0))
    speaker = anthropic.Anthropic(base_url=base, api_key="sk-not-a-key", max_retries=0)
    made = speaker.messages.create(model="tiny", max_tokens=8, messages=MESSAGES[1:])
    cached = made.usage.cache_read_input_tokens or 0
    truth.add("messages", dialect="anthropic", status=200, stream=False, output_tokens=made.usage.output_tokens,
              input_tokens=made.usage.input_tokens + cached)


# --- Servers -------------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


@contextlib.contextmanager
def dialects():
    """The server beside this file, on a thread of its own."""
    ports = queue.Queue()

    async def serve():
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        ports.put(listening.sockets[0].getsockname()[1])
        await asyncio.to_thread(stop.wait)

    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ports.get()
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def process(command, port, path, **more):
    """A server of its own process, once it answers."""
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, **more)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
                    break
                except OSError as error:
                    if running.poll() is not None or time.monotonic() > until:
                        log.seek(0)
                        raise RuntimeError(f"{command[0]} does not answer: {error}\n{log.read().decode()[-3000:]}") from error
                    time.sleep(0.1)
            yield port
        finally:
            running.terminate()
            running.wait()


@contextlib.contextmanager
def proxy():
    port = free_port()
    settings = {"model_list": [{"model_name": "mocked", "litellm_params": {
        "model": "openai/gpt-4o-mini", "api_key": "none", "mock_response": "A tap reads what passes, and changes nothing."}}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(settings, file)  # JSON is YAML.
        file.flush()
        command = [pathlib.Path(sys.executable).with_name("litellm"), "--config", file.name, "--host", "127.0.0.1", "--port", str(port)]
        with process(command, port, "/health/liveliness", env=os.environ | {"LITELLM_TELEMETRY": "False", "LITELLM_MASTER_KEY": PROXY_KEY}):
            yield port


@contextlib.contextmanager
def llama_server():
    """llama.cpp's server: LLAMA_SERVER names the program."""
    program = os.environ.get("LLAMA_SERVER")
    if not program:
        raise SystemExit("llamacpp needs LLAMA_SERVER=PATH of llama.cpp's llama-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder, "tiny.gguf")
        subprocess.run([sys.executable, HERE / "tiny_model.py", model], check=True)
        command = [program, "-m", model, "--host", "127.0.0.1", "--port", str(port), "--alias", "tiny", "-c", "2048", "-np", "2", "--no-warmup", "-t", "2"]
        with process(command, port, "/health"):
            yield port


CAPTURES = {
    "openai-chat": (dialects, openai_chat),
    "openai-responses": (dialects, openai_responses),
    "openai-others": (dialects, openai_others),
    "anthropic": (dialects, anthropic_messages),
    "ollama": (dialects, ollama_native),
    "google-genai": (dialects, google_genai),
    "litellm": (dialects, litellm_library),
    "litellm-proxy": (proxy, litellm_proxy),
    "llamacpp": (llama_server, llamacpp),
}


# --- Recording -----------------------------------------------------------------------------------------------------

def record(folder, name):
    serving, client = CAPTURES[name]
    truth = Truth()
    with serving() as port, tempfile.TemporaryDirectory() as place:
        file = pathlib.Path(place, "it.pcap")
        tcpdump = subprocess.Popen(
            ["tcpdump", "-i", "lo", "-U", "-s", "0", "-B", "65536", "-Z", "root", "-w", file, "tcp", "port", str(port)],
            stderr=subprocess.PIPE, text=True,
        )
        try:
            while "listening on" not in tcpdump.stderr.readline():
                if tcpdump.poll() is not None:
                    raise RuntimeError("tcpdump does not run: it needs root")
            client(f"http://127.0.0.1:{port}", truth)
            wait_for(file, port)
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.wait()
        packets = file.read_bytes()
    (folder / f"{name}.pcap.gz").write_bytes(gzip.compress(packets, 9, mtime=0))
    (folder / f"{name}.truth.ndjson").write_text("".join(json.dumps(row) + "\n" for row in truth.rows))
    print(f"{name}: {len(truth.rows)} calls, {len(packets)} bytes", file=sys.stderr)


def wait_for(file, port):
    """The last packets may still be in tcpdump's ring: a connection after them shows that it has come so far."""
    marker = socket.create_connection(("127.0.0.1", port))
    number = marker.getsockname()[1].to_bytes(2, "big")
    marker.close()
    until = time.monotonic() + PATIENCE
    while number not in file.read_bytes()[-4000:]:
        if time.monotonic() > until:
            raise RuntimeError("tcpdump never wrote the last packets")
        time.sleep(0.05)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(CAPTURES)
    if unknown := set(names) - set(CAPTURES):
        raise SystemExit(f"there is no capture {', '.join(unknown)}; there are {', '.join(CAPTURES)}")
    for name in names:
        record(folder, name)


if __name__ == "__main__":
    main()
