"""What the reference implementations say that prompts count.

    reference.py FOLDER OUT      FOLDER holds the tokenizers' packages, unpacked: NAME/tokenizer.json …

Writes OUT/cases.json, the requests, and OUT/NAME.ndjson, a line a case: how many tokens the reference
gives for it and the SHA-256 of what it rendered, or why it refuses it. transformers reads the folders offline; mistral-common brings its own.
"""

import copy
import hashlib
import json
import sys
from pathlib import Path

from cases import CASES

FOLDERS = ["qwen2_5", "qwen3", "llama3_1", "deepseek_v3", "gemma3"]

# What servers do to a request before they render it (vLLM's chat_utils): arguments become values, and the
# texts of a list are joined where the template expects one text.
STRINGS_AS_ARGUMENTS = {"deepseek_v3"}
TAKES_PARTS = {"gemma3"}


def prepared(name, request):
    messages = copy.deepcopy(request["messages"])
    for message in messages:
        if isinstance(message["content"], list) and name not in TAKES_PARTS:
            message["content"] = "\n".join(part["text"] for part in message["content"])
        if message.get("tool_calls") and not message["content"]:
            message["content"] = None if name in STRINGS_AS_ARGUMENTS else ""
        for call in message.get("tool_calls", []):
            if name not in STRINGS_AS_ARGUMENTS:
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def transformers_count(name, tokenizer, request):
    from transformers.utils.chat_template_utils import _compile_jinja_template as compiled

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


def mistral_count(tokenizer, request):
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy

    request = {key: copy.deepcopy(request[key]) for key in ("messages", "tools") if key in request}
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


def main(folder, out):
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
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    tekken = MistralTokenizer.v3(is_tekken=True)
    record(out, "mistral_tekken", lambda request: mistral_count(tekken, request))


if __name__ == "__main__":
    main(*sys.argv[1:])
