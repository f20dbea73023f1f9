"""A TLS reverse proxy between renewd and its CA, which answers by itself what a test has
scripted, and passes on everything else.

The Host header is kept, as Pebble builds its URLs from it and checks the JWS `url` against
them: so all that the CA names is asked here, too. It runs in a thread of the test, with an
event loop of its own; a test scripts and looks from outside.

    proxy.script("/ari", Answer(404), Answer(500))   # the next two requests for it
    proxy.always("/ari", Answer(200, body, {"Retry-After": "60"}))
    proxy.always("/order-plz", refuse_if_it_replaces)   # a function of the request
    proxy.change("/ari", without("Retry-After"))        # what the CA answered, changed
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .ports import free_port
from .program import Program

if TYPE_CHECKING:
    from .pebble import Pebble
    from .place import Place

HEAD_MAX = 64 * 1024
LINK_SECONDS = 0.5
# What belongs to one connection, and not to the message (RFC 9110 section 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def payload(self) -> dict:
        """Of a JWS; {} for POST-as-GET and where there is none."""
        if not self.body:
            return {}
        text = json.loads(self.body).get("payload", "")
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) or b"{}")


@dataclass(frozen=True)
class Answer:
    """What the client gets. A header that is None is taken away."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, error: str, detail: str = "so the test wants it",
            **headers: str) -> Answer:
    """A problem document of ACME."""
    body = {"type": f"urn:ietf:params:acme:error:{error}", "detail": detail, "status": status}
    return Answer(status, json.dumps(body).encode(),
                  {"Content-Type": "application/problem+json"} | headers)


# Answers, or None: the CA is to answer.
Script = Callable[[Request], Answer | None]
Change = Callable[[Request, Answer], Answer]


def with_headers(**headers: str | None) -> Change:
    """Sets headers of the CA's answer (Retry_After="5"), or takes them away (None)."""
    wanted = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    def change(_: Request, answer: Answer) -> Answer:
        kept = {n: v for n, v in answer.headers.items() if n.lower() not in wanted}
        return replace(answer, headers=kept | {n: v for n, v in wanted.items()
                                               if v is not None})
    return change


class Proxy(Program):
    """Stands before `ca`, with its certificate: give it to renewd instead."""

    name = "proxy"

    def __init__(self, place: Place, ca: Pebble) -> None:
        super().__init__(place)
        self.ca = ca
        self.certificate = ca.certificate
        self.port = free_port()
        self.http_port = ca.http_port
        self.requests: list[tuple[Request, Answer]] = []  # in the order of their answers
        self._next: list[tuple[str, Answer | Script]] = []
        self._always: dict[str, Answer | Script] = {}
        self._change: dict[str, Change] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._accepting: asyncio.Task[None] | None = None
        self._greeted: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._upstream = threading.local()

    # As a CA.

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def directory(self) -> str:
        return f"{self.url}/dir"

    @property
    def trust_file(self) -> Path:
        return self.certificate.trust_file

    # What it is told; each may be called at any time.

    def script(self, path: str, *answers: Answer | Script) -> None:
        """For the next requests whose path begins so, one each; before what is always."""
        with self._lock:
            self._next += [(path, answer) for answer in answers]

    def always(self, path: str, answer: Answer | Script | None) -> None:
        """For all of them; None: the CA answers again."""
        with self._lock:
            self._always.pop(path, None)
            if answer is not None:
                self._always[path] = answer

    def change(self, path: str, how: Change | None) -> None:
        """What the CA answers there is passed on like this; None: as it is."""
        with self._lock:
            self._change.pop(path, None)
            if how is not None:
                self._change[path] = how

    # What it has seen.

    def seen(self, path: str = "", method: str = "") -> list[tuple[Request, Answer]]:
        with self._lock:
            return [(q, a) for q, a in self.requests
                    if q.path.startswith(path) and (not method or q.method == method)]

    def count(self, path: str = "", method: str = "") -> int:
        return len(self.seen(path, method))

    # Running: a thread instead of a process.

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), daemon=True)
        self._thread.start()
        if not begun.wait(self.start_timeout):
            raise self.error("didn't begin")

    def stop(self) -> None:
        self.destroy()

    def destroy(self) -> None:
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.stop_timeout)
        self._thread = None

    def _run(self, begun: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._tls.load_cert_chain(self.certificate.cert, self.certificate.key)
        self._listen()
        begun.set()
        self._loop.run_forever()
        self._unlisten()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        listener.setblocking(False)
        self._accepting = self._loop.create_task(self._accept(listener))

    def _unlisten(self) -> None:
        if self._accepting:
            self._accepting.cancel()
            self._accepting = None
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                link, _ = await self._loop.sock_accept(listener)
                task = self._loop.create_task(self._welcome(link))
                self._greeted.add(task)
                task.add_done_callback(self._greeted.discard)

    # One connection.

    async def _welcome(self, link: socket.socket) -> None:
        """The TLS handshake."""
        await self._begin(link, self._tls)

    async def _begin(self, link: socket.socket, tls: ssl.SSLContext) -> None:
        def protocol() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader(limit=HEAD_MAX, loop=self._loop)
            return asyncio.StreamReaderProtocol(reader, self._serve, loop=self._loop)
        with contextlib.suppress(OSError):  # the client doesn't trust it, or has gone
            await self._loop.connect_accepted_socket(protocol, link, ssl=tls)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (request := await self._read(reader)) is not None:
                await self._exchange(request, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                asyncio.CancelledError):
            pass  # the client has gone, or doesn't speak HTTP; or it is the end
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = await self._answer(request)
        self._note(request, answer)
        writer.write(self._bytes(request, answer))
        await writer.drain()

    def _note(self, request: Request, answer: Answer) -> None:
        with self._lock:
            self.requests.append((request, answer))
            with self.output_path.open("a") as log:
                log.write(f"{request.method} {request.path} {answer.status}\n")

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise
            return None
        first, *lines = head.split("\r\n")[:-2]
        method, path, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in
                        (line.partition(":") for line in lines))
        request = Request(method, path, headers, b"")
        length = int(request.header("Content-Length") or 0)
        return replace(request, body=await reader.readexactly(length))

    @staticmethod
    def _bytes(request: Request, answer: Answer) -> bytes:
        reason = http.client.responses.get(answer.status, "Unknown")
        lines = [f"HTTP/1.1 {answer.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if request.method != "HEAD" and answer.status != 204:
            lines.append(f"Content-Length: {len(answer.body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + (b"" if request.method == "HEAD" else answer.body)

    # What is answered.

    def _scripted(self, request: Request) -> Answer | None:
        """In a thread of its own: a script may take its time."""
        with self._lock:
            script = next((entry for entry in self._next
                           if request.path.startswith(entry[0])), None)
            if script is not None:
                self._next.remove(script)
                what = script[1]
            else:
                what = next((answer for path, answer in self._always.items()
                             if request.path.startswith(path)), None)
        return what(request) if callable(what) else what

    async def _answer(self, request: Request) -> Answer:
        answer = await self._loop.run_in_executor(None, self._scripted, request)
        if answer is not None:
            return answer
        answer = await self._loop.run_in_executor(None, self._pass_on, request)
        with self._lock:
            how = next((change for path, change in self._change.items()
                        if request.path.startswith(path)), None)
        return how(request, answer) if how else answer

    def _link(self) -> http.client.HTTPSConnection:
        """To the CA: one for each thread, kept as long as it is surely good."""
        link, used = getattr(self._upstream, "link", (None, 0.0))
        if link is None or time.monotonic() - used > LINK_SECONDS:
            port = self.ca.front.port if self.ca.front else self.ca.port
            link = http.client.HTTPSConnection("127.0.0.1", port, timeout=60,
                                               context=self.ca.tls_context())
        return link

    def _pass_on(self, request: Request) -> Answer:
        """To the CA."""
        try:
            link = self._link()
            self._upstream.link = None, 0.0
            link.putrequest(request.method, request.path, skip_host=True,
                            skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in HOP_BY_HOP:
                    link.putheader(name, value)
            if request.body or request.method == "POST":
                link.putheader("Content-Length", str(len(request.body)))
            link.endheaders(request.body or None)
            reply = link.getresponse()
            kept = {name: value for name, value in reply.getheaders()
                    if name.lower() not in HOP_BY_HOP}
            answer = Answer(reply.status, reply.read(), kept)
            if not reply.will_close:
                self._upstream.link = link, time.monotonic()
            return answer
        except (OSError, http.client.HTTPException) as why:
            return Answer(502, f"{why}\n".encode())
