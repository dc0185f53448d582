"""An essay -> the texts that are embedded: its summary, and passages over its whole body.

Passages are cut by the model's own tokens, at paragraph and sentence ends, so that nothing is lost past the window:
a 1,300-word essay is seven windows of 256 tokens, and a fixed count of words overflows the window half of the time.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from corpus.essay import Essay

POLICY = "passages-1"
"""Part of every fingerprint: change it whenever the texts made here change."""

CountTokens = Callable[[Sequence[str]], list[int]]

_SENTENCE = re.compile(r"\S.*?(?:[.!?…][\"'”’)\]]*(?=\s)|\Z)", re.DOTALL)


def summary(title: str | None, standfirst: str | None) -> str:
    """Title and standfirst as one text; "" when the essay has neither."""
    title, standfirst = title or "", standfirst or ""
    joint = "" if not title or title.endswith((".", "?", "!", "…")) else "."
    return f"{title}{joint} {standfirst}".strip() if standfirst else title


def passages(essay: Essay, window: int, count_tokens: CountTokens) -> list[str]:
    """The essay's body, in order, as passages of at most `window` tokens; at least one when it has any text.

    Whole blocks are gathered while they fit; a block that does not fit alone is cut at sentence ends, a sentence at
    spaces, a word that is longer than the window by characters.
    """
    texts = [block.text for block in essay.blocks]
    pieces = list(_fitting(texts, window, count_tokens))
    return list(_gathered(pieces, window, count_tokens))


def _fitting(texts: Sequence[str], window: int, count_tokens: CountTokens) -> Iterator[str]:
    """The texts, those longer than the window cut into pieces that fit."""
    for text, tokens in zip(texts, count_tokens(texts), strict=True):
        if tokens <= window:
            yield text
        else:
            parts = _halves(text)
            yield from _gathered(list(_fitting(parts, window, count_tokens)), window, count_tokens, joint=" ")


def _halves(text: str) -> list[str]:
    """Sentences; for a single sentence its two halves, at a space when there is one."""
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    if len(sentences) > 1:
        return sentences
    middle = len(text) // 2
    space = text.find(" ", middle)
    cut = space if 0 < space < len(text) - 1 else middle
    return [part for part in (text[:cut].strip(), text[cut:].strip()) if part]


def _gathered(pieces: list[str], window: int, count_tokens: CountTokens, joint: str = "\n") -> Iterator[str]:
    """Neighbouring pieces joined while they stay within the window.

    The sum of the pieces' tokens bounds the joined text's: each counts its own special tokens, the whole only once,
    and word pieces never reach across white space.
    """
    gathered: list[str] = []
    used = 0
    for piece, tokens in zip(pieces, count_tokens(pieces), strict=True):
        if gathered and used + tokens > window:
            yield joint.join(gathered)
            gathered, used = [], 0
        gathered.append(piece)
        used += tokens
    if gathered:
        yield joint.join(gathered)
