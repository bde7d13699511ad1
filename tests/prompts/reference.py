"""What the reference implementations say that prompts count.

    reference.py FOLDER ARCHIVE OUT      FOLDER holds the tokenizers' packages, unpacked: NAME/tokenizer.json …
                                         ARCHIVE is the source of llama-cpp-python, with llama.cpp's collection of templates

Writes OUT/cases.json, the requests, and OUT/NAME.ndjson, a line a case: how many tokens the reference
gives for it and the SHA-256 of what it rendered, or why it refuses it. transformers reads the folders offline; mistral-common
brings its own. Of a template without a tokenizer there is the SHA-256 alone.
"""

import base64
import copy
import hashlib
import datetime
import json
import os
import re
import sys
import tarfile
import tempfile
from pathlib import Path

from cases import CASES

FOLDERS = ["qwen2_5", "qwen3", "llama3_1", "deepseek_v3", "gemma3"]

# What servers do to a request before they render it (vLLM's chat_utils): arguments become values, and the
# texts of a list are joined where the template expects one text.
STRINGS_AS_ARGUMENTS = {"deepseek_v3"}
TAKES_PARTS = {"gemma3"}

# llama.cpp's collection, of its models/templates: what a family's rule is held to, the beginning of its texts, and what is
# llama.cpp's own in its copy, with what the model's own has there.
TEMPLATES = {
    "llama3_3": ("meta-llama-Llama-3.3-70B-Instruct", "<|begin_of_text|>", {}),
    "qwq": ("Qwen-QwQ-32B", "", {"{%- if not enable_thinking -%}{{- '</think>' -}}{%- endif -%}": ""}),
    "qwen3_5": ("Qwen3.5-4B", "", {}),
    "deepseek_v3_1": (
        "deepseek-ai-DeepSeek-V3.1",
        "<｜begin▁of▁sentence｜>",
        {"<think></think>": "</think>", " | tojson": "", "not message['content']": "message['content'] is none"},
    ),
    "deepseek_r1": ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "<｜begin▁of▁sentence｜>", {}),
    "glm4_6": ("GLM-4.6", "", {}),
    "glm4_7": ("GLM-4.7-Flash", "", {}),
    "kimi_k2": ("Kimi-K2-Instruct", "", {}),
    "kimi_k2_thinking": ("Kimi-K2-Thinking", "", {}),
    "phi3_5": ("microsoft-Phi-3.5-mini-instruct", "", {}),
}

# The dates that the rules write.
LLAMA_DATE = (2024, 7, 26)
HARMONY_DATE = "2025-08-05"

# Versions of Mistral's format after the one that mistral-common has a tekken vocabulary for, and what control tokens they
# have besides.
LATER = {"v7": [], "v11": ["[ARGS]", "[CALL_ID]"], "v13": ["[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"]}


def prepared(name, request):
    messages = copy.deepcopy(request["messages"])
    for message in messages:
        if isinstance(message["content"], list) and name not in TAKES_PARTS:
            message["content"] = "\n".join(part["text"] for part in message["content"])
        if message["content"] is None or message.get("tool_calls") and not message["content"]:
            message["content"] = None if name in STRINGS_AS_ARGUMENTS else ""
        for call in message.get("tool_calls", []):
            if name not in STRINGS_AS_ARGUMENTS:
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def transformers_count(name, tokenizer, request):
    from transformers.utils.chat_template_utils import _compile_jinja_template as compiled

    if "continue_final_message" in request:
        text = gone_on(tokenizer.chat_template, prepared(name, request), **tokenizer.special_tokens_map)
    else:
        # The renderer that apply_chat_template calls: it would leave a content of null out, which templates
        # ask for, and which servers leave in.
        text = compiled(tokenizer.chat_template).render(
            messages=prepared(name, request),
            tools=request.get("tools"),
            documents=None,
            add_generation_prompt=request.get("add_generation_prompt", True),
            **tokenizer.special_tokens_map,
            **request.get("chat_template_kwargs", {}),
        )
    tokens = len(tokenizer.encode(text, add_special_tokens=False))
    return {"tokens": tokens, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def gone_on(source, messages, **tokens):
    """A conversation whose last message goes on: transformers cuts what the template writes after it."""
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template(
        conversations=[messages],
        chat_template=source,
        continue_final_message=True,
        add_generation_prompt=False,
        **tokens,
    )
    return texts[0]


def rendered(name, source, bos, request):
    from transformers.utils.chat_template_utils import _compile_jinja_template as compiled

    template = compiled(source)
    template.globals["strftime_now"] = datetime.datetime(*LLAMA_DATE).strftime
    takes_parts = re.search(r"for\s+\w+\s+in\s+(\w+\.content\b|\w+\[['\"]content['\"]\]|content\b)", source)
    asks_for_null = re.search(r"\bcontent(['\"]\])?\s+is\s+(not\s+)?none\b", source)

    def messages(as_values):
        for message in copy.deepcopy(request["messages"]):
            if isinstance(message["content"], list) and not takes_parts:
                message["content"] = "\n".join(part["text"] for part in message["content"])
            if message["content"] is None or message.get("tool_calls") and not message["content"]:
                message["content"] = None if asks_for_null else ""
            for call in message.get("tool_calls", []):
                if as_values:
                    call["function"]["arguments"] = json.loads(call["function"]["arguments"])
            yield message

    def text(as_values):
        if "continue_final_message" in request:
            return gone_on(source, list(messages(as_values)), bos_token=bos)
        return template.render(
            messages=list(messages(as_values)),
            tools=request.get("tools"),
            documents=None,
            add_generation_prompt=request.get("add_generation_prompt", True),
            bos_token=bos,
            **request.get("chat_template_kwargs", {}),
        )

    try:
        text = text(True)
    except TypeError:
        # The template adds arguments to a text.
        text = text(False)
    if name == "phi3_5":
        # Phi's tokens take in the white space after them.
        text = re.sub(r"(<\|(?:system|user|assistant|end)\|>)\s+", r"\1", text)
    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def ranks_of(folder, file):
    """OpenAI's form of a byte-level vocabulary: each token and its rank."""
    printable = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    bytes_of = {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    with file.open("w") as out:
        for token, rank in sorted(tokens.items(), key=lambda one: one[1]):
            token = base64.b64encode(bytes(bytes_of[letter] for letter in token)).decode()
            out.write(f"{token} {rank}\n")


def harmony_count(request):
    import openai_harmony as harmony
    from openai_harmony import Message, Role

    encoding = harmony.load_harmony_encoding(harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
    request = copy.deepcopy(request)
    messages, functions = request["messages"], [tool["function"] for tool in request.get("tools", [])]
    system = harmony.SystemContent.new().with_reasoning_effort(harmony.ReasoningEffort.MEDIUM)
    said = [Message.from_role_and_content(Role.SYSTEM, system.with_conversation_start_date(HARMONY_DATE))]
    developer = harmony.DeveloperContent.new()
    if "continue_final_message" in request:
        raise ValueError("harmony goes on with no message")
    instructs = messages[0]["role"] in ("system", "developer")
    if instructs:
        developer = developer.with_instructions(messages.pop(0)["content"])
    if functions:
        tools = [harmony.ToolDescription.new(one["name"], one["description"], one["parameters"]) for one in functions]
        developer = developer.with_function_tools(tools)
    if instructs or functions:
        said.append(Message.from_role_and_content(Role.DEVELOPER, developer))
    # As vLLM and OpenAI's guide make messages of a chat's.
    called = {}
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = "\n".join(part["text"] for part in content)
        if message["role"] == "assistant":
            if message.get("reasoning_content"):
                said.append(Message.from_role_and_content(Role.ASSISTANT, message["reasoning_content"]).with_channel("analysis"))
            for call in message.get("tool_calls", []):
                name = called[call["id"]] = "functions." + call["function"]["name"]
                call = Message.from_role_and_content(Role.ASSISTANT, call["function"]["arguments"])
                said.append(call.with_channel("commentary").with_recipient(name).with_content_type("json"))
            if not message.get("tool_calls"):
                said.append(Message.from_role_and_content(Role.ASSISTANT, content).with_channel("final"))
        elif message["role"] == "tool":
            author = harmony.Author.new(Role.TOOL, called[message["tool_call_id"]])
            said.append(Message.from_author_and_content(author, content).with_channel("commentary").with_recipient("assistant"))
        elif message["role"] == "user":
            said.append(Message.from_role_and_content(Role.USER, content))
        else:
            raise ValueError("harmony has no such role")
    conversation = harmony.Conversation.from_messages(said)
    if request.get("add_generation_prompt", True):
        tokens = encoding.render_conversation_for_completion(conversation, Role.ASSISTANT)
    else:
        tokens = encoding.render_conversation(conversation)
    text = encoding.decode(tokens)
    return {"tokens": len(tokens), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def later_mistral(version, more):
    """A tekken vocabulary that mistral-common takes for one of a later version: only the control tokens are others."""
    import mistral_common
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    data = json.loads((Path(mistral_common.__file__).parent / "data/tekken_240911.json").read_text())
    names = [str(token["token_str"].value) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS] + more
    data["config"]["version"] = version
    data["special_tokens"] = [{"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tekken.json"
        file.write_text(json.dumps(data))
        return MistralTokenizer.from_file(file)


def mistral_count(tokenizer, request):
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy

    goes_on = "continue_final_message" in request
    request = {key: copy.deepcopy(request[key]) for key in ("messages", "tools") if key in request}
    if goes_on:
        request["messages"][-1]["prefix"] = True
    for message in request["messages"]:
        message.pop("reasoning_content", None)
    tokens = tokenizer.encode_chat_completion(ChatCompletionRequest(**request)).tokens
    text = tokenizer.decode(tokens, special_token_policy=SpecialTokenPolicy.KEEP)
    return {"tokens": len(tokens), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def record(out, name, count):
    lines = []
    for case, request in CASES.items():
        try:
            result = count(request)
        except Exception as error:
            result = {"refused": type(error).__name__}
        lines.append(json.dumps({"case": case, **result}, ensure_ascii=False))
    (out / f"{name}.ndjson").write_text("\n".join(lines) + "\n")


def main(folder, archive, out):
    import transformers

    folder, out = Path(folder), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "cases.json").write_text(json.dumps(CASES, ensure_ascii=False, indent=1) + "\n")
    for name in FOLDERS:
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / name / "tokenizer.json"))
        config = json.loads((folder / name / "tokenizer_config.json").read_text())
        tokenizer.chat_template = config["chat_template"]
        for token in ("bos_token", "eos_token", "unk_token", "pad_token"):
            value = config.get(token)
            if value:
                setattr(tokenizer, token, value["content"] if isinstance(value, dict) else value)
        record(out, name, lambda request: transformers_count(name, tokenizer, request))
    sources = {}
    with tarfile.open(archive) as files:
        for member in files:
            if "/models/templates/" in member.name and member.isfile():
                sources[Path(member.name).stem] = files.extractfile(member).read().decode()
    for name, (template, bos, changed) in TEMPLATES.items():
        source = sources[template]
        for theirs, own in changed.items():
            assert theirs in source, (name, theirs)
            source = source.replace(theirs, own)
        record(out, name, lambda request: rendered(name, source, bos, request))
    with tempfile.TemporaryDirectory() as encodings:
        # Else it would fetch the vocabulary.
        os.environ["TIKTOKEN_ENCODINGS_BASE"] = encodings
        ranks_of(folder / "gpt_oss", Path(encodings) / "o200k_base.tiktoken")
        record(out, "gpt_oss", harmony_count)
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    tekken = MistralTokenizer.v3(is_tekken=True)
    record(out, "mistral_tekken", lambda request: mistral_count(tekken, request))
    for version, more in LATER.items():
        later = later_mistral(version, more)
        record(out, f"mistral_{version}", lambda request: mistral_count(later, request))


if __name__ == "__main__":
    main(*sys.argv[1:])
