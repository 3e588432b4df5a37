"""The HTTP client: limits of time and size, proxies, and every failure as a cause in words."""

import asyncio
import base64
import gzip
import time

import pytest
from tests.support.raw_server import HEAD, serve

from clinical_camel.teachers import client
from clinical_camel.teachers.client import Answer, Client


def send(url: str, seconds: float = 5.0, limit: int = 1000, key: str = "") -> Answer:
    async def run() -> Answer:
        async with Client(key, seconds) as opened:
            return await opened.send("POST", url, b"{}", limit)

    return asyncio.run(run())


def test_a_body_is_read_and_the_key_masked():
    key = "sk-0123456789abcdef"
    with serve(HEAD + b"Content-Length: 30\r\n\r\n", b'{"echo":"%s"}' % key.encode()) as (
        port,
        sent,
    ):
        answer = send(f"http://127.0.0.1:{port}/v1", key=key)
    assert (answer.status, answer.body, answer.cause) == (200, b'{"echo":"[key]"}', "")
    assert b"Authorization: Bearer " + key.encode() in sent[0]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_without_an_end_is_cut_at_the_limit(encoding):
    content = b"x" * 50_000_000
    body = gzip.compress(content) if encoding == "gzip" else content[:100_000]
    with serve(HEAD + f"Content-Encoding: {encoding}\r\n\r\n".encode(), body) as (port, _):
        answer = send(f"http://127.0.0.1:{port}/v1")
    assert (len(answer.body), answer.cause) == (1000, "the reply is larger than 1000 bytes")


def test_a_body_that_drips_is_given_up_after_the_time_limit():
    started = time.monotonic()
    with serve(HEAD + b"Content-Length: 99\r\n\r\n", *[b"x"] * 50, pause=0.1) as (port, _):
        answer = send(f"http://127.0.0.1:{port}/v1", seconds=0.5)
    assert time.monotonic() - started < 4
    assert answer.cause == f"no complete reply from 127.0.0.1:{port} in 0.5 s"
    assert (answer.sent, answer.status) == (True, 200)


@pytest.mark.parametrize(
    ("pieces", "cause", "sent"),
    [
        ((b"",), "closed the connection without a reply", True),
        ((HEAD + b"Content-Length: 99\r\n\r\nhalf",), "was cut", True),
        ((b"SSH-2.0-OpenSSH_9\r\n\r\n",), "does not answer in HTTP", True),
        ((HEAD + b"Content-Encoding: zstd\r\n\r\nx",), "compressed as zstd, which was not", True),
        ((HEAD + b"Content-Encoding: GZIP\r\n\r\nnot gzip",), "is damaged", True),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}",), "not answer in HTTP", True),
        ((HEAD + b"X-Many: 1\r\n" * 20_000 + b"\r\n",), "not answer in HTTP", True),
    ],
)
def test_a_failure_has_a_cause_in_words(pieces, cause, sent):
    with serve(*pieces) as (port, _):
        answer = send(f"http://127.0.0.1:{port}/v1")
    assert cause in answer.cause
    assert answer.sent is sent


def test_a_name_that_is_not_known_and_a_closed_port_are_not_reached(monkeypatch):
    monkeypatch.setattr(client, "find_proxy", lambda url: "")
    for url, cause in {
        "https://nosuch.invalid/v1": "the name nosuch.invalid is not known",
        "http://127.0.0.1:9/v1": "no connection to 127.0.0.1:9 (connection refused: no server",
    }.items():
        answer = send(url)
        assert answer.cause.startswith(cause)
        assert not answer.sent


def test_an_https_address_of_a_plain_server_is_named():
    with serve(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        answer = send(f"https://127.0.0.1:{port}/v1")
    assert answer.cause.startswith(f"no TLS connection to 127.0.0.1:{port} (")
    assert not answer.sent


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"HTTP/1.1 502 Bad\r\n\r\n", "the proxy HOST answered HTTP 502 for teacher.example"),
        (b"HTTP/1.1 407 Auth\r\n\r\n", "wants a login: HTTPS_PROXY=http://user:password@HOST"),
        (HEAD + b"\r\n<html>sign in</html>", "teacher.example through the proxy HOST ("),
        (b"", "teacher.example through the proxy HOST closed the connection"),
    ],
)
def test_the_proxy_of_the_environment_is_used_and_its_password_not_shown(reply, cause, monkeypatch):
    with serve(reply) as (port, received):
        monkeypatch.setenv("https_proxy", f"http://user:secret-word@127.0.0.1:{port}")
        answer = send("https://teacher.example/v1", key="sk-0123456789abcdef")
    assert cause in answer.cause.replace(f"127.0.0.1:{port}", "HOST")
    assert "secret-word" not in answer.cause
    assert received[0].startswith(b"CONNECT teacher.example:443")
    assert base64.b64encode(b"user:secret-word") in received[0]
    assert b"sk-01" not in b"".join(received)


def test_a_proxy_that_is_no_address_is_named(monkeypatch):
    for proxy in ("http://user:secret-word@[::1", "http://user:secret-word@127.0.0.1:99999"):
        monkeypatch.setenv("https_proxy", proxy)
        host = proxy.rpartition("@")[2]
        assert (
            send("https://teacher.example/v1").cause == f"the proxy {host} is not a valid address"
        )


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://teacher.example/v1", "http://proxy:3128"),
        ("https://inside.example/v1", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("http://localhost:8000/v1", ""),
        ("http://[::1]:8000/v1", ""),
    ],
)
def test_a_proxy_is_not_used_for_this_machine_nor_for_no_proxy(url, proxy, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy:3128")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "proxy:3128")
    monkeypatch.setenv("no_proxy", ".example.org,inside.example")
    assert client.find_proxy(url) == proxy


def test_a_redirect_is_not_followed_and_a_key_in_a_header_is_masked():
    key = "sk-0123456789abcdef"
    redirect = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/?k={key}\r\n\r\n".encode()
    with serve(redirect) as (port, _):
        answer = send(f"http://127.0.0.1:{port}/v1", key=key)
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:9/?k=[key]")
