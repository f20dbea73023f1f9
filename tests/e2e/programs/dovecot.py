"""Dovecot: IMAP and POP3 with STARTTLS, for nobody who wants to read mail."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from .place import Place
from .ports import accepts, free_port
from .program import Program


class Dovecot(Program):
    name = "dovecot"

    def __init__(self, place: Place, certificate: Path, key: Path) -> None:
        super().__init__(place)
        self.imap_port, self.pop3_port = free_port(), free_port()
        self.run = self.folder / "run"
        self.pid_file = self.run / "master.pid"
        self.config_path = self.folder / "dovecot.conf"
        user = pwd.getpwuid(os.geteuid()).pw_name
        own = f"default_internal_user = {user}\ndefault_login_user = {user}\n"
        if os.geteuid() == 0:  # it insists on its own
            own = ""
            place.path.chmod(0o711)
            self.folder.chmod(0o711)
        self.config_path.write_text(f"""
{own}base_dir = {self.run}
state_dir = {self.folder}/state
log_path = /dev/stderr
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
passdb {{
  driver = static
  args = nopassword=y
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
""")

    def command(self) -> list[str | Path]:
        return ["dovecot", "-F", "-c", self.config_path]

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def ready(self) -> bool:
        return accepts(self.imap_port) and accepts(self.pop3_port)
