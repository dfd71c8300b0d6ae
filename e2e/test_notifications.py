"""Owners are told of records that break their contract: by a real mail server, and by stand-ins for Slack, GitHub and a webhook."""

import email
import email.policy
import hashlib
import hmac
import json
import re
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from server import BINARY, Tyto, environment, eventually
from test_syslog import make_certificates

START = 1_795_341_600_000_000_000
METHODS = ["card", "wallet"]


class Web:
    """Slack, GitHub and a webhook at one address. Says what it got, and fails as it is told to."""

    def __init__(self):
        self.got, self.failing = [], {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.split("/")[1]
                if name in outer.failing:
                    self.send_response(outer.failing[name])
                    self.end_headers()
                    return
                outer.got.append((self.command, self.path, json.loads(body), dict(self.headers), body))
                answer = json.dumps({"number": 7}).encode()
                self.send_response(201)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_PATCH = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, name):
        """Bodies that came to a stand-in, with method and path."""
        return [(method, path, body) for method, path, body, *_ in self.got if path.split("/")[1] == name]


class Post:
    """A mail server that keeps what it gets."""

    def __init__(self, **options):
        self.mails, self.port = [], free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    async def handle_DATA(self, server, session, envelope):
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, parsed))
        return "250 kept"

    def to(self, address):
        return [mail for _, to, mail in self.mails if to == [address]]

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Company:
    """A catalogue and a notify.yaml that are changed under a running server."""

    def __init__(self, folder, web, mail_port):
        self.folder, self.web, self.mail_port = folder, web, mail_port
        (folder / "catalogue" / "contracts").mkdir(parents=True)
        # The second is there so that a test knows when it would have heard of the first.
        (folder / "catalogue" / "omd.yaml").write_text(f"""
business_services:
  - name: payments
    owners: [{{team: till, email: till@example.com, slack: "#till", github: example/payments, webhook: "{web.url}/till/hook"}}]
    contract: payments
  - name: login
    owners: [{{team: doors, webhook: "{web.url}/doors/hook"}}]
    contract: login
""")
        (folder / "secret").write_text("hush\n")
        (folder / "slack").write_text(f"{web.url}/slack/services/T0\n")
        self.contract("payments", "observe")
        self.contract("login", "observe")
        self.notify()

    def contract(self, name, mode, methods=METHODS, **more):
        contract = {
            "x-tyto": {"mode": mode, "version": "1.0.0"},
            "properties": {"payment.method": {"type": "string", "enum": list(methods)}},
            **more,
        }
        (self.folder / "catalogue" / "contracts" / f"{name}.json").write_text(json.dumps(contract, indent=1))

    def notify(self, fixed_after="1h", tls="none", more=""):
        (self.folder / "notify.yaml").write_text(f"""
public_url: https://tyto.example.com
fixed_after: {fixed_after}
email:
  server: 127.0.0.1:{self.mail_port}
  tls: {tls}
  from: tyto@example.com
{more}
slack: [{{url: {{file: {self.folder}/slack}}}}]
github: {{api: "{self.web.url}/github", token: {{file: {self.folder}/secret}}}}
webhook: {{secret: {{file: {self.folder}/secret}}}}
""")

    def serve(self, data_dir):
        return Tyto(data_dir, "--catalog", self.folder / "catalogue", "--notify-config", self.folder / "notify.yaml")


@pytest.fixture
def web():
    web = Web()
    yield web
    web.server.shutdown()


@pytest.fixture
def post():
    with Post() as post:
        yield post


@pytest.fixture
def company(tmp_path, web, post):
    return Company(tmp_path, web, post.port)


def reload(server):
    response = requests.post(server.url + "/-/reload", timeout=30)
    assert response.ok, response.text


sent = iter(range(1_000_000))


def send(server, business_service="payments", method="crad", **attributes):
    attributes = {"payment.method": method, **attributes}
    record = {
        "timeUnixNano": str(START + next(sent)), "body": {"stringValue": "odd"},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    resource = {"attributes": [{"key": "omd.business_service", "value": {"stringValue": business_service}}]}
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    response = requests.post(f"http://{server.otlp_http}/v1/logs", json=request, timeout=30)
    assert response.ok, response.text


def settled(server, web, company):
    """What is due to others has gone out when this sentinel has: it breaks a new rule each time."""
    before, name = len(web.of("doors")), f"sentinel.{next(sent)}"
    company.contract("login", "observe", METHODS, required=[name])
    reload(server)
    send(server, "login", "card")
    eventually(lambda: len(web.of("doors")) > before)


def kinds(web):
    return [body["kind"] for _, _, body in web.of("till")]


def test_the_owner_is_told_once_by_each_channel_and_once_that_it_is_fixed(tmp_path, company, web, post):
    data_dir = tmp_path / "data"
    with company.serve(data_dir) as server:
        # Observed: the owner hears of it at once.
        send(server)
        for channel in ["till", "slack", "github"]:
            eventually(lambda: web.of(channel))
        eventually(lambda: post.mails)

        # Set aside, and again and again: nobody is told the same twice. Nor after a crash.
        company.contract("payments", "quarantine")
        reload(server)
        for _ in range(5):
            send(server)
        settled(server, web, company)
        server.kill()
        server.start()
        send(server)
        settled(server, web, company)
        assert [len(web.of(channel)) for channel in ["till", "slack", "github"]] == [1, 1, 1] and len(post.mails) == 1
        assert server.get("/api/tyto/v1/quarantine")["records"] == 6

        # What was said: the rule, its line, the fix, how many, since when, where to look. Never the value.
        [(sender, to, mail)] = post.mails
        line = 1 + (tmp_path / "catalogue" / "contracts" / "payments.json").read_text().split('"enum"')[0].count("\n")
        assert (sender, to, mail["From"], mail["To"]) == ("tyto@example.com", ["till@example.com"], "Tyto <tyto@example.com>", "till@example.com")
        assert mail["Subject"] == "[Tyto] payments: payment.method breaks contract payments (enum)"
        text = mail.get_content()
        for said in [
            "payment.method", 'one of ["card","wallet"]', "a string of 1 to 8 bytes", "1 observed since 20", "https://tyto.example.com/quarantine?team=till",
            f"contracts/payments.json:{line}", "or add the new value at",
        ]:
            assert said in text, text
        [(method, path, hook)] = web.of("till")
        assert (method, path, hook["kind"], hook["team"]) == ("POST", "/till/hook", "first", "till")
        [breach] = hook["breaches"]
        assert (breach["rule"], breach["path"], breach["found"]) == ("enum", "payment.method", "a string of 1 to 8 bytes")
        assert breach["records"] == {"observed": 1, "quarantined": 0, "rejected": 0} and breach["sample"] == {"payment.method": "a string of 1 to 8 bytes"}
        [headers, raw] = next(got[3:] for got in web.got if got[1] == "/till/hook")
        assert headers["x-tyto-signature"] == "sha256=" + hmac.new(b"hush", raw, hashlib.sha256).hexdigest()
        [(_, path, slack)] = web.of("slack")
        assert path == "/slack/services/T0" and "`payment.method`" in slack["text"] and "<https://tyto.example.com/quarantine?team=till|" in slack["text"]
        [(method, path, issue)] = web.of("github")
        assert (method, path) == ("POST", "/github/repos/example/payments/issues") and issue["title"].startswith("payments: payment.method breaks")
        assert next(got[3] for got in web.got if got[1] == path)["authorization"] == "Bearer hush"
        assert "crad" not in text + json.dumps([got[2] for got in web.got])

        # The contract is fixed and the records are let in: that is said once, too, and never again.
        company.contract("payments", "quarantine", [*METHODS, "crad"])
        company.notify(fixed_after="2s")
        reload(server)
        replayed = requests.post(f"{server.url}/api/tyto/v1/quarantine/replay", json={"all": True}, timeout=60)
        assert replayed.json()["released"] == 6
        send(server)
        eventually(lambda: kinds(web) == ["first", "fixed"])
        eventually(lambda: len(web.of("slack")) == 2 and len(web.of("github")) == 3 and len(post.mails) == 2)
        server.stop()
        server.start()
        settled(server, web, company)
        assert kinds(web) == ["first", "fixed"] and len(post.mails) == 2 and len(web.of("slack")) == 2
        assert post.mails[1][2]["Subject"] == "[Tyto] Fixed: payments: payment.method broke contract payments (enum)"
        assert web.of("till")[1][2]["breaches"][0]["records"] == {"observed": 1, "quarantined": 6, "rejected": 0}
        (closed, comment) = web.of("github")[1:]
        assert closed == ("PATCH", "/github/repos/example/payments/issues/7", {"state": "closed", "state_reason": "completed"})
        assert comment[:2] == ("POST", "/github/repos/example/payments/issues/7/comments")
        assert server.metric("tyto_notification_failures_total") == 0

        # When it comes again, so does the message.
        company.contract("payments", "reject")
        company.notify()
        reload(server)
        send(server)
        eventually(lambda: kinds(web) == ["first", "fixed", "first"])
        assert web.of("till")[2][2]["breaches"][0]["records"] == {"observed": 0, "quarantined": 0, "rejected": 1}


def test_a_channel_that_is_down_is_told_later_and_one_that_refuses_is_counted(tmp_path, company, web, post):
    web.failing = {"till": 503, "slack": 404}
    with company.serve(tmp_path / "data") as server:
        send(server)
        eventually(lambda: post.mails and web.of("github"))
        eventually(lambda: failures(server) == {("webhook", "server_error"), ("slack", "not_found")})
        eventually(lambda: any("cannot tell till by slack (first), it is given up: 404" in line for line in server.stderr))
        assert not any("/slack/services" in line for line in server.stderr), "the address is a secret"
        web.failing = {}
        eventually(lambda: web.of("till"), timeout=60)
        settled(server, web, company)
        assert len(web.of("till")) == 1 and not web.of("slack") and len(post.mails) == 1
        results = counted(server, "tyto_notifications_total", "channel", "result")
        assert results["slack", "dropped"] == 1 and results["webhook", "retried"] >= 1 and results["webhook", "sent"] == 2


def counted(server, name, *labels):
    """A counter by some of its labels."""
    sums = {}
    for line in requests.get(server.url + "/metrics", timeout=10).text.splitlines():
        if line.startswith(name + "{"):
            key = tuple(re.search(rf'{label}="([^"]*)"', line).group(1) for label in labels)
            sums[key] = sums.get(key, 0) + float(line.rsplit(" ", 1)[1])
    return sums


def failures(server):
    return set(counted(server, "tyto_notification_failures_total", "channel", "reason"))


def test_what_a_sender_chose_does_no_harm(tmp_path, company, web, post):
    company.contract("payments", "quarantine", additionalProperties=False)
    hostile = "a\r\nBcc: all@example.com\r\n\r\n<!channel> `@everyone` <script>alert(1)</script> " + "x" * 20_000
    with company.serve(tmp_path / "data") as server:
        send(server, method="card", **{hostile: "7"})
        eventually(lambda: post.mails and web.of("slack") and web.of("github") and web.of("till"))
        [(_, to, mail)] = post.mails
        assert to == ["till@example.com"] and mail["Bcc"] is None and mail.get_content_type() == "text/plain"
        assert "\n" not in mail["Subject"] and len(mail["Subject"]) < 200 and len(mail.get_content()) < 4000
        text = web.of("slack")[0][2]["text"]
        assert "<!channel>" not in text and "&lt;!channel&gt;" in text and len(text) < 4000
        body = web.of("github")[0][2]["body"]
        assert "`` a\ufffd\ufffdBcc: all@example.com" in body and "\n<" not in body and len(body) < 4000
        # Names without end are one group after the first fifty.
        for number in range(80):
            send(server, method="card", **{f"name {number:03}": "7"})
        eventually(lambda: server.metric("tyto_notification_breaches") >= 51)
        settled(server, web, company)
        # The sentinel is one more.
        assert server.metric("tyto_notification_breaches") == 52
        assert server.metric("tyto_notification_records_left_out_total") == 0


def test_a_bad_file_is_told_with_its_place_and_takes_no_effect(tmp_path, company, web, post):
    with company.serve(tmp_path / "data") as server:
        good = (tmp_path / "notify.yaml").read_text()
        (tmp_path / "notify.yaml").write_text(good.replace("fixed_after", "fixed_affter"))
        refused = requests.post(server.url + "/-/reload", timeout=30)
        assert refused.status_code == 400
        assert 'notify.yaml:3:1: cannot use key "fixed_affter" in the file: did you mean "fixed_after"?' in refused.json()["error"]
        send(server)
        eventually(lambda: web.of("till"))
    with pytest.raises(RuntimeError, match='did you mean "fixed_after"'):
        company.serve(tmp_path / "other").start()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_the_command_sends_a_test_over_tls_with_a_password(tmp_path, web, tls):
    make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    seen = []

    def authenticator(server, session, envelope, mechanism, login):
        seen.append((mechanism, login.login, login.password))
        return AuthResult(success=login.password == b"hush", handled=False)

    options = {
        "starttls": {"tls_context": context, "require_starttls": True, "auth_require_tls": True},
        # One that knows the older way only.
        "tls": {"ssl_context": context, "auth_require_tls": False, "auth_exclude_mechanism": ["PLAIN"]},
    }
    with Post(auth_required=True, authenticator=authenticator, **options[tls]) as post:
        company = Company(tmp_path, web, post.port)
        login = f"  user: tyto\n  password: {{file: {tmp_path}/secret}}"
        company.notify(tls=tls, more=login)

        def test(team, **more):
            run = [BINARY, "notify", "test", "--team", team, "--catalog", tmp_path / "catalogue", "--notify-config", tmp_path / "notify.yaml"]
            return subprocess.run(run, capture_output=True, text=True, env={**environment(), **more}, timeout=60)

        trusting = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        done = test("till", **trusting)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[0] == 'email to "till@example.com" sent: kept' and len(done.stdout.splitlines()) == 4
        assert [mail["Subject"] for mail in post.to("till@example.com")] == ["[Tyto] Tyto can tell till what breaks its contracts"]
        assert seen == [("PLAIN" if tls == "starttls" else "LOGIN", b"tyto", b"hush")]
        assert [method for method, *_ in web.of("github")] == ["POST", "PATCH"]

        # Nobody answers for who the server is, or it does not know us: that is said, and no password goes to the first.
        done = test("till")
        assert done.returncode == 1 and "email to \"till@example.com\" failed: cannot encrypt the connection" in done.stdout, done.stdout
        assert len(seen) == 1 and "cannot tell team \"till\" by 1 of 4 ways" in done.stderr
        (tmp_path / "secret").write_text("wrong")
        assert "failed: the server says 535" in test("till", **trusting).stdout
        assert 'did you mean "till"?' in test("tills").stderr
