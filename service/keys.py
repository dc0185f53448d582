"""API keys: who may ask about drafts and in batches. The settings hold their digests only."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from corpus.errors import KeyRefused

_KEY_BYTES = 32
"""A key is so much chance that its plain digest cannot be guessed back: it needs neither salt nor a slow hash."""

_scheme = HTTPBearer(
    scheme_name="api_key",
    description="An API key, as `related key` prints it: `Authorization: Bearer KEY`.",
    auto_error=False,
)


def new_key() -> str:
    """A new random key, of 43 letters, digits, - and _."""
    return secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> str:
    """What the setting `api_keys` holds of a key: its sha256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_known(key: str, digests: Iterable[str]) -> bool:
    """Whether one of the digests is the key's; how long that takes does not depend on which, or on how nearly."""
    given, found = digest(key), False
    for known in digests:
        found |= hmac.compare_digest(given, known)
    return found


async def require_key(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> None:
    """A dependency: refuses a request without a known key. Raises KeyRefused."""
    digests = request.app.state.settings.api_keys
    if not digests:
        raise KeyRefused("no key is set in this service, so nobody may ask this: `related key` makes one")
    if credentials is None:
        raise KeyRefused("send a key with the request: `Authorization: Bearer KEY`")
    if not is_known(credentials.credentials, digests):
        raise KeyRefused("the key is not known here")
