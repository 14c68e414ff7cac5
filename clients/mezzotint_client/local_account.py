"""The account of this machine: what `mezzotint up` and the demo use, with a password that nobody has to choose."""

import dataclasses
import secrets
from pathlib import Path

from mezzotint.runtime.errors import AccountExists, CredentialExpired, CredentialInvalid, CredentialRevoked
from mezzotint_client.client import Client
from mezzotint_client.profile import Profile, authority_pem, load, save

EMAIL = "local@mezzotint.internal"
KEY_NAME = "local"
REFUSED = (CredentialInvalid, CredentialExpired, CredentialRevoked)


async def local_account(data: Path, address: str) -> Profile:
    """An account at the gateway with a key that works, the same as last time if there was one; kept as the folder's profile."""
    async with Client.connect(address, authority_pem=authority_pem(data / "tls" / "ca.pem")) as client:
        known = load(data)
        if known is not None and await key_works(client, known):
            profile = dataclasses.replace(known, address=address)
        elif known is not None and known.password:
            profile = await renewed(client, dataclasses.replace(known, address=address))
        else:
            profile = await opened(client, address, EMAIL)
    save(data, profile)
    return profile


async def key_works(client: Client, profile: Profile) -> bool:
    """Whether the gateway knows the profile's key."""
    try:
        await client.with_credential(profile.api_key).accounts.get_account()
    except REFUSED:
        return False
    return True


async def renewed(client: Client, profile: Profile) -> Profile:
    """The profile with a new key. When its account is gone as well, a new account."""
    try:
        return await with_new_key(client, profile)
    except CredentialInvalid:
        return await opened(client, profile.address, profile.email)


async def opened(client: Client, address: str, email: str) -> Profile:
    """A new account and its first key. The address has a number added when somebody has it already."""
    profile = Profile(address, email, api_key="", password=secrets.token_urlsafe(24))
    try:
        await client.accounts.sign_up(email, profile.password)
    except AccountExists:
        name, _, host = EMAIL.partition("@")
        profile = dataclasses.replace(profile, email=f"{name}-{secrets.token_hex(4)}@{host}")
        await client.accounts.sign_up(profile.email, profile.password)
    return await with_new_key(client, profile)


async def with_new_key(client: Client, profile: Profile) -> Profile:
    """The profile with a key made by signing in with its password."""
    session = await client.accounts.sign_in(profile.email, profile.password)
    accounts = client.with_credential(session.access_token).accounts
    key = await accounts.create_api_key(KEY_NAME)
    await accounts.sign_out()
    return dataclasses.replace(profile, api_key=key.secret)
