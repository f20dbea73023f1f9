"""What README.md and the manual pages show: their examples, cut out for tests that use
them. An example is a block that is indented (Markdown) or `.Bd -literal` or `.Dl` (mdoc).

A block of Markdown whose first line is `# /PATH` is a file, one that begins with the name
of a program is commands.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from .pebble import TOP

FILE = re.compile(r"# (/\S+)\n")
COMMANDS = ("apt-get", "./dev", "make", "renewd", "renewctl", "journalctl", "systemctl",
            "systemd-sysusers")


@dataclass(frozen=True)
class Block:
    text: str

    @property
    def path(self) -> str:
        """The file that this is, or ""."""
        match = FILE.match(self.text)
        return match[1] if match else ""

    @property
    def commands(self) -> list[str]:
        """Lines for a shell, without their comments; none where it isn't commands."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = [re.sub(r"\s+# .*", "", line) for line in joined.splitlines() if line]
        return lines if lines and lines[0].split()[0] in COMMANDS else []


def markdown(name: str, heading: str = "") -> list[Block]:
    """The indented blocks of a document, or of one of its `## ` parts."""
    text = (TOP / name).read_text()
    if heading:
        _, found, text = text.partition(f"## {heading}\n")
        assert found, f"{name} has no part {heading!r}"
        text = text.partition("\n## ")[0]
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.M)
    return [Block(textwrap.dedent(part).strip("\n") + "\n") for part in found if part.strip()]


def file_block(name: str, path: str) -> str:
    """The text of the block of this document that is this file."""
    (text,) = [block.text for block in markdown(name) if block.path == path]
    return text


def mdoc(name: str, section: str = "") -> list[str]:
    """The literal blocks and lines of a manual page, or of one of its `.Sh` sections."""
    text = (TOP / "docs" / name).read_text()
    if section:
        _, found, text = text.partition(f".Sh {section}\n")
        assert found, f"{name} has no section {section}"
        text = re.split(r"^\.Sh ", text, maxsplit=1, flags=re.M)[0]
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$|^\.Dl ([^\n]*\n)", text, re.M | re.S)
    return [(block or line).replace(r"\e", "\\").replace(r"\(dq", '"') for block, line in blocks]
