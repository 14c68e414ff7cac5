"""The tokenizer knows every text, says it in 24 ids, and gives it back."""

import pytest
from tokenizers import Tokenizer

from training.aquatint.captions import caption_corpus
from training.aquatint.locations import MODEL_DIR
from training.aquatint.records import PictureRecord
from training.aquatint.tokenizer import MAX_TOKENS, PAD_ID, START_ID, train_tokenizer

SHIPPED = MODEL_DIR / "tokenizer" / "tokenizer.json"
TEXTS = ("red heart", "a cat, playing", "naïve café", "日本のねこ", "🚀🚀", "x\u0000y\t z", "ﬁn 100% #1")


@pytest.fixture(params=["small", "shipped"])
def tokenizer(request: pytest.FixtureRequest, records: list[PictureRecord]) -> Tokenizer:
    if request.param == "shipped":
        return Tokenizer.from_file(str(SHIPPED))
    return train_tokenizer(caption_corpus(records), vocabulary_size=320)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    encoding = tokenizer.encode(text)
    assert len(encoding.ids) == MAX_TOKENS
    assert encoding.ids[0] == START_ID
    assert tokenizer.decode(encoding.ids).strip() == text.lower().strip()


def test_case_does_not_matter(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("Red HEART").ids == tokenizer.encode("red heart").ids


def test_the_empty_prompt_is_the_start_token_and_padding(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("").ids == [START_ID] + [PAD_ID] * (MAX_TOKENS - 1)


def test_a_long_prompt_is_cut(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("a very long prompt " * 100)
    assert len(encoding.ids) == MAX_TOKENS
    assert PAD_ID not in encoding.ids


def test_the_shipped_tokenizer_says_common_words_in_few_pieces() -> None:
    tokenizer = Tokenizer.from_file(str(SHIPPED))
    for word in ("red", "blue", "heart", "rocket", "cat", "face", "pizza", "dog", "elephant", "umbrella", "herz", "gato"):
        real = [piece for piece in tokenizer.encode(word).ids if piece not in (PAD_ID, START_ID)]
        assert len(real) <= 2, f"{word!r} is {len(real)} pieces"
