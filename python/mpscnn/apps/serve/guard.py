"""Check who sends a request: the token, the Host header and the page it comes from. Add security headers."""

from __future__ import annotations

import hmac
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from mpscnn.apps.serve.failures import NO_PATH, RefusedError, refusal_answer
from mpscnn.apps.serve.settings import HOST_NAME, Settings, is_loopback

#: Paths that need no token, because process monitors do not have it.
OPEN = {"/v2/health/live", "/v2/health/ready"}

# Content security policy: the live page may load nothing from other servers, and no page may embed it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)
_MAX_KNOWN = 100
#: A Host header: a name or an address in brackets, and an optional port.
_HOST = re.compile(rf"(?:\[([^\]]+)\]|({HOST_NAME}))(?::\d*)?")
#: Headers that may appear only once. If there are two, a proxy could check one and this service use the other.
_ONCE = (
    b"host",
    b"authorization",
    b"origin",
    b"sec-fetch-site",
    b"content-type",
    b"x-request-timeout",
    b"inference-header-content-length",
)
#: Headers that are parsed.
_PARSED = (*_ONCE, b"accept")
#: The largest number of bytes of a header that is parsed. Longer ones would take some 50 ms in the event loop.
_FIELD_BYTES = 8_192
#: The largest number of options in a query. FastAPI parses all of them before the request reaches its route.
_OPTIONS = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_POLICY_NAME = b"content-security-policy"
_POLICY_HEADER = (_POLICY_NAME, _POLICY.encode())


class Guard:
    """ASGI middleware that refuses unauthorised requests.

    On a loopback address the Host header must name this machine. This stops DNS rebinding, where another site's name is
    made to point here. A request with an Origin header must come from a page of this service.

    Args:
        app: the application behind the checks.
        settings: the token and the allowed hosts.
        public: paths of the live page's files, which need no token.
    """

    def __init__(self, app: Any, settings: Settings, public: frozenset[str]) -> None:
        self._app = app
        self._token = None if settings.token is None else settings.token.encode()
        self._open = OPEN | public
        self._any_host = not is_loopback(settings.host) and not settings.allowed_hosts
        self._known: set[str] = set()
        """Host headers that were already checked and accepted."""
        self._hosts = {name.lower() for name in settings.hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Check one request, and pass it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                headers.extend(_HEADERS)
                if all(name != _POLICY_NAME for name, _ in headers):
                    headers.append(_POLICY_HEADER)
            await send(message)

        headers = dict(reversed(scope["headers"]))
        refused = self._refusal(scope, headers)
        app = self._app if refused is None else refusal_answer(scope["path"], refused)
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Any, headers: dict[bytes, bytes]) -> RefusedError | None:
        if len(headers) < len(scope["headers"]):
            names = [name for name, _ in scope["headers"]]
            for once in _ONCE:
                if names.count(once) > 1:
                    message = (
                        f"the header field {once.decode()} is there {names.count(once)} times; send it once"
                    )
                    return RefusedError(400, "BadRequest", message)
        if (long := self._too_long(scope, headers)) is not None:
            return long
        if _CONTROL.search(scope["path"]):  # a route's pattern would match a path with a line end after it
            return RefusedError(HTTPStatus.NOT_FOUND, "NotFound", NO_PATH)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_own_host(host):
            return RefusedError(
                421, "UnknownHost", f"this service is not {host[:100]!r}; --allow-host gives it a name"
            )
        origin = headers.get(b"origin")
        if origin is not None and _host_of(origin) != host:
            return _foreign()
        # Browsers send no Origin header with some requests, such as those for images. Sec-Fetch-Site shows whether
        # such a request comes from another site.
        if (
            headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
            and scope["path"] not in self._open
        ):
            return _foreign()
        if self._token is not None and scope["path"] not in self._open:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(given, self._token) or scheme.lower() != b"bearer":
                about = {"WWW-Authenticate": "Bearer"}
                return RefusedError(
                    401,
                    "Unauthorized",
                    "the request needs the header Authorization: Bearer TOKEN, with the --token of the service",
                    about,
                )
        return None

    @staticmethod
    def _too_long(scope: Any, headers: dict[bytes, bytes]) -> RefusedError | None:
        for name in _PARSED:
            if len(headers.get(name, b"")) > _FIELD_BYTES:
                message = f"the header field {name.decode()} may have {_FIELD_BYTES:,} bytes"
                return RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HeadTooLarge", message)
        if scope["query_string"].count(b"&") >= _OPTIONS:
            return RefusedError(HTTPStatus.BAD_REQUEST, "BadRequest", f"a query may have {_OPTIONS} options")
        return None

    def _is_own_host(self, host: str) -> bool:
        if self._any_host or host in self._known:
            return True
        ours = self._is_own_name(host)
        if ours and len(self._known) < _MAX_KNOWN:
            self._known.add(host)
        return ours

    def _is_own_name(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1] or found[2]
        return is_loopback(name) or name in self._hosts


def _foreign() -> RefusedError:
    return RefusedError(
        403,
        "ForeignOrigin",
        "pages of other sites may not use this service: open the service's own page, or send the request from a "
        "program, without the headers Origin and Sec-Fetch-Site; a proxy must pass on the header Host",
    )


def _host_of(origin: bytes) -> str | None:
    """Return the host and port of an Origin header; None if the header is malformed."""
    try:
        return urlsplit(origin.decode("latin-1").lower()).netloc
    except ValueError:
        return None
