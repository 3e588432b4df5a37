"""One HTTP client for the run and for `doctor`: proxy, limits of time and size, causes in words.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are used as by other programs; this machine itself
is never reached through a proxy. Redirects are not followed, so the key reaches no other host.
"""

import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import aiohttp

from clinical_camel.teachers.errors import shorten
from clinical_camel.teachers.secrets import Mask
from clinical_camel.teachers.settings import is_loopback

CONNECT_SECONDS = 30.0  # longest wait for a connection
BODY_BYTES = 2**20  # largest body beside the bytes that a reply may need
CHUNK = 2**16
Headers = Mapping[str, str]
_FAILURES = (aiohttp.ClientError, OSError, ValueError, zlib.error)  # TimeoutError is an OSError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request brought. `status` 0: no HTTP status arrived.

    `cause` says why there is no complete body; "" if there is one. `sent`: the request may have
    reached the endpoint.
    """

    status: int = 0
    body: bytes = b""
    headers: Headers = field(default_factory=dict)
    cause: str = ""
    sent: bool = True


def find_proxy(url: str) -> str:
    """Return the proxy for an address from the environment; "" for none."""
    parts = urllib.parse.urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


class Client:
    """Sends requests with a key; every failure is an `Answer`. Open it as an async context.

    `seconds` limits one request from start to end, so a body that drips is given up as well.
    """

    def __init__(self, key: str, seconds: float, connections: int = 1) -> None:
        self._key, self._mask = key, Mask(key)
        self._seconds, self._connections = seconds, connections
        self._proxies: dict[str, str] = {}

    async def __aenter__(self) -> "Client":
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        connect = min(CONNECT_SECONDS, self._seconds)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=connect),
            connector=aiohttp.TCPConnector(limit=self._connections),
            auto_decompress=False,  # ours has a limit
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(
        self, method: str, url: str, data: bytes | None = None, limit: int = BODY_BYTES
    ) -> Answer:
        """Send a request and read at most `limit` bytes of its body, the key masked."""
        if url not in self._proxies:
            self._proxies[url] = find_proxy(url)
        proxy, status, headers, chunks = self._proxies[url], 0, {}, []
        json_type = {"Content-Type": "application/json"} if data is not None else {}
        cause, sent = "", True
        try:
            options = {"proxy": proxy or None, "allow_redirects": False, "headers": json_type}
            async with self._session.request(method, url, data=data, **options) as response:
                status, headers = response.status, response.headers.copy()
                headers.update({n: self._mask.hide(text) for n, text in headers.items()})
                decode = _Decoder(headers.get("Content-Encoding", ""), limit)
                async for chunk in response.content.iter_chunked(CHUNK):
                    chunks += decode(chunk)
                    if decode.remaining <= 0:
                        cause = f"the reply is larger than {limit} bytes"
                        break
        except _FAILURES as error:
            cause, sent = explain_failure(error, url, proxy, self._seconds), was_sent(error)
        body = self._mask.hide_in_body(b"".join(chunks))
        return Answer(status, body, headers, self._mask.hide(cause), sent)


class _Decoder:
    """Decompresses chunks and stops at a number of bytes, whatever is still inside."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.remaining = limit
        self._inflate = None
        if encoding.lower() in ("gzip", "x-gzip", "deflate"):
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        elif encoding not in ("", "identity"):
            name = shorten(encoding)
            raise ValueError(f"the reply is compressed as {name}, which was not requested")

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        piece = self._inflate.decompress(chunk, self.remaining) if self._inflate else chunk
        yield piece[: self.remaining]
        self.remaining -= len(piece)


def was_sent(error: Exception) -> bool:
    """Return whether a request that failed may have reached the endpoint."""
    unsent = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL)
    return not isinstance(error, (*unsent, aiohttp.ConnectionTimeoutError))


def explain_failure(error: Exception, url: str, proxy: str, seconds: float) -> str:
    """Return the cause of a failed request in words; it names hosts, and no key or password."""
    host, proxy_host = _name_host(url), _name_host(proxy)
    first = proxy_host or host  # the host to which the connection leads
    way = f"{host} through the proxy {proxy_host}" if proxy else host
    match error:
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy {proxy_host} answered HTTP {error.status} for {host}"
            login = f"; it wants a login: HTTPS_PROXY=http://user:password@{proxy_host}"
            return text + (login if error.status == 407 else "")
        case aiohttp.ClientProxyConnectionError():
            return f"no connection to the proxy {proxy_host} ({_explain_os(error.os_error)})"
        case aiohttp.ClientConnectorCertificateError():
            reason = shorten(str(error.certificate_error)).partition("(_ssl")[0].strip()
            return f"the certificate of {host} is not trusted ({reason})"
        case aiohttp.ClientSSLError():
            return f"no TLS connection to {way} ({_explain_os(error.os_error)}); is it https?"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {first.rpartition(':')[0] or first} is not known"
        case aiohttp.ClientConnectorError():
            return f"no connection to {way} ({_explain_os(error.os_error)})"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection to {first} in {min(seconds, CONNECT_SECONDS):g} s"
        case aiohttp.ServerDisconnectedError():
            return f"{way} closed the connection without a reply"
        case aiohttp.ClientPayloadError():
            return f"the reply of {host} was cut"
        case TimeoutError():
            return f"no complete reply from {host} in {seconds:g} s"
        case aiohttp.ClientResponseError():
            return f"{way} does not answer in HTTP ({shorten(error.message)})"
        case aiohttp.InvalidURL():
            return f"{'the proxy ' if proxy else ''}{first} is not a valid address"
        case zlib.error():
            return f"the compressed reply of {host} is damaged"
        case OSError():
            return f"the connection to {way} broke ({_explain_os(error)})"
    return shorten(str(error)) or type(error).__name__


def _name_host(url: str) -> str:
    """Return host and port of any text as an address, without user and password."""
    return url.rpartition("://")[2].partition("/")[0].rpartition("@")[2]


def _explain_os(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: no server listens there"
    text = error.strerror if isinstance(error.strerror, str) else str(error)
    return shorten(text.partition("[")[0] or text).lower().rstrip(". ") or type(error).__name__
