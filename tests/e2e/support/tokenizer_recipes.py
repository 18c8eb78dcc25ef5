# SPDX-License-Identifier: Apache-2.0
"""Small tokenizers of every kind, trained with Hugging Face's package from texts of this repository: some in the shapes that
well-known models use, and any number drawn by chance."""
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors, trainers
from tokenizers import pre_tokenizers as pre

from support.tokenizer_texts import SENTENCES

ROOT = pathlib.Path(__file__).resolve().parents[3]

# The expressions that these models' files have.
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
ADDED = ["<tool>", "</tool>", "the", "of ", "Über", "狐狸", " x", "ing", "🇫🇷", "e\u0301", "é", "12", "\n\n", "ĠA"]
BYTE_TOKENS = [f"<0x{i:02X}>" for i in range(256)]


def corpus():
    return SENTENCES * 3 + [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/ir.md", "docs/architecture.md", "CONTRIBUTING.md")]


def split(pattern, behavior="isolated", invert=False):
    return pre.Split(Regex(pattern), behavior, invert)


def bpe(special=(), size=900, alphabet="bytes", **options):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL + list(special), show_progress=False, limit_alphabet=400,
                                  initial_alphabet=sorted(pre.ByteLevel.alphabet()) if alphabet == "bytes" else [])
    return Tokenizer(models.BPE(**options)), trainer


def byte_level(pattern_steps, normalizer=None, **options):
    tokenizer, trainer = bpe(**options)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre.Sequence([*pattern_steps, pre.ByteLevel(add_prefix_space=False, use_regex=not pattern_steps)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, trainer


def digits_then_gpt2():
    tokenizer, trainer = byte_level([])
    tokenizer.pre_tokenizer = pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)])
    return tokenizer, trainer


def byte_fallback(normalizer, pre_tokenizer=None):
    tokenizer, trainer = bpe(BYTE_TOKENS, 900, "none", unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer, trainer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer, trainers.UnigramTrainer(vocab_size=700, unk_token="<unk>", special_tokens=SPECIAL, show_progress=False)


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("</s>", 3), ("<s>", 2))
    return tokenizer, trainers.WordPieceTrainer(vocab_size=900, special_tokens=SPECIAL, show_progress=False)


RECIPES = {
    "gpt2": lambda: byte_level([]),
    "llama3": lambda: byte_level([split(LLAMA3)], ignore_merges=True),
    "qwen2": lambda: byte_level([split(QWEN2)], normalizers.NFC()),
    "o200k": lambda: byte_level([split(O200K)]),
    "deepseek3": lambda: byte_level([split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3)]),
    "smollm": digits_then_gpt2,
    "llama2": lambda: byte_fallback(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])),
    "gemma": lambda: byte_fallback(normalizers.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous")),
    "mistral": lambda: byte_fallback(normalizers.NFKC(), pre.Metaspace(prepend_scheme="first", split=False)),
    "unigram": unigram,
    "bert": wordpiece,
}


def finish(made, rng):
    """Trains it and adds tokens of all sorts."""
    tokenizer, trainer = made
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    # One that the normalizer empties would cut the text at every byte there; here it is nothing.
    texts = [text for text in ADDED if tokenizer.normalizer is None or tokenizer.normalizer.normalize_str(text)]
    tokenizer.add_tokens([AddedToken(text, single_word=rng.random() < 0.3, lstrip=rng.random() < 0.3, rstrip=rng.random() < 0.3,
                                     normalized=rng.random() < 0.5, special=rng.random() < 0.3) for text in rng.sample(texts, 6)])
    return tokenizer


def recipe(name):
    return finish(RECIPES[name](), random.Random(name))


def _random_step(rng):
    # No \X: PCRE2 10.42 ends a cluster between a regional indicator and a mark, and knows no Indic conjuncts.
    behavior = rng.choice(["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"])
    invert = rng.random() < 0.3
    pattern = rng.choice([LLAMA3, QWEN2, O200K, DEEPSEEK3, r"\s+", r"\p{N}{1,3}", r"\w+|[^\w\s]+", r"[[:punct:]]", r"[a-z&&[^aeiou]]+",
                          r"(?<=\d)(?=(\d{3})+\b)", r"[^\x00-\x7f]+", r"\p{Lu}\p{Ll}*", r"\b"])
    return rng.choice([
        lambda: pre.ByteLevel(add_prefix_space=rng.random() < 0.5, use_regex=rng.random() < 0.7),
        lambda: pre.Metaspace(prepend_scheme=rng.choice(["always", "first", "never"]), split=rng.random() < 0.7),
        lambda: pre.Digits(rng.random() < 0.5), lambda: pre.Punctuation(behavior), pre.Whitespace, pre.WhitespaceSplit,
        pre.BertPreTokenizer, lambda: pre.CharDelimiterSplit(rng.choice(" ae")), lambda: pre.Split(" ", behavior, invert),
        lambda: split(pattern, behavior, invert), lambda: split(pattern, behavior, invert), lambda: pre.FixedLength(rng.randrange(1, 6)),
    ])()


def _random_normalizer(rng):
    return rng.choice([
        normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD, normalizers.Lowercase, normalizers.Strip,
        lambda: normalizers.Strip(left=True, right=False), lambda: normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
        normalizers.Nmt, lambda: normalizers.Prepend("▁"), lambda: normalizers.Replace(" ", "▁"),
        lambda: normalizers.Replace(Regex(r"\s+"), " "), normalizers.ByteLevel,
        lambda: normalizers.BertNormalizer(*(rng.random() < 0.5 for _ in range(4))),
        lambda: normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    ])()


def _random_decoder(rng):
    return rng.choice([
        decoders.ByteLevel, decoders.Metaspace, decoders.WordPiece, decoders.BPEDecoder, decoders.CTC, decoders.Fuse,
        lambda: decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
        lambda: decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    ])()


def _random_model(rng):
    kind = rng.choice(["bpe", "bpe", "bpe", "unigram", "wordpiece", "wordlevel"])
    size, alphabet = rng.randrange(300, 900), sorted(pre.ByteLevel.alphabet()) if rng.random() < 0.5 else []
    common = {"vocab_size": size, "show_progress": False}
    if kind == "unigram":
        return Tokenizer(models.Unigram()), trainers.UnigramTrainer(unk_token="<unk>", special_tokens=SPECIAL, initial_alphabet=alphabet,
                                                                    **common)
    if kind == "wordpiece":
        model = models.WordPiece(unk_token="<unk>", max_input_chars_per_word=rng.choice([5, 100]))
        return Tokenizer(model), trainers.WordPieceTrainer(special_tokens=SPECIAL, initial_alphabet=alphabet, **common)
    if kind == "wordlevel":
        return Tokenizer(models.WordLevel(unk_token="<unk>")), trainers.WordLevelTrainer(special_tokens=SPECIAL, **common)
    affixes = {}
    if rng.random() < 0.25:
        affixes["continuing_subword_prefix"] = "##"
    if rng.random() < 0.25:
        affixes["end_of_word_suffix"] = "</w>"
    falls_back = rng.random() < 0.4
    model = models.BPE(unk_token="<unk>" if rng.random() < 0.7 else None, fuse_unk=rng.random() < 0.5, byte_fallback=falls_back,
                       ignore_merges=rng.random() < 0.3, **affixes)
    special = SPECIAL + (BYTE_TOKENS if falls_back and rng.random() < 0.8 else [])
    return Tokenizer(model), trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet,
                                                 limit_alphabet=rng.choice([40, 120, 1000]), **affixes, **common)


def random_recipe(rng):
    """One drawn by chance. The package may refuse to train it, with an exception of any kind."""
    tokenizer, trainer = _random_model(rng)
    if rng.random() < 0.6:
        tokenizer.normalizer = _random_normalizer(rng)
    if rng.random() < 0.9:
        steps = [_random_step(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre.Sequence(steps)
    finish((tokenizer, trainer), rng)
    if rng.random() < 0.8:
        tokenizer.decoder = _random_decoder(rng)
    if rng.random() < 0.4:
        tokenizer.post_processor = rng.choice([
            processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]),
            processors.BertProcessing(("</s>", 3), ("<s>", 2)), processors.ByteLevel(), processors.RobertaProcessing(("</s>", 3), ("<s>", 2))])
    return tokenizer
