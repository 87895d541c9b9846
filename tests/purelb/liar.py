"""A server of plain sockets that says exactly what a test has it say, one answer per connection."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Answer: TypeAlias = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What is said to a request: bytes and then the end, or whatever is done to the connection."""


@dataclass(slots=True)
class Liar:
    """``answers`` are given in their order, the last one for ever; ``requests`` are what came."""

    answers: list[Answer]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    answering: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.answering.add(task)
        task.add_done_callback(self.answering.discard)
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def tokens(self) -> list[str]:
        """The tokens that came with the requests."""
        lines = [line for request in self.requests for line in request.split(b"\r\n")]
        return [line.split(b" ")[-1].decode() for line in lines if line.lower().startswith(b"authorization:")]


@asynccontextmanager
async def liar(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Liar]:
    """One on loopback, for as long as the block."""
    one = Liar(list(answers))
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()
        for task in one.answering:
            task.cancel()


def http(status: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer, after which the connection ends."""
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def stream(*parts: bytes) -> bytes:
    """An answer of unknown length, as a watch is, that ends with the last part."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def status(code: int, reason: str, message: str = "no") -> bytes:
    """A refusal in the API server's own words."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code, "reason": reason, "message": message}
    return http(f"{code} {reason}", json.dumps(body).encode())


def item(name: str = "one", **metadata: Any) -> bytes:
    """A 200 with an object."""
    return http("200 OK", json.dumps(body_of(name, **metadata)).encode())


def body_of(name: str = "one", **metadata: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "resourceVersion": "7", **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


async def hang(writer: asyncio.StreamWriter) -> None:
    """Take the request and never say a word."""
    await asyncio.sleep(3600)


async def reset(writer: asyncio.StreamWriter) -> None:
    """Half an answer, and then RST."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def write_kubeconfig(path: Path, url: str, ca: Path | None = None, **user: Any) -> None:
    """A kubeconfig whose user is ``user``."""
    cluster = {"server": url, **({"certificate-authority": str(ca)} if ca else {})}
    text = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "us", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "us"}}],
            "current-context": "lab",
        }
    )
    path.write_text(text)
