"""How the secrets we hand out are written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.auth import base62, key_secrets, refresh_tokens
from mezzotint.auth.authentication import Authenticator
from mezzotint.auth.memory_store import MemoryKeys, Tables, open_memory
from mezzotint.auth.pepper import Pepper
from mezzotint.auth.records import KeyHolder
from mezzotint.auth.revocations import RevocationLog
from mezzotint.auth.store import Store
from mezzotint.auth.tokens import AccessTokens
from mezzotint.runtime.clock import new_id
from mezzotint.runtime.errors import CredentialInvalid
from mezzotint.runtime.logging import hidden
from tests.auth.test_tokens import KEY
from tests.support.clock import ManualClock, counting_ids

PEPPER = Pepper(bytes(range(32)))
TEXT = st.text(st.sampled_from(base62.ALPHABET), min_size=1, max_size=80)


def test_a_key_holds_its_id_and_160_random_bits() -> None:
    """Ensures that secrets are long enough that guessing is hopeless, and differ."""
    secret = key_secrets.mint(new_id("key"))
    assert re.fullmatch(r"mzt_[0-9a-z]{26}_[0-9A-Za-z]{33}", secret)
    assert len(base62.ALPHABET) ** base62.RANDOM_LENGTH > 2**160
    assert len({key_secrets.mint("key_1") for _ in range(100)}) == 100


# The same in every example: hypothesis draws letters other than its own.
SECRET = key_secrets.mint(new_id("key"))


@given(st.data())
def test_any_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    """Ensures that a typing error in a key is told apart from an unknown key, without a look-up."""
    secret = SECRET
    position = data.draw(st.integers(0, len(secret) - 1))
    wrong = data.draw(st.sampled_from(base62.ALPHABET).filter(lambda letter: letter != secret[position]))
    with pytest.raises(CredentialInvalid):
        key_secrets.parse(secret[:position] + wrong + secret[position + 1 :])


@given(st.text(max_size=100) | TEXT.map("mzt_{}".format))
def test_garbage_is_neither_key_nor_refresh_token(text: str) -> None:
    """Ensures that no text makes parsing fail in another way."""
    with pytest.raises(CredentialInvalid):
        key_secrets.parse(text)
    with pytest.raises(CredentialInvalid):
        refresh_tokens.parse(text, PEPPER)


def test_what_is_minted_is_parsed() -> None:
    """Ensures that both kinds lead back to what they belong to, and are not taken for each other."""
    key_id, session_id = new_id("key"), new_id("ses")
    secret, token = key_secrets.mint(key_id), refresh_tokens.mint(session_id, PEPPER)
    assert key_secrets.parse(secret) == key_id
    assert refresh_tokens.parse(token, PEPPER) == session_id
    with pytest.raises(CredentialInvalid):
        key_secrets.parse(token)
    with pytest.raises(CredentialInvalid):
        refresh_tokens.parse(secret, PEPPER)


def test_another_servers_refresh_token_is_a_forgery() -> None:
    """Ensures that the signature depends on the pepper."""
    token = refresh_tokens.mint("ses_1", Pepper(bytes(32)))
    with pytest.raises(CredentialInvalid):
        refresh_tokens.parse(token, PEPPER)


def test_the_log_hides_both() -> None:
    """Ensures that the redaction of log lines knows the form of our secrets."""
    for secret in (key_secrets.mint(new_id("key")), refresh_tokens.mint(new_id("ses"), PEPPER)):
        assert secret not in str(hidden(f"failed with {secret} in the text"))
        assert secret[-20:] not in str(hidden(f"failed with {secret} in the text"))


@given(st.integers(0, 62**6 - 1))
def test_base62_is_a_positional_number(number: int) -> None:
    """Ensures that different numbers have different texts of the same length."""
    text = base62.encode(number, 6)
    value = 0
    for letter in text:
        value = value * 62 + base62.ALPHABET.index(letter)
    assert (len(text), value) == (6, number)


def test_a_digest_has_one_purpose() -> None:
    """Ensures that a hash made for one use proves nothing in another."""
    assert PEPPER.digest("a", "text") != PEPPER.digest("b", "text")
    assert PEPPER.digest("a", "b\0c") != Pepper(bytes(32)).digest("a", "b\0c")
    assert PEPPER.matches("a", "text", PEPPER.digest("a", "text"))
    assert not PEPPER.matches("a", "text", PEPPER.digest("a", "other"))


class CountingKeys(MemoryKeys):
    """Keys in memory that count the look-ups."""

    looked_up = 0

    async def find(self, key_id: str) -> KeyHolder | None:
        self.looked_up += 1
        return await super().find(key_id)


async def test_a_wrong_checksum_never_reaches_the_store() -> None:
    """Ensures that garbage costs no look-up, while a well-formed unknown key costs one."""
    log, clock = RevocationLog(), ManualClock()
    keys, memory = CountingKeys(Tables(log)), open_memory(log)
    store = Store(memory.accounts, keys, memory.sessions)
    authenticator = Authenticator(store, AccessTokens([KEY], clock, counting_ids()), PEPPER, clock)
    unknown = key_secrets.mint("key_1")
    for credential, looked_up in ((unknown[:-1] + "!", 0), (unknown[:-6] + "000000", 0), ("mzt_x", 0), (unknown, 1)):
        with pytest.raises(CredentialInvalid):
            await authenticator.verify(credential)
        assert keys.looked_up == looked_up
