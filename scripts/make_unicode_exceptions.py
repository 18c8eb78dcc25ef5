#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/tokenizers/unicode_exceptions.inc: where the tokenizers package and Unicode 14 differ.

The package asks Oniguruma (Unicode 16), Rust's std (newer) and two crates (older); utf8proc 2.8 and PCRE2 10.42 have
Unicode 14, as has the unicodedata module of Python 3.11, which this script needs, with the PyPI package tokenizers.
"""
import pathlib
import sys
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", "run it with Python 3.11"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, POINTS))


def category(c):
    return unicodedata.category(chr(c))


def removed_by(pre_tokenizer):
    kept = set()
    for word, _ in pre_tokenizer.pre_tokenize_str(TEXT):
        kept.update(map(ord, word))
    return set(POINTS) - kept


def ranges(points):
    result = []
    for c in sorted(points):
        if result and result[-1][1] == c - 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def table(name, comment, points):
    yield f"// {comment}"
    yield f"constexpr Range {name}[] = {{"
    for a, b in ranges(points) or [[1, 0]]:  # C++ has no empty arrays
        yield f"    {{0x{a:x}, 0x{b:x}}},"
    yield "};"


def normalized(normalizer, separator="\n"):
    """Of each character, standing between letters."""
    points = [c for c in POINTS if chr(c) != separator]
    parts = normalizer.normalize_str(separator.join("a" + chr(c) + "b" for c in points)).split(separator)
    assert len(parts) == len(points)
    return dict(zip(points, (part[1:-1] for part in parts)))


def is_starter(mark):
    """Whether the package's canonical order leaves the mark where it stands between marks of a lower and a higher class."""
    own = unicodedata.combining(chr(mark))
    known = {c: chr(m) for m in (0x334, 0x93C, 0x3099, 0x94D, 0x591, 0x327, 0x323, 0x302A, 0x301, 0x345) for c in [unicodedata.combining(chr(m))]}
    moved = set()
    for other, character in known.items():
        if other != own:
            text = chr(mark) + character if other < own else character + chr(mark)
            moved.add(normalizers.NFD().normalize_str("a" + text) != "a" + text)
    assert len(moved) == 1, hex(mark)
    return not moved.pop()


def is_alphabetic_symbol(c):
    """Other_Alphabetic among the symbols: circled and squared letters."""
    return any(a <= c <= b for a, b in ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)))


def main():
    out = ["// Made by scripts/make_unicode_exceptions.py: where the tokenizers package and Unicode 14 differ.", ""]

    out += ["// Assigned since Unicode 14, as Oniguruma knows them: first, last, category.",
            "constexpr NewCharacters kNewCharacters[] = {"]
    new = {}
    for name in "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cf".split():
        found = removed_by(pre_tokenizers.Split(Regex(rf"\p{{{name}}}"), "removed"))
        new[name] = {c for c in found if category(c) == "Cn"}
        for a, b in ranges(new[name]):
            out.append(f'    {{0x{a:x}, 0x{b:x}, "{name}"}},')
    out += ["};", ""]

    def all_of(group):
        """Also the new ones: a later utf8proc knows them."""
        return {c for c in POINTS if category(c).startswith(group)}.union(*(new[n] for n in new if n.startswith(group)))

    punctuation = removed_by(pre_tokenizers.Punctuation("removed"))
    ours = all_of("P") | set(map(ord, "$+<=>^`|~"))
    out += table("kNoPunctuation", "Punctuation that the crate unicode_categories does not know as such.", ours - punctuation)
    out += table("kAlsoPunctuation", "And what it does take for punctuation.", punctuation - ours)

    clean = normalized(normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False), "|")
    other = {c for c, text in clean.items() if text == ""}
    ours = all_of("Cc") | all_of("Cf") | all_of("Co") | {0xFFFD}
    out += table("kNoControl", "Cc, Cf and Co that it does not know as such.", ours - other - {9, 10, 13})
    out += table("kAlsoControl", "And what it takes for one of them.", other - ours)

    accents = normalized(normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False))
    marks = {c for c, text in accents.items() if text == ""}
    ours = all_of("Mn")
    out += table("kNoNonspacingMark", "Mn that it does not know as such.", ours - marks)
    out += table("kAlsoNonspacingMark", "And what it takes for Mn.", marks - ours)

    marks = {c for c, text in normalized(normalizers.StripAccents()).items() if text == ""}
    ours = all_of("M")
    out += table("kNoMark", "M* that the crate unicode_normalization_alignments does not know as such.", ours - marks)
    out += table("kAlsoMark", "And what it takes for M*.", marks - ours)

    digits = removed_by(pre_tokenizers.Sequence([pre_tokenizers.Digits(True)]))
    numeric = set()
    for word, _ in pre_tokenizers.Digits(True).pre_tokenize_str("".join("a" + chr(c) for c in POINTS) + "a"):
        if len(word) == 1 and word != "a":
            numeric.add(ord(word))
    ours = {c for c in POINTS if category(c)[0] == "N"}
    out += table("kAlsoNumeric", "Numbers that Rust's std knows and Unicode 14 does not.", numeric - ours)
    assert not ours - numeric and not digits

    kept = (all_of("L") | all_of("N") | all_of("S")) & set().union(*new.values())
    for form, normalizer in (("NFD", normalizers.NFD()), ("NFC", normalizers.NFC()), ("NFKD", normalizers.NFKD()), ("NFKC", normalizers.NFKC())):
        for c, text in normalized(normalizer).items():
            if text != unicodedata.normalize(form, "a" + chr(c) + "b")[1:-1]:
                assert text == chr(c), (form, hex(c))
                kept.add(c)
    out += table("kNotDecomposed", "Decompositions that unicode_normalization_alignments lacks.", kept)

    marks = [c for c in POINTS if unicodedata.combining(chr(c))]
    out += table("kNoCombiningClass", "Marks that it takes for starters, which the canonical order does not move.",
                 {c for c in marks if is_starter(c)} | (all_of("M") & set().union(*new.values())))

    words = {c for c in POINTS if c in (0x200C, 0x200D) or is_alphabetic_symbol(c) or category(c)[0] in "LM" or category(c) in ("Nd", "Nl", "Pc")}
    found = set()
    for word, _ in pre_tokenizers.Whitespace().pre_tokenize_str(" ".join("a" + chr(c) + "b" for c in POINTS)):
        if len(word) == 3:
            found.add(ord(word[1]))
    assert not words - found
    out += table("kAlsoWord", "\\w of Rust's regular expressions since Unicode 14.", found - words)

    out += ["// Lower case of letters since Unicode 14: capital, small letter.", "constexpr Range kNewLowercase[] = {"]
    for c, text in normalized(normalizers.Lowercase()).items():
        if text != chr(c).lower() and c != 0x130:
            assert len(text) == 1
            out.append(f"    {{0x{c:x}, 0x{ord(text):x}}},")
    out += ["};"]
    pathlib.Path(sys.argv[1]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
