"""Text without backslashes: what encoding promises to those who look things up by it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lineage.store.literal import BACKSLASH, QUOTE, decode, encode

# The signs that matter are likely, so that they meet; surrogates too, which UTF-8 has not.
signs = st.sampled_from(["\\", BACKSLASH, QUOTE, "'", "a", "A", "%", "_", "\x00", "\ud800"])
texts = st.text(signs | st.characters())
plain = st.text(st.characters(blacklist_characters=f"\\{BACKSLASH}{QUOTE}"))


@given(texts)
def test_any_text_comes_back(text: str) -> None:
    """Decoding undoes encoding, whatever the text, which also makes encoding injective."""
    assert decode(encode(text)) == text


@given(texts)
def test_no_backslash_is_left(text: str) -> None:
    """Neither as a character nor, in UTF-8, as a byte of another one."""
    assert "\\" not in encode(text)
    assert b"\\" not in encode(text).encode("utf-8", "surrogatepass")


@given(plain)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """What holds neither a backslash nor the two signs is stored as it is, and read so."""
    assert encode(text) is text
    assert decode(text) is text


@given(texts)
def test_foreign_text_is_decoded_to_something(text: str) -> None:
    """What another tool wrote need not be encoded: it decodes without an error, and without
    the two signs, as itself."""
    assert isinstance(decode(text), str)
    if BACKSLASH not in text:
        assert decode(text.replace(QUOTE, "")) == text.replace(QUOTE, "")


def test_a_quote_that_quotes_nothing_stands_for_itself() -> None:
    """So another tool's text keeps it."""
    assert decode(f"a{QUOTE}b{QUOTE}") == f"a{QUOTE}b{QUOTE}"


@given(texts, texts)
def test_prefixes_stay_prefixes_and_nothing_else_becomes_one(text: str, start: str) -> None:
    """A search by prefix, encoded, finds exactly what it would find in the plain texts."""
    assert encode(text).startswith(encode(start)) == text.startswith(start)
    assert encode(start + text).startswith(encode(start))


@given(texts, texts, texts)
def test_parts_stay_parts(before: str, part: str, after: str) -> None:
    """A search for a part never misses; where the two signs are not, it finds nothing else."""
    assert encode(before + part + after) == encode(before) + encode(part) + encode(after)
    text = before + after
    if BACKSLASH not in text and QUOTE not in text:
        assert (encode(part) in encode(text)) == (part in text)


@given(texts)
def test_case_is_folded_before_or_after_alike(text: str) -> None:
    """Searches fold case: it does not matter on which side of the encoding."""
    assert encode(text).lower() == encode(text.lower())
    assert encode(text).upper() == encode(text.upper())


@given(texts)
def test_what_fits_by_its_bytes_fits_encoded_by_its_characters(text: str) -> None:
    """Names of 255 bytes at most fit a column of 255 characters."""
    assert len(encode(text)) <= len(text.encode("utf-8", "surrogatepass"))


def test_a_windows_path_is_still_readable() -> None:
    """Another tool's page shows something that looks like what was meant."""
    assert encode(r"C:\models\v1") == "C:⧵models⧵v1"
