"""renewd as systemd starts it: told where to say that it is ready and how it stands."""

from __future__ import annotations

import socket
import time

from .renewd import Renewd


class Supervised(Renewd):
    """Is ready when it says READY=1, whatever it answers; keeps all it has said."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.notify_path = self.folder / "notify"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.bind(str(self.notify_path))
        self.messages: list[str] = []
        self.launched_at = 0.0
        self.ready_at = 0.0

    def environment(self) -> dict[str, str]:
        return super().environment() | {"NOTIFY_SOCKET": str(self.notify_path)}

    def launch(self) -> None:
        self.listen()  # what is left of the run before
        self.messages.clear()
        self.launched_at = time.monotonic()
        super().launch()

    def listen(self) -> None:
        """Takes in what it has said."""
        while True:
            try:
                self.messages += self.notify.recv(4096).decode().splitlines()
            except BlockingIOError:
                return

    def statuses(self) -> list[str]:
        self.listen()
        return [m.removeprefix("STATUS=") for m in self.messages if m.startswith("STATUS=")]

    def ready(self) -> bool:
        self.listen()
        if "READY=1" not in self.messages:
            return False
        self.ready_at = time.monotonic()
        return True
