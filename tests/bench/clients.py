"""The clients that are measured, as their users run them: renewd, Caddy and Apache's
mod_md as daemons, the raw client for what the CA can give at most, and lego, certbot,
uacme and dehydrated as commands, one certificate after the other.

All have P-256 keys, HTTP-01, and a CA whose root they were told of. What can be asked of
each: `names` to be issued, `missing()` why it can't run here.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.nginx import Nginx
from programs.place import Place
from programs.ports import accepts, free_port
from programs.program import Program, ProgramError, clean_environment
from programs.renewd import Renewd, program
from programs.tls import served

from authorities import Authority
from table import debian_version
from usage import Run, run

SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
CONTACT = "ops@example.net"


class Daemon:
    """A program that issues what it is configured with, and stays. `done()`: all that
    were issued are where they belong. `restartable`: what it costs at rest is asked."""

    label = ""
    package = ""
    binary = ""
    needs_root = False
    restartable = True

    def __init__(self, place: Place, ca: Authority, names: list[str]) -> None:
        self.place, self.ca, self.names = place, ca, names
        self.program = self.make()

    @classmethod
    def missing(cls) -> str:
        if cls.binary and not shutil.which(cls.binary, path=clean_environment()["PATH"]):
            return f"{cls.package} isn't installed"
        return "needs root" if cls.needs_root and os.geteuid() else ""

    @classmethod
    def version(cls) -> str:
        return debian_version(cls.package) if cls.package else ""

    def make(self) -> Program:
        raise NotImplementedError

    def done(self) -> bool:
        raise NotImplementedError

    def longest_turn(self) -> float | None:
        """Of its event loop, in seconds, where it says."""
        return None


class TheRenewd(Daemon):
    """As configured by default, but with as many orders at once as an administrator
    would allow who has so many certificates and a CA of his own; and without placeholders,
    as in renewals, which is what a daemon does all its life."""

    max_orders = 64
    keys = "ecdsa-p256"
    label = f"renewd, max_orders = {max_orders}"

    def make(self) -> Renewd:
        renewd = Renewd(self.place, http_port=self.ca.http_port)
        renewd.add_ca("ca", self.ca)
        renewd.set("renewd", log_level="notice", max_orders=self.max_orders)
        renewd.set("defaults", ca="ca", placeholder="no", keys=self.keys)
        for name in self.names:
            renewd.add_certificate(name)
        return renewd

    def done(self) -> bool:
        counts = self.program.get("/v1/status")["counts"]["state"]
        return counts["valid"] == len(self.names)

    def longest_turn(self) -> float | None:
        return longest_turn(self.program)


class TheRenewdWithRsa(TheRenewd):
    """Keys that take a second each to make."""

    keys = "rsa-4096"
    label = "renewd, keys = rsa-4096"


def longest_turn(renewd: Renewd) -> float | None:
    """renewd_loop_turn_max_seconds; None where it has no figure."""
    for line in renewd.api("GET", "/metrics").body.decode().splitlines():
        if line.startswith("renewd_loop_turn_max_seconds "):
            return float(line.split()[1]) or None
    return None


class CaddyServer(Program):
    """Serves the names by HTTPS; `accounts` of them share its names evenly."""

    name = "caddy"

    def __init__(self, place: Place, ca: Authority, names: list[str], accounts: int) -> None:
        super().__init__(place)
        self.names = names
        self.storage = self.folder / "storage"
        self.https_port = free_port()
        self.config_path = self.folder / "Caddyfile"
        sites = (self.site(ca, names[number::accounts], number) for number in range(accounts))
        self.config_path.write_text(f"""{{
    admin off
    skip_install_trust
    auto_https disable_redirects
    http_port {ca.http_port}
    https_port {self.https_port}
    storage file_system {self.storage}
}}
{"".join(sites)}""")

    def site(self, ca: Authority, names: list[str], account: int) -> str:
        return f"""
{", ".join(f"https://{name}" for name in names)} {{
    tls {{
        issuer acme {{
            dir {ca.directory}
            email ops{account}@example.net
            trusted_roots {ca.trust_file}
            disable_tlsalpn_challenge
        }}
    }}
    respond "ok"
}}
"""

    def command(self) -> list[str | Path]:
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.config_path]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"XDG_DATA_HOME": str(self.folder / "data"),
                                        "XDG_CONFIG_HOME": str(self.folder / "config")}

    def ready(self) -> bool:
        """Serves the last one with a certificate."""
        return accepts(self.https_port) and serves(self.https_port, self.names[-1])

    def issued(self) -> int:
        return sum(1 for _ in self.storage.glob("certificates/*/*/*.crt"))


def serves(port: int, name: str) -> bool:
    try:
        return name in served(port, name).names
    except OSError:
        return False


class CaddyAsItComes(Daemon):
    label = "Caddy, as it comes"
    package = binary = "caddy"

    def accounts(self) -> int:
        return 1

    def make(self) -> CaddyServer:
        return CaddyServer(self.place, self.ca, self.names, self.accounts())

    def done(self) -> bool:
        return self.program.issued() == len(self.names)


class CaddyUnlimited(CaddyAsItComes):
    """Its limiter lets 10 orders begin in 10 s, for each e-mail address of an account: so
    it has an account for every ten names."""

    label = "Caddy, limiter lifted"

    def accounts(self) -> int:
        return -(-len(self.names) // 10)


class ApacheServer(Program):
    """Its children run as www-data, and so have to reach their folder."""

    name = "apache"
    stop_signal = signal.SIGTERM
    modules = ("mpm_event", "authz_core", "socache_shmcb", "ssl", "md")

    def __init__(self, place: Place, ca: Authority, names: list[str]) -> None:
        super().__init__(place)
        self.names = names
        self.https_port = free_port()
        for folder in (place.path, self.folder):
            folder.chmod(0o755)
        trust = self.folder / "trust.pem"
        trust.write_bytes(ca.trust_file.read_bytes())
        self.config_path = self.folder / "apache.conf"
        loads = "".join(f"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"
                        for module in self.modules)
        hosts = "".join(f"MDomain {name}\n<VirtualHost *:{self.https_port}>\n"
                        f"ServerName {name}\nSSLEngine on\n</VirtualHost>\n" for name in names)
        self.config_path.write_text(f"""{loads}
ServerRoot {self.folder}
ServerName localhost
PidFile {self.folder}/apache.pid
DefaultRuntimeDir {self.folder}
User www-data
Group www-data
ErrorLog {self.folder}/error.log
Listen 127.0.0.1:{ca.http_port}
Listen 127.0.0.1:{self.https_port}
MDStoreDir {self.folder}/md
MDCertificateAuthority {ca.directory}
MDCACertificateFile {trust}
MDCertificateAgreement accepted
MDContactEmail {CONTACT}
MDPrivateKeys secp256r1
MDCAChallenges http-01
MDPortMap http:{ca.http_port} https:{self.https_port}
{hosts}""")

    def command(self) -> list[str | Path]:
        return ["apache2", "-DFOREGROUND", "-f", self.config_path]

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def ready(self) -> bool:
        return accepts(self.https_port) and serves(self.https_port, self.names[-1])

    def output(self) -> str:
        log = self.folder / "error.log"
        return super().output() + (log.read_text(errors="replace") if log.exists() else "")

    def issued(self) -> int:
        """Those that wait for its next restart, and those that it serves."""
        return len({path.parent.name for kind in ("staging", "domains")
                    for path in self.folder.glob(f"md/{kind}/*/pubcert*.pem")})


class ModMd(Daemon):
    label = "Apache mod_md"
    package, binary = "apache2", "apache2"
    needs_root = True

    def make(self) -> ApacheServer:
        return ApacheServer(self.place, self.ca, self.names)

    def done(self) -> bool:
        return self.program.issued() == len(self.names)


class Command:
    """A client that is run for each certificate, and measured so."""

    label = ""
    package = ""
    binary = ""
    needs_root = False
    webroot = False  # has nginx serve its tokens

    def __init__(self, place: Place, ca: Authority, names: list[str]) -> None:
        self.place, self.ca, self.names = place, ca, names
        self.folder = place.folder(self.binary or "raw")
        self.well_known = self.folder / "www" / ".well-known" / "acme-challenge"
        self.state = self.folder / "state"
        self.state.mkdir()
        if self.webroot:
            self.well_known.mkdir(parents=True)
            Nginx(place, f"    server {{ listen 127.0.0.1:{ca.http_port}; "
                  f"root {self.folder}/www; }}", [ca.http_port]).start()

    missing = classmethod(Daemon.missing.__func__)
    version = classmethod(Daemon.version.__func__)

    def environment(self) -> dict[str, str]:
        return clean_environment(HOME=str(self.folder))

    def prepare(self) -> None:
        """What is done once, such as an account; isn't measured."""

    def commands(self) -> list[list[str | Path]]:
        return [self.issue(name) for name in self.names]

    def issue(self, name: str) -> list[str | Path]:
        raise NotImplementedError

    def run(self, command: list[str | Path]) -> Run:
        done = run(command, self.environment(), self.folder, timeout=900)
        if done.status != 0:
            raise ProgramError(f"{self.label}: status {done.status}\n{done.output[-2000:]}")
        return done


class Raw(Command):
    label = "raw client"
    orders = 16

    def commands(self) -> list[list[str | Path]]:
        return [[program("tests/raw_client/raw_client"), "-d", self.ca.directory,
                 "-t", self.ca.trust_file, "-p", str(self.ca.http_port),
                 "-n", str(len(self.names)), "-j", str(self.orders)]]


class Lego(Command):
    label = package = binary = "lego"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"LEGO_CA_CERTIFICATES": str(self.ca.trust_file)}

    def issue(self, name: str) -> list[str | Path]:
        return ["lego", "--server", self.ca.directory, "--email", CONTACT, "--accept-tos",
                "--path", self.state, "--key-type", "ec256", "--http", "--http.port",
                f"127.0.0.1:{self.ca.http_port}", "--domains", name, "run"]


class Certbot(Command):
    label = package = binary = "certbot"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"REQUESTS_CA_BUNDLE": str(self.ca.trust_file)}

    def certbot(self, verb: str, *more: str | Path) -> list[str | Path]:
        return ["certbot", verb, "--server", self.ca.directory, "--non-interactive",
                "--agree-tos", "-m", CONTACT, "--config-dir", self.state, "--work-dir",
                self.folder / "work", "--logs-dir", self.folder / "logs", *more]

    def prepare(self) -> None:
        self.run(self.certbot("register", "--no-eff-email"))

    def issue(self, name: str) -> list[str | Path]:
        return self.certbot(
            "certonly", "--standalone", "--http-01-port", str(self.ca.http_port),
            "--key-type", "ecdsa", "--elliptic-curve", "secp256r1", "-d", name)


class Uacme(Command):
    """It trusts the system's roots and no others: so it gets a mount of its own over
    them, all of the system's and Pebble's."""

    label = package = binary = "uacme"
    needs_root = True
    webroot = True

    def environment(self) -> dict[str, str]:
        return super().environment() | {"UACME_CHALLENGE_PATH": str(self.well_known)}

    def uacme(self, *words: str | Path) -> list[str | Path]:
        roots = self.folder / "roots.pem"
        if not roots.exists():
            roots.write_bytes(SYSTEM_ROOTS.read_bytes() + self.ca.trust_file.read_bytes())
        return ["unshare", "--mount", "--", "sh", "-c",
                f'mount --bind "$1" {SYSTEM_ROOTS} && shift && exec "$@"', "sh", roots,
                "uacme", "--acme-url", self.ca.directory, "--confdir", self.state,
                "--type", "EC", "--hook", "/usr/share/uacme/uacme.sh", "--yes", *words]

    def prepare(self) -> None:
        self.run(self.uacme("new", CONTACT))

    def issue(self, name: str) -> list[str | Path]:
        return self.uacme("issue", name)


class Dehydrated(Command):
    label = package = binary = "dehydrated"
    webroot = True

    def dehydrated(self, *words: str | Path) -> list[str | Path]:
        config = self.state / "config"
        config.write_text(
            f"CA={self.ca.directory}\nBASEDIR={self.state}\nWELLKNOWN={self.well_known}\n"
            f"DOMAINS_TXT={self.state}/domains.txt\nKEY_ALGO=prime256v1\n"
            f"CONTACT_EMAIL={CONTACT}\nCURL_OPTS=\"--cacert {self.ca.trust_file}\"\n")
        (self.state / "domains.txt").write_text("\n".join(self.names) + "\n")
        return ["dehydrated", "--config", config, *words]

    def prepare(self) -> None:
        self.run(self.dehydrated("--register", "--accept-terms"))

    def commands(self) -> list[list[str | Path]]:
        return [self.dehydrated("--cron")]  # all of its domains.txt
