# SPDX-License-Identifier: Apache-2.0
"""Random texts that are hard for tokenizers: all planes, marks, controls, kinds of blanks, digits of other scripts, runs."""

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it? I'LL say: they've 12345 of 'em!",
    "Der schnelle Fuchs springt über den faulen Hund, weiß Gott; L'été était bien « là ».",
    "¿Cómo está el niño pequeño? ¡Muy bien! Быстрая лиса прыгает. Η γρήγορη αλεπού πηδά.",
    "敏捷的棕色狐狸跳过了懒狗。今天天气很好,我们去公园吧!カタカナとひらがな。素早い茶色の狐。",
    "안녕하세요! 빠른 여우가 게으른 개를 뛰어넘는다. الثعلب البني السريع. השועל החום המהיר קופץ.",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर। สุนัขจิ้งจอกสีน้ำตาล İstanbul'da ılık ığdır. ქართული",
    "def fib(n: int) -> int:\n    a, b = 0, 1\n    for _ in range(n):\r\n\t\ta, b = b, a + b\n\n    return a\n",
    "<p class=\"a b\">Hi &amp; bye&nbsp;</p> if(x==null||y!=undefined){i+=1;k>>>=2;}//comment/*x*/\n\n\n",
]
_BLANKS = list(" \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000") + ["\r\n", " \n", "\n ", "  ", "   "]
_HIDDEN = list("\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u2060\u2066\ufe00\ufe0f\ufeff\ufff9\ufffd\uffff\U000e0001")
_MARKS = list("\u0300\u0301\u0308\u0323\u0327\u0345\u0591\u064b\u093c\u094d\u0e31\u20dd\u3099\u309a\ufe20\U0001d165")
_EMOJI = ["😀", "👨\u200d👩\u200d👧\u200d👦", "🇫🇷🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "👍🏽", "🏴\U000e0067\U000e0062\U000e007f", "✨", "☎"]
_DIGITS = list("0123456789٣۵५৭௧๔༣၄៥᠖０９½²Ⅻ①〇三万𝟗𞥕𑁧") + ["1234", "3.14", "1,000", "0xFF"]
_CASES = list("İıſẞßŉǰΐﬁﬃΣςĲǅᾳ가각각Ａａ㍿㈱ﷺÅΩK") + ["'S", "'ll", "’s", "I'm", "N'T"]
_SIGNS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»—…、。「」€£©®™°§¶†‡•∑√∞▁ĠĊ") + ["...", "--", "==>", "//", "/*", "##", "</w>", "▁▁"]
_RANGES = [(0, 0x80), (0x80, 0x250), (0x250, 0x600), (0x600, 0x1000), (0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0xa000),
           (0xa000, 0xd800), (0xe000, 0x10000), (0x10000, 0x12000), (0x16000, 0x1c000), (0x1d000, 0x20000),
           (0x20000, 0x33000), (0xe0000, 0xe0200), (0xf0000, 0x110000)]


def _character(rng):
    low, high = rng.choice(_RANGES)
    return chr(rng.randrange(low, high))


def _neighbours(rng):
    """Characters of one block, as words of a script have them."""
    low, high = rng.choice(_RANGES)
    start = rng.randrange(low, high)
    return "".join(chr(min(start + rng.randrange(40), high - 1)) for _ in range(rng.randrange(2, 9)))


def _slice(rng):
    sentence = rng.choice(SENTENCES)
    begin = rng.randrange(len(sentence))
    return sentence[begin:begin + rng.randrange(1, 24)]


def _run(rng):
    unit = rng.choice([_character, lambda r: r.choice(_BLANKS), lambda r: r.choice(_SIGNS), _slice,
                       lambda r: r.choice(_DIGITS), lambda r: r.choice("aeZ")])(rng)
    return unit * rng.choice([2, 3, 7, 16, 64, 300])


def random_text(rng, added=()):
    """`added`: texts of added tokens, which then occur whole, cut and side by side."""
    def added_text(r):
        text = r.choice(list(added) or ["<s>"])
        return text if r.random() < 0.7 else text[:r.randrange(1, len(text) + 1)]

    makers = [_character, _neighbours, _slice, _slice, _run, added_text,
              *(lambda r, pool=pool: r.choice(pool) for pool in (_BLANKS, _BLANKS, _HIDDEN, _MARKS, _EMOJI, _DIGITS, _CASES, _SIGNS))]
    few = rng.sample(makers, rng.randrange(1, 6))  # some texts are of one kind, others of all
    parts = []
    for _ in range(rng.choice([1, 2, 3, 5, 8, 20, 60])):
        parts.append(rng.choice(few)(rng))
        if rng.random() < 0.2:
            parts.append(" ")
    return "".join(parts)[:4000]
