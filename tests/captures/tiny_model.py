"""Writes a tiny llama model with random weights: tiny_model.py FILE.gguf. What it says means nothing; that it says it is enough."""
import sys

import gguf
import numpy

WIDTH, LAYERS, HEADS, INNER = 64, 2, 4, 128
WORDS = ["▁the", "▁a", "▁tap", "▁reads", "▁what", "▁passes", "▁and", "▁changes", "▁nothing", "▁does", "e", "t", "a", "o", "▁"]


def main(path):
    random = numpy.random.default_rng(7)
    pieces = [(b"<unk>", gguf.TokenType.UNKNOWN), (b"<s>", gguf.TokenType.CONTROL), (b"</s>", gguf.TokenType.CONTROL)]
    pieces += [(f"<0x{byte:02X}>".encode(), gguf.TokenType.BYTE) for byte in range(256)]
    pieces += [(word.encode(), gguf.TokenType.NORMAL) for word in WORDS]
    it = gguf.GGUFWriter(path, "llama")
    it.add_context_length(2048)
    it.add_embedding_length(WIDTH)
    it.add_block_count(LAYERS)
    it.add_feed_forward_length(INNER)
    it.add_head_count(HEADS)
    it.add_head_count_kv(HEADS)
    it.add_layer_norm_rms_eps(1e-5)
    it.add_rope_dimension_count(WIDTH // HEADS)
    it.add_vocab_size(len(pieces))
    it.add_tokenizer_model("llama")
    it.add_tokenizer_pre("default")
    it.add_token_list([piece for piece, _ in pieces])
    it.add_token_scores([-float(number) for number in range(len(pieces))])
    it.add_token_types([kind for _, kind in pieces])
    it.add_bos_token_id(1)
    it.add_eos_token_id(2)
    it.add_unk_token_id(0)
    it.add_chat_template(
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )

    def weights(name, *shape):
        it.add_tensor(name, random.normal(0, 0.02, shape).astype(numpy.float32))

    def ones(name):
        it.add_tensor(name, numpy.ones(WIDTH, dtype=numpy.float32))

    weights("token_embd.weight", len(pieces), WIDTH)
    weights("output.weight", len(pieces), WIDTH)
    ones("output_norm.weight")
    for layer in range(LAYERS):
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
            weights(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        weights(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        weights(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        weights(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
        ones(f"blk.{layer}.attn_norm.weight")
        ones(f"blk.{layer}.ffn_norm.weight")
    it.write_header_to_file()
    it.write_kv_data_to_file()
    it.write_tensors_to_file()
    it.close()


if __name__ == "__main__":
    main(sys.argv[1])
