"""``flask pickup rehearse``: calling a running server as the platform does, and saying what came of it."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any, ClassVar

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from commands import FLASK, environment, pipe, plain, run, terminal
from conftest import CALLER_SECRET, CONTENT, MakePhone, write
from contracts import OTHERS, SECRETS
from flask_pickup import Pickup
from flask_pickup.platforms import SampleCall
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.rehearsal import CALLER, LINE, OTHER_CALLER, all_steps

SECRET = "a-webhook-secret"
STEPS = all_steps(lambda clock: Flireo((SECRET,), clock=clock), SampleCall("x", CALLER, LINE, datetime.now(UTC)))
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without app or secrets, but for the variable that every rehearsal needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICKUP_WEBHOOK_SECRET", f"{SECRET},an-older-webhook-secret")
    return tmp_path


@pytest.fixture(scope="session")
def pickup_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A real gunicorn as ``scripts/serve`` starts it: its address and its database."""
    folder = tmp_path_factory.mktemp("served")
    database = f"sqlite:///{folder / 'pickup.db'}"
    content = write(folder, CONTENT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = environment(
        PORT=port, PICKUP_WEBHOOK_SECRET=SECRET, PICKUP_CALLER_SECRET=CALLER_SECRET, PICKUP_DATABASE_URL=database,
        PICKUP_EXPERIMENTS=str(content / "experiments"), PICKUP_GREETINGS=str(content / "greetings"),
        PICKUP_SPOOL=str(folder / "spool"),
    )  # fmt: skip
    subprocess.run([FLASK, "pickup", "db", "upgrade"], cwd=ROOT, env=variables, check=True, stdout=-3, timeout=60)
    gunicorn = [str(Path(FLASK).with_name("gunicorn")), "--config", "gunicorn.conf.py"]
    server = subprocess.Popen(gunicorn, cwd=ROOT, env=variables, stdout=-3, stderr=-3)
    deadline = monotonic() + 30
    while not answers(int(port)) and monotonic() < deadline:
        sleep(0.1)
    yield f"http://127.0.0.1:{port}/pickup/webhook", database
    server.terminate()
    server.wait(20)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stub(BaseHTTPRequestHandler):
    """A server that answers everything in one way, and remembers what it was asked."""

    status: ClassVar[int] = 200
    headers_sent: ClassVar[dict[str, str]] = {}
    body: ClassVar[bytes] = b"{}"
    seen: ClassVar[list[tuple[str, bytes]]]

    def do_POST(self) -> None:
        """Answer, and remember."""
        self.seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers_sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


@contextmanager
def stub(**behaviour: Any) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Serve a stub; give its address and what it has been asked."""
    seen: list[tuple[str, bytes]] = []
    handler = type("Stub", (Stub,), {**behaviour, "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/pickup/webhook", seen
        server.shutdown()


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen on a port, and let ``behave`` have each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/pickup/webhook"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_whole_repertoire_is_as_expected(pickup_server: tuple[str, str]) -> None:
    """Against a Pickup every delivery is as expected; each is a line of the table, with what it took."""
    url, _ = pickup_server
    result = run("rehearse", url, "--all")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.stdout
    assert lines[0].split() == ["sent", "expected", "received", "ms"]
    assert [line[:4] for line in lines[1:-2]] == ["ok  "] * len(STEPS)
    assert lines[-1] == f"{url}: {len(lines) - 3} requests, all as expected."


@pytest.mark.slow
def test_whole_repertoire_for_programs(pickup_server: tuple[str, str]) -> None:
    """With --format json each delivery is an object; the calls are stored under ids that say what they are."""
    url, database = pickup_server
    result = run("rehearse", "--all", url, "--format", "json")
    played = json.loads(result.stdout)
    assert (played["url"], played["as_expected"]) == (url, True)
    keys = {"sent", "expected", "got", "as_expected", "call", "status", "seconds"}
    assert all(delivery.keys() == keys for delivery in played["deliveries"])
    engine = create_engine(database)
    with engine.connect() as connection:
        calls = connection.execute(text("SELECT call_id FROM pickup_calls")).scalars().all()
    engine.dispose()
    assert calls
    assert all(call.startswith("pickup-rehearsal-") for call in calls)


@pytest.mark.slow
def test_repertoire_in_a_terminal_of_80_columns(pickup_server: tuple[str, str], here: Path) -> None:
    """In a terminal there is a progress bar, then a table whose lines are not broken."""
    url, _ = pickup_server
    shown, status = terminal("rehearse", url, "--all", folder=here, PICKUP_WEBHOOK_SECRET=SECRET)
    assert status == 0
    assert "Rehearsing" in shown
    assert "\x1b[32mok" in shown
    table = [line for line in plain(shown).splitlines() if line.startswith("ok ")]
    assert len(table) == len(STEPS)
    assert all(len(line) <= 80 for line in table)


@pytest.mark.slow
def test_single_call_in_a_pipe(pickup_server: tuple[str, str], here: Path) -> None:
    """One call shows address, call, arm, words and the whole answer, in a folder that has no app."""
    url, _ = pickup_server
    result = pipe("rehearse", url, "--call", "abc", folder=here, PICKUP_WEBHOOK_SECRET=SECRET)
    assert (result.returncode, result.stderr) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines()[:7])
    assert facts["call"] == "pickup-rehearsal-abc"
    assert facts["caller"].startswith("+")
    assert facts["arm"].startswith("warm-opening: ")
    assert json.loads(result.stdout.partition("answer:\n")[2])["assistant"]["first_message"] == facts["greeting"]


def test_row_and_report_are_shown_beside_the_app(make_phone: MakePhone) -> None:
    """Where the app is, its database shows the call's outcomes; who rang without a number of theirs learns of --from."""
    phone = make_phone(pickup=Pickup(), PICKUP_WEBHOOK_SECRET=SECRET)
    server = make_server("localhost", 0, phone.app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://localhost:{server.server_port}/pickup/webhook"
    shown = run("rehearse", url, app=phone.app).stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in shown[:8])
    assert facts["report"].startswith("200 in ")
    outcomes = dict(line.removeprefix("row").split() for line in shown[8 : shown.index("")])
    assert (outcomes["analysis.rehearsed"], outcomes["duration_seconds"], outcomes["early_hang_up"]) == ("1", "42", "0")
    hint = f"Other numbers may hear another arm: --from {OTHER_CALLER}"
    assert hint in shown
    assert hint not in run("rehearse", url, "--from", OTHER_CALLER, app=phone.app).stdout
    found = json.loads(run("rehearse", url, "--format", "json", app=phone.app).stdout)
    assert (found["row"]["call_id"], found["row"]["outcomes"]["duration_seconds"]) == (found["call"], 42)
    assert "row       not in the database of the app here" in run("rehearse", url, app=make_phone().app).stdout
    server.shutdown()
    server.server_close()


def test_analysis_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings are true, false, numbers and texts. One that the platform's report cannot bring is a usage error."""
    given = {"booked": "true", "angry": "false", "score": "-7.5", "size": "8", "mood": "kind=ly", "name": "True"}
    arguments = [word for name, value in given.items() for word in ("--analysis", f"{name}={value}")]
    with stub() as (url, seen):
        assert run("rehearse", url, *arguments).exit_code == 0
        found = {"booked": True, "angry": False, "score": -7.5, "size": 8, "mood": "kind=ly", "name": "True"}
        assert json.loads(seen[1][1])["message"]["analysis"] == found
        for key, value in {**SECRETS["telnyx"], **OTHERS["telnyx"]}.items():
            monkeypatch.setenv(key, value)
        for wrong, says in (
            (("--analysis", "booked"), "--analysis booked must be a name and a value"),
            (("--analysis", "=true"), "must be a name and a value"),
            (
                ("--platform", "telnyx", *arguments[:2]),
                "The report of telnyx cannot bring booked with the options here",
            ),
        ):
            result = run("rehearse", url, *wrong)
            assert (result.exit_code, says in result.stderr) == (2, True), result.output
        assert len(seen) == 2


def test_secret_of_the_app_here_signs(make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has no platform's secret, the app's own signs."""
    monkeypatch.delenv("PICKUP_WEBHOOK_SECRET")
    with stub() as (url, seen):
        assert run("rehearse", url, app=make_phone().app).exit_code == 0
        assert len(seen) == 2


def test_platform_whose_secret_is_not_here() -> None:
    """A platform is named by --platform; one that has no secret here gets a sentence."""
    result = run("rehearse", "http://127.0.0.1:9/", "--platform", "nobody")
    assert result.exit_code == 2
    assert result.stderr == "The secret of 'nobody' is not set here. Those of flireo are.\n"


@pytest.mark.slow
def test_same_call_again_is_the_same_call(pickup_server: tuple[str, str]) -> None:
    """The same --call is one row, and heard the same words; without one, each is a call of its own."""
    url, database = pickup_server
    first, second = (run("rehearse", url, "--call", "twice", "--format", "json") for _ in range(2))
    assert json.loads(first.stdout)["body"] == json.loads(second.stdout)["body"]
    others = {json.loads(run("rehearse", url, "--format", "json").stdout)["call"] for _ in range(2)}
    assert len(others) == 2
    engine = create_engine(database)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT COUNT(*) FROM pickup_calls WHERE call_id = 'pickup-rehearsal-twice'"))
        assert rows.scalar_one() == 1
    engine.dispose()


@pytest.mark.slow
def test_https_behind_a_prefix(make_phone: MakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It rings over TLS, under whatever prefix; a certificate that nobody vouches for is said to be one."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl here to make a certificate with")
    phone = make_phone(pickup=Pickup())
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-addext", "keyUsage=critical,digitalSignature,keyCertSign"],
        check=True, capture_output=True,
    )  # fmt: skip
    app = DispatcherMiddleware(Flask("front"), {"/shop/phone": phone.app})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("localhost", 0, app, threaded=True, ssl_context=context)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}/shop/phone/pickup/webhook"
    refused = run("rehearse", url)
    assert (refused.exit_code, "certificate verify failed" in refused.stderr) == (1, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert run("rehearse", url).exit_code == 0
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ({"status": 401}, "401: the signature is refused. The secret here differs from the server's"),
        ({"status": 404}, "answered 404: there is no webhook at this path"),
        ({"status": 405}, "answered 405: this path does not accept POST"),
        ({"status": 502}, "answered 502: the proxy in front of the app cannot reach it"),
        ({"status": 307, "headers_sent": {"Location": "https://example.com/x"}}, "redirects to https://example.com/x"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--all",)])
def test_what_to_look_at(behaviour: dict[str, Any], says: str, more: tuple[str, ...]) -> None:
    """Where the server refuses the very first call, a sentence says what to look at, and nothing more is sent."""
    with stub(**behaviour) as (url, seen):
        result = run("rehearse", url, *more)
        assert result.exit_code == 1
        assert says in result.stderr
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<h1>Welcome</h1>", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"assistant": {"first_message": 5}}', "invalid: assistant"),
    ],
)
def test_answer_that_the_platform_would_not_take(body: bytes, says: str) -> None:
    """A 2xx is not enough: what the platform would not understand is not well."""
    with stub(body=body) as (url, _):
        result = run("rehearse", url)
        assert (result.exit_code, says in result.stderr) == (1, True)


@pytest.mark.slow
def test_server_that_says_yes_to_everything_fails() -> None:
    """A server that answers whatever it gets is not as expected wherever it should refuse; the exit status is 1."""
    with stub() as (url, seen):
        result = run("rehearse", url, "--all", "--format", "json")
        played = {delivery["sent"]: delivery for delivery in json.loads(result.stdout)["deliveries"]}
    assert result.exit_code == 1
    wrong = {name for name, delivery in played.items() if not delivery["as_expected"]}
    assert wrong == {name for name, delivery in played.items() if delivery["expected"].startswith("refused")}
    assert played["not signed"]["got"] == "200, not 401"
    assert {path for path, _ in seen} == {"/pickup/webhook"}


@pytest.mark.parametrize(
    ("url", "says", "status"),
    [
        (
            "http://127.0.0.1:9/pickup/webhook",
            "Connection refused. Start the app first: flask run (port 5000), or scripts/serve (port 8000).",
            1,
        ),
        ("http://pickup.invalid/pickup/webhook", "http://pickup.invalid/pickup/webhook gives no answer: ", 1),
        ("localhost:8000", "Write it whole", 2),
        ("http://", "Write it whole", 2),
        ("ftp://localhost/x", "Write it whole", 2),
        ("http://localhost:99999/x", "Write it whole", 2),
    ],
)
def test_address_that_leads_nowhere(url: str, says: str, status: int) -> None:
    """Whatever is wrong with an address is a sentence."""
    result = run("rehearse", url)
    assert (result.exit_code, says in result.stderr) == (status, True), result.output
    assert len(result.output.splitlines()) == 1


def test_server_that_hangs_up() -> None:
    """A connection that is closed without an answer is a sentence, as is one that does not speak TLS."""
    with listening(lambda connection: connection.close()) as url:
        assert "gives no answer" in run("rehearse", url).stderr
    with listening(lambda connection: connection.sendall(b"220 mail ready\r\n")) as url:
        assert "gives no answer: [SSL" in run("rehearse", url.replace("http:", "https:")).stderr


def test_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that keeps silent, or never ends, is given up on."""
    monkeypatch.setattr("flask_pickup.rehearsal._TIMEOUT", 0.3)
    for behave in (lambda _: sleep(1), _drip):
        with listening(behave) as url:
            assert "gives no answer: timed out" in run("rehearse", url).stderr


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(10):
        try:
            connection.sendall(b" ")
        except OSError:
            return
        sleep(0.1)


def test_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the named address is rung, whatever proxy the environment has."""
    with stub() as (proxy, asked), stub() as (url, seen):
        monkeypatch.setenv("http_proxy", proxy)
        run("rehearse", url)
        assert (len(asked), len(seen)) == (0, 2)


@pytest.mark.parametrize("arguments", [("--all", "--call", "x"), ("--nonsense",)])
def test_asked_wrongly_is_two(arguments: tuple[str, ...]) -> None:
    """Options that exclude each other are a usage error."""
    assert run("rehearse", "http://127.0.0.1:9/", *arguments).exit_code == 2


def test_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server's secret nothing can be signed: it says which variable to set."""
    monkeypatch.delenv("PICKUP_WEBHOOK_SECRET")
    result = run("rehearse", "http://127.0.0.1:9/")
    assert (result.exit_code, "Set the secret of yours: 'PICKUP_WEBHOOK_SECRET'" in result.stderr) == (2, True)


def test_secret_of_the_first_run_is_found(here: Path) -> None:
    """A second shell signs with what scripts/serve wrote, and rings the port that it serves."""
    write(here, {".env": f"PICKUP_WEBHOOK_SECRET={SECRET}\n"})
    with stub() as (url, seen):
        assert pipe("rehearse", folder=here, PORT=url.split(":")[2].partition("/")[0]).returncode == 0
        assert {path for path, _ in seen} == {"/pickup/webhook"}
