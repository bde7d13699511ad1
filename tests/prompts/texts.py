"""What Hugging Face's library makes of plain texts: where it splits them, and how many tokens they have.

    texts.py FOLDER OUT      FOLDER holds the tokenizers' packages, unpacked: NAME/tokenizer.json …

Writes OUT/texts.ndjson, a line a text: the lengths in bytes of the pieces that DeepSeek's three expressions make of it, one
after another, and the tokens that DeepSeek's and Qwen's tokenizers have of it, special tokens read as plain text.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

# The vocabulary's name in llmtap, and the package that has its tokenizer.json.
TOKENIZERS = {"deepseek_v3": "deepseek_v3", "qwen2": "qwen3"}

CODE = """\
//! Reads a frame: `[length: u32][body]`, at most 16 MiB.
pub fn read<R: BufRead>(input: &mut R) -> io::Result<Option<Vec<u8>>> {
\tlet mut head = [0u8; 4];\r
    if input.read(&mut head)? == 0 { return Ok(None); }
    let length = u32::from_be_bytes(head) as usize;   // 0x7fff_ffff && !0


    assert!(length <= 1 << 24, "{length} > {}", 1 << 24);
    for (i, b) in body.iter_mut().enumerate() { *b ^= KEY[i % 0x20]; i += 1; }
}
#!/usr/bin/env python3
def f(x, *args, **kw): return {"a": [x, -1.5e-3], 'b': f"{x!r:>10}"} or __import__('os').sep*3
SELECT count(*) AS n, model FROM calls WHERE status>=400 AND path LIKE '/v1/%' GROUP BY 2;--done
<div class="a b" id='x'><a href="https://example.org/?q=1&amp;r=%20#top">it's</a></div>
$ curl -sS -H 'Authorization: Bearer sk-…' http://[::1]:8080/v1/chat/completions | jq '.usage|keys[]'
"""

PROSE = """\
The tap isn't in the path; it's beside it (see §3): 1,234.5 ms — naïve café. They'd said "we'll", I'M sure. \
Donaudampfschifffahrtsgesellschaft, ça va, señor; Привет, мир! Γειά σου Κόσμε. 안녕하세요 세계.\n\n\
\u201cQuoted,\u201d she said\u2026 and e.g. 12345678 of 3½ or x² or №7, H₂O, ℃, ①②③.\n  * a list\n  * 10%, $5, €6\n"""

CHINESE = """\
默认情况下，系统启动之后会自动检查网络接口；如果没有找到可用的地址，默认值就是本机。每当有新的请求到来，服务器先读取它的头部，\
然后逐字逐句地把回答发送给客户端，直到连接被关闭为止。昨天傍晚我们沿着湖边散步，柳树的影子倒映在水面上，几只麻雀叽叽喳喳地飞过。\
（注意：《用户手册》第3章的“常见问题”与此有关。）繁體中文亦然，預設的語言為臺灣國語。用Rust写的HTTP服务，QPS约12000，版本v2.5。〇々〆龦㐀𠀀"""

JAPANESE = """\
初期設定では、パケットを記録する前に必ず接続の状態を確認します。もし返事が途中で切れてしまったら、そこまでの文字だけを数えてください。\
「ご注文はお決まりですか？」と尋ねられ、焼き魚定食を2つ頼むと、窓の外では鴎が鳴いていた。ー・ヽヾゝゞ゛゜ヿゟ゠ｶﾞﾊﾟﾌｧＡＢＣ１２３"""

OTHERS = [
    "나는 오늘 아침 일찍 일어나서 커피를 마셨다. 한국어와English를 섞어 쓰면 12개입니다. ㄱㄴㄷ ㅏㅑ 힣",
    "สวัสดีชาวโลก ฉันกำลังทดสอบตัวแยกคำ ๑๒๓ กี่ตัว",
    "नमस्ते दुनिया, यह एक परीक्षा है। क्षत्रिय १२३ हिन्दी",
    "مرحبا بالعالم، هذا اختبار. ١٢٣ لِلْكِتَابِ",
    "שלום עולם, זה מבחן. בְּרֵאשִׁית",
    "தமிழ் மொழி ஒரு சோதனை. తెలుగు భాష ಕನ್ನಡ മലയാളം",
    "ქართული ენა Հայերեն አማርኛ ខ្មែរ မြန်မာ བོད་ཡིག",
    "Tiếng Việt có dấu: Nguyễn Phước, độc lập tự do hạnh phúc",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪🇯🇵 1️⃣ ❤️ ☀️ok👍thanks!🚀💯 🤔...😭😭😭 \U0001f1e6 ✔️",
    "e\u0301A\u030a \u1100\u1161\u11a8 \u212b \ufb01 \u0344 \u1e9b\u0323 a\u0315\u0300\u05ae\u0300\u0062",
    "\u0000\u0001\u007f\u0085\u00ad\ufeff\u200b\u200d\u2028\u2029x\u2060y \u200dz \u200d\u200d \ue000\ue001a \U000f0000b",
    "\u00a0a\u00a0\u00a0b\u3000c\u3000\u3000d \u2009e\u2009 \u205f\u1680f",
    "<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜><think>\n</think><|im_start|>user\nhi<|im_end|><|endoftext|>",
    "<｜fim▁hole｜>▁▁ <|▁pad▁|> ｜ ▁ [INST]",
    "",
    " ",
    "  ",
    "\n",
    " \n",
    "\n ",
    " \n \n\n  \t\r\n\r\n a  b   c    d\t\te \n f\n\n\n\n  g   ",
    "\r\r\n\n\r  x\r y",
    "'", " '", "' ", "''", "'s", " 's", "don't DON'T 'tis ''s x'S'x",
    "1", "12", "123", "1234", "1234567890123", "1 12 123 1234", "a1b22c333d4444e", "１２３４５ ①②③④ ⅧⅨⅩⅪ ½⅓¼¾",
    "!a", "!!a", "!ab!cd!!ef", "a!b", "$x $$x _x __x__ x_y-z.w", "-a --b ---c", "!é !éa !aé #ß #sß", "\u00a1a ¿qué? «a» “a” …a",
    "x=1;y=2;//z\n/*c*/\n", "a.b.c.d...e....f", "!!!!\n\n????\r\n;;;;\n a", " !\n !\n\n!", "( a ) [ b ]{ c }",
    "あA1あ1Aア亜", "A中A中 1中1 中 中", "中文。中文，中文", "，默认", "的\u0301的", "一\u3000二", "・ー゛ ・あ",
    "😀a a😀 😀 😀😀1 1😀中😀あ", "\u0301a \u0301\u0301 \u0301", "\u200da \u200d中 \u200d1 \u200d! !\u200d", "\u0001\n\u0001a\u0001",
    "internationalization antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "aB aBC ABc AbCdEf XMLHttpRequest iPhone SHOUTING",
]


class Noise:
    """The same numbers in each run."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self.state >> 33) % bound

    def of(self, alphabet, length):
        return "".join(alphabet[self.below(len(alphabet))] for _ in range(length))


def noise():
    """Texts by chance, out of what splitters and merges are most likely to stumble over."""
    random = Noise(1)
    common = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"
    for length in (40, 130, 300):
        yield random.of("abcdefghijklmnopqrstuvwxyz", length)
        yield random.of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", length)
        yield random.of("ab", length)
        yield random.of(common, length)
        yield random.of("あいうえおかきくけこさしすせそたちつてとなにのはひまみもやよらりるれをんっー", length)
        yield random.of("!=-#~*_+", length)
        yield random.of(" \t", length)
        yield random.of("\r\n ", length)
        yield random.of("0123456789", length)
        yield random.of("👍🏽👩🎉❤\u200d\ufe0f", length)
        yield random.of("กขคงจฉชซะาเแโ\u0e31\u0e34\u0e48", length)
    for character in ("a", "A", " ", "\n", "\t", "=", "!", "7", "的", "あ", "é", "👍", "\u00a0", "\u0301", "'s", " \n", "!\u0301"):
        yield character * 200
    mixed = list("aBz09é'!\"#/_ \n\r\t\u00a0\u3000你好默龦あア・ー。，“한กี\u0301\u200d\u00ad\u0001👍ſKǅⅧ½٣ªʰ") + ["ll", "  ", "\n\n", "'s", "123"]
    for _ in range(60):
        yield random.of(mixed, 5 + random.below(30))
    ideographs = [chr(c) for c in range(0x4E00, 0x9FA6)]
    for _ in range(4):
        yield random.of(ideographs, 60)
    # Of the planes in use, without what is no character.
    for _ in range(20):
        text = "".join(chr(random.below(0x30000)) for _ in range(60))
        yield "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000)


def plain(file):
    """The tokenizer without its special tokens, so that their texts are texts."""
    description = json.loads(file.read_text())
    description["added_tokens"] = []
    description["post_processor"] = None
    return Tokenizer.from_str(json.dumps(description))


def main(folder, out):
    tokenizers = {name: plain(Path(folder) / package / "tokenizer.json") for name, package in TOKENIZERS.items()}
    splitter = tokenizers["deepseek_v3"].pre_tokenizer
    lines = []
    for text in [CODE, PROSE, CHINESE, JAPANESE, *OTHERS, *noise()]:
        # A place is a character's; the pieces have a letter for each byte.
        pieces = [len(piece) for piece, _ in splitter.pre_tokenize_str(text)]
        assert sum(pieces) == len(text.encode())
        tokens = {name: len(tokenizer.encode(text, add_special_tokens=False)) for name, tokenizer in tokenizers.items()}
        lines.append(json.dumps({"text": text, "pieces": pieces, **tokens}, ensure_ascii=False, separators=(",", ":")))
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / "texts.ndjson").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
