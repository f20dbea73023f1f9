"""A proxy before the CA that lets things go wrong, by the table in faults.py: each
request with some chance, or exactly the ones that a test names; and a log of all of it.

    ca = FaultyCA(place, pebble)
    ca.spoil("500")                              # all requests, until mend()
    ca.spoil("badNonce", rate=0.2, seed=7)       # a fifth of those that are signed
    ca.spoil("reset within", kinds={"newOrder"}, times=1, first=3)   # the third newOrder
    ca.spoil(*MANY, rate=0.2)                    # a fifth of all, each time one of these
    ca.down(); ca.up()                           # nobody listens there, then again
    ca.log                                       # a Seen for each request
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .authority import self_signed
from .faults import FAULTS, Fault, is_connection, kind_of
from .proxy import Answer, Proxy, Request

if TYPE_CHECKING:
    from .pebble import Pebble
    from .place import Place


@dataclass
class Seen:
    """One request, by the clock of the proxy."""

    at: float             # when all of it was there
    method: str
    path: str
    kind: str
    content: str          # of what was signed: the same for the same request
    fault: str = ""
    status: int = 0       # 0: it got no answer
    ended: float = 0.0    # when the answer, or the end of the connection, had left
    promised: float = 0.0  # nothing before, said Retry-After


@dataclass
class Plan:
    """Which faults, whom they hit, and how often still."""

    names: list[str]
    rate: float
    kinds: frozenset[str]
    times: int | None
    first: int
    seconds: float
    chance: random.Random
    count: Counter[str] = field(default_factory=Counter)

    def hits(self, name: str, kind: str) -> bool:
        return kind in (FAULTS[name].kinds & self.kinds if self.kinds else FAULTS[name].kinds)

    def choose(self, names: list[str], key: str) -> Fault | None:
        if not names:
            return None
        self.count[key] += 1
        if self.count[key] < self.first or self.times == 0 or self.chance.random() >= self.rate:
            return None
        if self.times is not None:
            self.times -= 1
        return Fault(self.chance.choice(names), self.seconds)


class FaultyCA(Proxy):
    name = "faulty"

    def __init__(self, place: Place, ca: Pebble, host: str = "127.0.0.1") -> None:
        super().__init__(place, ca)
        self.host = host
        self.certificate = self_signed(self.folder, [host])
        self.log: list[Seen] = []
        self.connections: Counter[str] = Counter()  # by what happened to them
        self._plan: Plan | None = None
        # On these the client takes each answer for one of before: what is refused there
        # it doesn't hear.
        self._doubled: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    # What it is told.

    def spoil(self, *names: str, rate: float = 1.0, seed: int = 1, kinds: Iterable[str] = (),
              times: int | None = None, first: int = 1, seconds: float = 2) -> None:
        """In place of what was told before. `first`: of the requests of each kind."""
        assert set(names) <= set(FAULTS), names
        with self._lock:
            self._plan = Plan(list(names), rate, frozenset(kinds), times, first, seconds,
                              random.Random(seed))

    def mend(self) -> None:
        with self._lock:
            self._plan = None

    def down(self) -> None:
        self._in_loop(self._unlisten)

    def up(self) -> None:
        self._in_loop(self._listen)

    def _in_loop(self, what) -> None:
        async def call() -> None:
            what()
            await asyncio.sleep(0)  # the listener is closed when its task has ended
        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    # What it has seen.

    def of_kind(self, *kinds: str) -> list[Seen]:
        with self._lock:
            return [seen for seen in self.log if not kinds or seen.kind in kinds]

    def faults(self) -> Counter[str]:
        with self._lock:
            return Counter(seen.fault for seen in self.log if seen.fault) + \
                Counter({name: count for name, count in self.connections.items() if name})

    # What it does.

    async def _welcome(self, link: socket.socket) -> None:
        with self._lock:
            names = [n for n in self._plan.names if is_connection(n)] if self._plan else []
            fault = self._plan.choose(names, "connections") if self._plan else None
            self.connections[fault.name if fault else ""] += 1
        spoilt = FAULTS[fault.name].connect if fault else None
        if spoilt is None:
            await super()._welcome(link)
            return
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await spoilt(link)

    def _pick(self, kind: str) -> Fault | None:
        with self._lock:
            plan = self._plan
            if plan is None:
                return None
            return plan.choose([n for n in plan.names if plan.hits(n, kind)], kind)

    def _nonce(self) -> str:
        answer = self._pass_on(Request("HEAD", "/nonce-plz", (
            ("Host", f"{self.host}:{self.port}"), ("User-Agent", "faulty")), b""))
        return next(v for n, v in answer.headers.items() if n.lower() == "replay-nonce")

    def _decide(self, fault: Fault, request: Request) -> Answer:
        """In a thread: the CA may have to be asked."""
        row = FAULTS[fault.name]
        if row.instead:
            return row.instead(fault, request, self._nonce)
        answer = self._pass_on(request)
        return row.change(request, answer) if row.change else answer

    async def _exchange(self, request: Request, writer: asyncio.StreamWriter) -> None:
        kind = kind_of(request)
        text = json.loads(request.body).get("payload", "") if request.body else ""
        seen = Seen(time.time(), request.method, request.path, kind,
                    hashlib.sha256(text.encode()).hexdigest())
        with self._lock:
            self.log.append(seen)
        fault = self._pick(kind)
        if fault is None:
            answer = await self._answer(request)
        else:
            seen.fault = fault.name
            answer = await self._loop.run_in_executor(None, self._decide, fault, request)
        seen.status = answer.status
        if fault and writer not in self._doubled:
            seen.promised = fault.promised
        if fault and fault.name.startswith("twice"):
            self._doubled.add(writer)
        self._note(request, answer)
        try:
            await self._deliver(fault, writer, self._bytes(request, answer))
        finally:
            seen.ended = time.time()

    @staticmethod
    async def _deliver(fault: Fault | None, writer: asyncio.StreamWriter, data: bytes) -> None:
        spoilt = FAULTS[fault.name].deliver if fault else None
        if fault and spoilt:
            await spoilt(fault, writer, data)
        else:
            writer.write(data)
            await writer.drain()
