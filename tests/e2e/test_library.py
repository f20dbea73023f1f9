"""libacme as others find it: installed somewhere, found by pkg-config, used by the example
program against Pebble."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import make_pebble
from programs.challtestsrv import ChallTestSrv
from programs.nginx import Nginx
from programs.pebble import Options, Pebble
from programs.place import Place
from programs.renewd import build_folder
from programs.tls import Leaf

TOP = Path(__file__).resolve().parents[2]
EXAMPLE = TOP / "docs" / "examples" / "get_certificate.c"


def output(*command: str | Path, **environment: str) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, env=os.environ | environment, timeout=300)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Installed:
    """What `make install` put below a folder."""

    root: Path
    prefix: Path
    compiler: list[str]

    def pkg_config(self, *words: str) -> list[str]:
        text = output("pkg-config", *words, "acme", PKG_CONFIG_PATH=f"{self.lib}/pkgconfig")
        return shlex.split(text)

    @property
    def lib(self) -> Path:
        return self.prefix / "lib"

    def compile(self, source: Path, program: Path, *words: str) -> None:
        output(*self.compiler, "-Wall", "-Wextra", "-Werror", "-o", program, source,
               *self.pkg_config("--cflags"), *words)


def variable(makefile: str, name: str) -> list[str]:
    return re.search(rf"^{name} = ?(.*)$", makefile, re.M)[1].split()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The build as `make install DESTDIR=...` leaves it. Its own acme.pc says another
    prefix, so it is made for the folder where the library is now."""
    root = tmp_path_factory.mktemp("installed")
    output("make", "-C", build_folder(), "-s", "install", f"DESTDIR={root}")
    makefile = (build_folder() / "Makefile").read_text()
    prefix = Path(f"{root}{' '.join(variable(makefile, 'prefix'))}")
    pc = prefix / "lib" / "pkgconfig" / "acme.pc"
    pc.write_text(re.sub(r"^prefix=.*$", f"prefix={prefix}", pc.read_text(), flags=re.M))
    compiler = variable(makefile, "CC") + variable(makefile, "SANITIZE_FLAGS")
    return Installed(root, prefix, compiler)


def declared() -> set[str]:
    header = re.sub(r"/\*.*?\*/", "", (TOP / "lib" / "acme.h").read_text(), flags=re.S)
    return set(re.findall(r"^[a-z][\w \t\n*]*?\b(acme_\w+)\(", header, re.M))


def symbols(path: Path, *words: str) -> set[str]:
    lines = output("nm", "--defined-only", "--extern-only", *words, path).splitlines()
    names = {line.split()[-1].partition("@")[0] for line in lines if len(line.split()) == 3}
    return {name for name in names if not name.startswith(("ACME_", "__asan", "__odr"))}


def test_what_is_installed(installed: Installed) -> None:
    assert (installed.prefix / "include" / "acme.h").is_file()
    assert (installed.prefix / "share/man/man3/libacme.3").is_file()
    assert (installed.prefix / "share/doc/renewd/examples/get_certificate.c").is_file()
    shared = installed.lib / "libacme.so"
    assert "[libacme.so.0]" in output("readelf", "-d", shared)
    assert symbols(shared, "-D") == declared()
    assert installed.pkg_config("--modversion") == ["0.1.0"]
    assert installed.pkg_config("--libs") == [f"-L{installed.lib}", "-lacme"]
    assert {"-lcrypto", "-lyajl"} <= set(installed.pkg_config("--static", "--libs"))


def test_the_static_library_keeps_its_names_to_itself(installed: Installed) -> None:
    if shutil.which("objcopy") is None:
        pytest.skip("objcopy isn't here, which reads the library's names")
    assert symbols(installed.lib / "libacme.a") == declared()


def test_from_cpp(installed: Installed, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ isn't here")
    if len(installed.compiler) > 1:
        pytest.skip("the library has clang's sanitizers, which g++ can't link; "
                    "the plain build is tested")
    source = tmp_path / "program.cc"
    source.write_text("#include <acme.h>\n#include <cstdio>\nint main() {\n"
                      "  acme_result *r = acme_result_new(ACME_LATER, \"x\", \"%d\", 7);\n"
                      "  std::printf(\"%s %s\", acme_class_name(r->class_), r->detail);\n"
                      "  acme_result_free(r);\n}\n")
    program = tmp_path / "program"
    cpp = Installed(installed.root, installed.prefix, ["g++", "-std=c++11"])
    cpp.compile(source, program, *cpp.pkg_config("--libs"))
    assert output(program, LD_LIBRARY_PATH=str(installed.lib)) == "later 7"


@pytest.mark.pebble(nonce_reject=20)
@pytest.mark.parametrize("kind", ["shared", "static"])
def test_the_example_gets_a_certificate(installed: Installed, place: Place, pebble: Pebble,
                                        http_port: int, kind: str) -> None:
    folder = place.folder("example")
    (folder / "web" / ".well-known" / "acme-challenge").mkdir(parents=True)
    curl = shlex.split(output("pkg-config", "--libs", "libcurl"))
    if kind == "static":
        libs = installed.pkg_config("--static", "--libs")
        libs = [str(installed.lib / "libacme.a") if word == "-lacme" else word for word in libs]
    else:
        libs = installed.pkg_config("--libs")
    installed.compile(EXAMPLE, folder / "get_certificate", *libs, *curl)
    web = Nginx(place, f"server {{ listen {http_port}; root {folder}/web; }}", [http_port])
    web.start()
    output(folder / "get_certificate", pebble.directory, folder / "web", "www.example.test",
           folder / "chain.pem", folder / "key.pem",
           CA_FILE=str(pebble.trust_file), LD_LIBRARY_PATH=str(installed.lib))
    leaf = Leaf.of_file(folder / "chain.pem")
    assert leaf.names == {"www.example.test"}
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert output("openssl", "pkey", "-in", folder / "key.pem", "-pubout") == \
        output("openssl", "x509", "-in", folder / "chain.pem", "-noout", "-pubkey")


def test_the_example_says_what_is_wrong(installed: Installed, place: Place,
                                        pebble: Pebble) -> None:
    folder = place.folder("example")
    (folder / ".well-known" / "acme-challenge").mkdir(parents=True)
    curl = shlex.split(output("pkg-config", "--libs", "libcurl"))
    installed.compile(EXAMPLE, folder / "get_certificate",
                      *installed.pkg_config("--libs"), *curl)
    done = subprocess.run(
        [folder / "get_certificate", pebble.directory, folder, "www.example.test",
         folder / "chain.pem", folder / "key.pem"], capture_output=True, text=True,
        check=False, timeout=120, env=os.environ | {
            "CA_FILE": str(pebble.trust_file), "LD_LIBRARY_PATH": str(installed.lib)})
    assert done.returncode == 1
    assert "get_certificate: order: www.example.test:" in done.stderr
    assert not (folder / "key.pem").exists()


class TlsServer:
    """Answers handshakes that offer this protocol with the certificate in a folder, and
    notes the server names that were asked for."""

    def __init__(self, folder: Path, port: int, protocol: str) -> None:
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "alpn.pem", folder / "alpn.key")
        context.set_alpn_protocols([protocol])
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._socket = context.wrap_socket(socket.create_server(("127.0.0.1", port)),
                                           server_side=True)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except ssl.SSLError:
                continue
            except OSError:  # closed
                return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.mark.parametrize("kind, name, needs", [
    pytest.param("dns-01", "www.example.test", "2.4.0", id="dns"),
    pytest.param("dns-01", "*.example.test", "2.4.0", id="dns-wildcard"),
    pytest.param("tls-alpn-01", "www.example.test", "2.4.0", id="tls-alpn"),
    pytest.param("tls-alpn-01", "127.0.0.1", "2.4.0", id="tls-alpn-address"),
    pytest.param("dns-account-01", "*.example.test", "2.10", id="dns-account"),
    pytest.param("dns-persist-01", "*.example.test", "2.10", id="dns-persist"),
])
def test_each_type_of_challenge(installed: Installed, place: Place, dns: ChallTestSrv,
                                http_port: int, kind: str, name: str, needs: str) -> None:
    """A real CA believes what the library says is to be published."""
    folder = place.folder("order")
    pebble = make_pebble(place, dns, http_port, Options(version=needs))
    program = folder / "order_by"
    curl = shlex.split(output("pkg-config", "--libs", "libcurl"))
    installed.compile(TOP / "tests" / "e2e" / "order_by.c", program, f"-I{EXAMPLE.parent}",
                      *installed.pkg_config("--libs"), *curl)
    server = None
    with subprocess.Popen(
            [program, pebble.directory, kind, name, folder], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {
                "CA_FILE": str(pebble.trust_file),
                "LD_LIBRARY_PATH": str(installed.lib)}) as running:
        lines = []
        for line in running.stdout:
            lines.append(line.rstrip("\n"))
            what, *words = lines[-1].split("\t")
            if what == "txt":
                dns.set_txt(*words)
            elif what == "tls":
                server = TlsServer(folder, pebble.tls_port, words[1])
            elif what == "ready":
                running.stdin.write("go\n")
                running.stdin.flush()
    if server is not None:
        server.close()
        sni = next(line for line in lines if line.startswith("tls")).split("\t")[1]
        assert set(server.names) == {sni}
    assert lines[-1:] == ["issued"], lines
