"""tests/check-source finds what it is for: a small tree for each rule, broken once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "check-source"
HEAD = "/*\n * It is for a test.\n */\n"

GOOD = {
    "lib/key.h": "struct key;\n",
    "lib/key.c": '#include "key.h"\n\n#include <openssl/types.h>\n',
    "lib/json.c": "#include <yajl/yajl_parse.h>\n",
    "daemon/platform/clock.h": "long clock_now(void);\n",
    "daemon/platform/clock.c": '#include "platform/clock.h"\nlong now = time(NULL);\n',
    "daemon/config/config.h": '#include "key.h"\n',
    "daemon/renew/ca.c": '#include "config/config.h"\nint r = poll->open(1) + malloc(n / 3 * 4);\n'
                         '/* strcpy(a, b) */ const char *url = "https://gets(x)";\n',
    "daemon/platform/https.c": "#include <curl/curl.h>\n",
    "daemon/main.c": '#include "renew/ca.h"\n',
    "daemon/renew/ca.h": "struct ca;\n",
}


def check(top: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.startswith("\0") else HEAD + text)
        if text.startswith("\0"):
            path.write_text(text[1:])
    done = subprocess.run([SCRIPT, top], capture_output=True, text=True, check=False)
    assert done.returncode == bool(done.stdout), done.stderr
    return done.stdout.splitlines()


def test_a_good_tree_has_no_findings(tmp_path: Path) -> None:
    files = GOOD | {"daemon/renew/ca.c": '#include "renew/ca.h"\n\n' + GOOD["daemon/renew/ca.c"]}
    assert check(tmp_path, files) == []


@pytest.mark.parametrize("file, text, finding", [
    pytest.param("daemon/platform/file.c", '#include "config/config.h"\n',
                 "4: platform may not include config", id="upward-include"),
    pytest.param("daemon/bundle/bundle.c", '#include "deploy/deploy.h"\n',
                 "4: bundle may not include deploy", id="neighbour"),
    pytest.param("lib/csr.c", '#include "platform/clock.h"\n',
                 "4: lib may not include platform", id="library-includes-daemon"),
    pytest.param("daemon/ctl/main.c", '#include "config/config.h"\n',
                 "4: ctl may not include config", id="renewctl-knows-little"),
    pytest.param("daemon/renew/x.c", '#include "nowhere.h"\n',
                 '4: "nowhere.h" is neither', id="missing-header"),
    pytest.param("daemon/util/x.c", "", "1: util has no layer", id="unknown-folder"),
    pytest.param("lib/wire.c", "#include <yajl/yajl_gen.h>\n",
                 "4: <yajl/yajl_gen.h> belongs in lib/json.c", id="yajl"),
    pytest.param("daemon/renew/x.c", "#include <sqlite3.h>\n",
                 "4: <sqlite3.h> belongs in daemon/inventory/", id="sqlite"),
    pytest.param("daemon/platform/http.c", "#include <curl/curl.h>\n",
                 "4: <curl/curl.h> belongs in", id="curl"),
    pytest.param("lib/flow.c", "#include <event2/event.h>\n",
                 "4: <event2/event.h> belongs in daemon/", id="libevent-in-library"),
    pytest.param("lib/flow.c", "#include <sys/socket.h>\n",
                 "4: <sys/socket.h>: libacme does no I/O", id="socket-header-in-library"),
    pytest.param("lib/flow.c", 'void f(void) { fprintf(stderr, "x"); }\n',
                 "4: fprintf(): libacme", id="library-prints"),
    pytest.param("daemon/renew/x.c", "int f(void) { return strcpy(a, b); }\n",
                 "4: strcpy() is banned", id="banned"),
    pytest.param("tests/unit/test_x.c", "int f(void) { return system(a); }\n",
                 "4: system() is banned", id="banned-in-tests"),
    pytest.param("daemon/renew/x.c", "int f(void)\n{\n\treturn time(NULL);\n}\n",
                 "6: time(): time and chance", id="clock"),
    pytest.param("daemon/renew/x.c", "char *p = malloc(count * sizeof(*p));\n",
                 "4: malloc of a product", id="product"),
    pytest.param("daemon/renew/x.c", "int x; // no\n", "4: comments are", id="line-comment"),
    pytest.param("daemon/renew/x.c", "int x; \n", "4: white space", id="trailing-space"),
    pytest.param("daemon/renew/x.c", "int x;", "4: no newline", id="no-newline"),
    pytest.param("daemon/renew/x.c", "\0int x;\n", "1: a file opens", id="no-opening-comment"),
    pytest.param("daemon/renew/ca.c", "#include <stdio.h>\n#include \"renew/ca.h\"\n",
                 "1: its own header, ca.h, comes first", id="own-header-first"),
    pytest.param("daemon/renew/x.h", "unknown_t x;\n",
                 "1: doesn't compile alone", id="header-not-alone"),
])
def test_each_rule_finds(tmp_path: Path, file: str, text: str, finding: str) -> None:
    files = GOOD | {"daemon/deploy/deploy.h": "struct deploy;\n"} | {file: text}
    if file != "daemon/renew/ca.c":
        del files["daemon/renew/ca.c"]
    found = check(tmp_path, files)
    assert len(found) == 1 and found[0].startswith(f"{file}:{finding}"), found


def test_a_library_of_one_file_has_one(tmp_path: Path) -> None:
    line = "#include <idn2.h>\n"
    files = {"daemon/config/idn.c": line, "daemon/config/parse.c": line}
    assert check(tmp_path, files) == [
        "daemon/config/parse.c:1: <idn2.h> is daemon/config/idn.c's"]


HEADER = "int acme_a(void);\nstruct acme_b *acme_c(const char *text,\n    int number);\n"
EXPORTS = "ACME_0 {\nglobal:\n\tacme_a;\n\tacme_c;\nlocal:\n\t*;\n};\n"


@pytest.mark.parametrize("header, exports, finding", [
    pytest.param(HEADER, EXPORTS.replace("\tacme_c;\n", ""),
                 "lib/acme.map:1: acme_c is missing", id="missing"),
    pytest.param(HEADER, EXPORTS.replace("acme_a;", "acme_a;\n\tjson_parse;"),
                 "lib/acme.map:1: json_parse is not in", id="strange"),
    pytest.param(HEADER, EXPORTS.replace("acme_a;", "acme_a;\n\tacme_*;"),
                 "lib/acme.map:1: acme_* is not in", id="pattern"),
    pytest.param(HEADER, EXPORTS.replace("local:\n\t*;\n", ""),
                 "lib/acme.map:1: all else", id="all-is-exported"),
    pytest.param(HEADER.replace("void", "int class"), EXPORTS,
                 "lib/acme.h:1: isn't clean c++", id="no-c++"),
])
def test_the_library_exports_its_header(tmp_path: Path, header: str, exports: str,
                                        finding: str) -> None:
    files = {"lib/acme.h": header, "lib/acme.map": "\0" + exports}
    found = [line for line in check(tmp_path, files)]
    assert len(found) == 1 and found[0].startswith(finding), found
    assert not check(tmp_path, {"lib/acme.h": HEADER, "lib/acme.map": "\0" + EXPORTS})
