r"""Text without backslashes, for ML Metadata on PostgreSQL. Knows no database and no protobuf.

ml-metadata 1.17 and 1.21 write the literals of their SQL themselves, for what they store *and look
up*. On PostgreSQL they let libpq quote, which answers `'…'`, and take that apart to put quotes of
their own around it. But what has a backslash libpq quotes as ` E'…'`, and `); DROP TABLE x; --\`
becomes `'E'); DROP TABLE x; --\\'`: a literal, and the text itself as SQL (docs/mlmd.md, trap 11).
So no backslash may reach them; here each becomes a sign that means nothing to any SQL:

    \   becomes  ⧵        U+29F5, reverse solidus operator: other tools still show a backslash
    ⧵   becomes  ⧹⧵       U+29F9, big reverse solidus, quotes the two signs
    ⧹   becomes  ⧹⧹

What that keeps, since SQL compares encoded text with encoded text:

* equality, for `encode` is injective: encode what is looked up, and find just that;
* prefixes, both ways: the code is prefix-free;
* substrings (`LIKE`): what holds `q` also does encoded. The converse fails only for text that
  itself holds ⧵ or ⧹ (a search for `\` finds a ⧵ too);
* upper and lower case, and lengths: one sign for one, unless the text holds ⧵ or ⧹, and never
  more signs than it had bytes of UTF-8, so what fits in 255 bytes fits `VARCHAR(255)`.

It does not keep the place of the backslash in an order, nor sizes in bytes (a backslash takes
three): order what was decoded, or accept that it sorts after the letters, and bound the size
of what was encoded. Text of none of these signs, which is nearly all, is returned as it came.
"""

from __future__ import annotations

import re

BACKSLASH = "\u29f5"
QUOTE = "\u29f9"
_WORDS = re.compile(f"{QUOTE}([{BACKSLASH}{QUOTE}])|{BACKSLASH}")


def encode(text: str) -> str:
    """`text` with no backslash in it; any text has one, and `decode` undoes it."""
    if BACKSLASH in text or QUOTE in text:
        text = text.replace(QUOTE, QUOTE + QUOTE).replace(BACKSLASH, QUOTE + BACKSLASH)
    return text.replace("\\", BACKSLASH)


def decode(text: str) -> str:
    """What `encode` was given. A quoting sign that quotes nothing (another tool wrote it, not
    `encode`) stands for itself."""
    if BACKSLASH in text or QUOTE in text:
        return _WORDS.sub(lambda word: word[1] or "\\", text)
    return text
