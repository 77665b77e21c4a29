"""Which goal of a document is which goal of the document before it.

Pure. Both sides are given in document order, and the answer is a pairing: an index of the new side
leads to at most one of the old. What has no partner was added or dropped; what has one and other
words was reworded.

The rules, each applied to what the ones before left over, equals among each other in order:

Objectives: 1. the same words under the same headings; 2. the same words elsewhere (realigned);
3. the most alike, if at least `OBJECTIVE_ALIKE_MIN`: the mean of how alike the titles are and of
the share of items they have in common, or the titles alone where neither has items.

Key results, only within one objective (a line that turns up under another heading is a new key
result; `pair_moved` says where it came from): 1. the same text; 2. the same words and brackets;
3. the same words; 4. the most alike, if at least `ITEM_ALIKE_MIN`; 5. a line that took another's
place: both come right after the same kept line, or first, and they share a longer word.

"Words" are a text without box, `[brackets]`, links, emphasis, strike-through, case and punctuation.
"Alike" is difflib's ratio of two texts' words, or `EXTENDED_ALIKE` where one begins with the whole
other (`C# driver`, `C# driver (WIP: started)`). Two longer words are the same when their first
`WORD_OPENING` letters are. The limits were set by reading every pair that 68 revisions of a
company's documents give: 0.6 parts the rewordings from the coincidences there, except for lines
that stay in their place and keep little but their subject, which is what rule 5 is for.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

from msgspec import Struct

OBJECTIVE_ALIKE_MIN = 0.6
ITEM_ALIKE_MIN = 0.6
WORD_OPENING = 4
EXTENDED_ALIKE = 0.8

_LINK_IN_PARENTHESES = re.compile(r"\(\[[^\]]*\]\([^)]*\)\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_BRACKETS = re.compile(r"\[[^\]\s]+\]")
_NOT_WORD = re.compile(r"[^\w#+]+|_+")

Side = TypeVar("Side")

Pairing = dict[int, int]
"""From the index on the new side to the index on the old side."""


class Title(Struct, frozen=True):
    """What tells one objective from another: its headings' words, and its items' words."""

    path: tuple[str, ...]
    items: frozenset[str] = frozenset()


def words(text: str) -> str:
    """What a text says, for comparison only."""
    unbracketed = _BRACKETS.sub(" ", _without_links(text))
    return " ".join(_NOT_WORD.sub(" ", unbracketed).casefold().split()) or text.casefold()


def alike(was: str, now: str) -> float:
    """How alike two texts' words are, from 0 to 1."""
    shorter, longer = sorted((was, now), key=len)
    ratio = SequenceMatcher(None, was, now, autojunk=False).ratio()
    extended = bool(shorter) and f" {longer} ".startswith(f" {shorter} ")
    return max(ratio, EXTENDED_ALIKE) if extended else ratio


def pair_objectives(was: Sequence[Title], now: Sequence[Title]) -> Pairing:
    pairing: Pairing = {}
    _pair_equals(pairing, was, now, lambda title: title.path)
    _pair_equals(pairing, was, now, lambda title: title.path[-1])

    def score(old: Title, new: Title) -> float:
        titles = alike(old.path[-1], new.path[-1])
        either = old.items | new.items
        return (titles + len(old.items & new.items) / len(either)) / 2 if either else titles

    _pair_most_alike(pairing, was, now, score, OBJECTIVE_ALIKE_MIN)
    return pairing


def pair_items(was: Sequence[str], now: Sequence[str]) -> Pairing:
    """Pair the texts of one objective's items."""
    pairing: Pairing = {}
    was_words, now_words = [words(text) for text in was], [words(text) for text in now]
    _pair_equals(pairing, was, now, lambda text: text)
    _pair_equals(pairing, was, now, _words_and_brackets)
    _pair_equals(pairing, was_words, now_words, lambda text: text)
    _pair_most_alike(pairing, was_words, now_words, alike, ITEM_ALIKE_MIN)
    _pair_replaced(pairing, was_words, now_words)
    return pairing


def pair_moved(was: Sequence[str], now: Sequence[str]) -> Pairing:
    """Pair the texts of dropped and added items that say the same under different headings."""
    pairing: Pairing = {}
    _pair_equals(pairing, was, now, lambda text: text)
    _pair_equals(pairing, was, now, words)
    return pairing


def _words_and_brackets(text: str) -> tuple[str, frozenset[str]]:
    return words(text), frozenset(_BRACKETS.findall(_without_links(text)))


def _without_links(text: str) -> str:
    return _LINK.sub(r"\1", _LINK_IN_PARENTHESES.sub(" ", text))


def _pair_equals(
    pairing: Pairing, was: Sequence[Side], now: Sequence[Side], key: Callable[[Side], Hashable]
) -> None:
    waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
    for old in reversed(_left_over(len(was), pairing.values())):
        waiting[key(was[old])].append(old)
    for new in _left_over(len(now), pairing):
        if same := waiting[key(now[new])]:
            pairing[new] = same.pop()


def _pair_most_alike(
    pairing: Pairing,
    was: Sequence[Side],
    now: Sequence[Side],
    score: Callable[[Side, Side], float],
    score_min: float,
) -> None:
    old_left, new_left = _left_over(len(was), pairing.values()), _left_over(len(now), pairing)
    scores = [(score(was[old], now[new]), old, new) for old in old_left for new in new_left]
    paired_old: set[int] = set()
    for found, old, new in sorted(scores, key=lambda found: (-found[0], found[1], found[2])):
        if found >= score_min and old not in paired_old and new not in pairing:
            pairing[new] = old
            paired_old.add(old)


def _pair_replaced(pairing: Pairing, was: Sequence[str], now: Sequence[str]) -> None:
    kept = {-1: -1, **pairing}
    gone = set(_left_over(len(was), kept.values()))
    for new in _left_over(len(now), pairing):
        old = kept.get(new - 1, len(was)) + 1
        if old in gone and _openings(was[old]) & _openings(now[new]):
            pairing[new] = old


def _openings(text: str) -> set[str]:
    """The first letters of a text's longer words: plural, tense and compound do not matter."""
    return {word[:WORD_OPENING] for word in text.split() if len(word) >= WORD_OPENING}


def _left_over(count: int, taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [index for index in range(count) if index not in gone]
