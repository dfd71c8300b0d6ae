"""Syslog's real senders, over UDP, TCP and TLS: what they sent is what is stored."""

import socket
import ssl
import subprocess
import time

import pytest

from server import Tyto, eventually

NUMBERS = [21, 19, 18, 17, 13, 10, 9, 5]


def make_certificates(folder):
    """An authority, and certificates of a server at 127.0.0.1 and of a client."""
    run = lambda *command: subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True, timeout=60)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ["server", "client"]:
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def syslog(tmp_path, certificates):
    with Tyto(tmp_path / "data", "--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0", "--syslog-tls", "127.0.0.1:0",
              "--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key") as server:
        yield server


def address(server, port):
    host, number = server.ports[port].rsplit(":", 1)
    return host, int(number)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("how", ["udp", "tcp", "octets", "tls"])
def test_rsyslog(syslog, tmp_path, certificates, how):
    host, port = address(syslog, {"udp": "syslog_udp", "tls": "syslog_tls"}.get(how, "syslog_tcp"))
    forward = {"udp": 'protocol="udp"', "tcp": 'protocol="tcp"', "octets": 'protocol="tcp" TCP_Framing="octet-counted"',
               "tls": 'protocol="tcp" TCP_Framing="octet-counted" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"'}[how]
    into = free_port()
    (tmp_path / "rsyslog.conf").write_text(f'''
global(workDirectory="{tmp_path}" maxMessageSize="64k" defaultNetstreamDriverCAFile="{certificates}/ca.pem")
module(load="imtcp")
input(type="imtcp" port="{into}" address="127.0.0.1")
action(type="omfwd" target="{host}" port="{port}" {forward} template="RSYSLOG_SyslogProtocol23Format"
       queue.type="LinkedList" action.resumeRetryCount="-1")
''')
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # Datagrams that come faster than they are read are lost, and the system keeps about 200 of them.
    count = 100 if how == "udp" else 3000
    try:
        def connected():
            try:
                return socket.create_connection(("127.0.0.1", into), timeout=1)
            except OSError:
                return None
        with eventually(connected) as connection:
            lines = [f"<{8 + number % 8}>1 2026-11-22T10:00:00.{number:06}Z web-1 shop 77 ID7 [one@1 n=\"{number}\"] order {number} é \"paid\"\n" for number in range(count)]
            connection.sendall("".join(lines).encode())
        eventually(lambda: syslog.one("select count(*) from logs where attributes['syslog.one@1.n'] is not null") == count, timeout=60)
    finally:
        daemon.terminate()
        daemon.wait(30)
    rows = syslog.sql("select body, severity_number, service_name, resource_attributes['host.name'], attributes['syslog.procid'], attributes['syslog.msgid'], "
                      "attributes['syslog.one@1.n'], attributes['syslog.facility'], (time_unix_nano - 1795341600000000000) / 1000 from logs "
                      "where attributes['syslog.one@1.n'] is not null order by time_unix_nano")
    assert rows == [(f'order {number} é "paid"', NUMBERS[number % 8], "shop", "web-1", "77", "ID7", str(number), "user", number) for number in range(count)]


@pytest.mark.parametrize("how", ["--udp", "--tcp", "--tcp --octet-count"])
@pytest.mark.parametrize("form", ["--rfc5424", "--rfc3164"])
def test_logger(syslog, how, form):
    host, port = address(syslog, "syslog_udp" if how == "--udp" else "syslog_tcp")
    before = time.time()
    for number in range(20):
        command = ["logger", "--server", host, "--port", str(port), *how.split(), form, "--tag", "cart", "--id=42", "--priority", "local3.warning", f"line {number}: é"]
        subprocess.run(command, check=True, timeout=10)
    eventually(lambda: syslog.one("select count(*) from logs") == 20)
    name = socket.gethostname() if form == "--rfc5424" else socket.gethostname().split(".")[0]
    rows = syslog.sql("select body, severity_text, service_name, attributes['syslog.procid'], attributes['syslog.facility'], resource_attributes['host.name'] "
                      "from logs order by length(body), body")
    assert [row[:5] for row in rows] == [(f"line {number}: é", "warning", "cart", "42", "local3") for number in range(20)]
    assert {row[5].split(".")[0] for row in rows} == {name.split(".")[0]}
    if form == "--rfc5424":
        assert abs(syslog.one("select max(time_unix_nano) from logs") / 1e9 - before) < 60


def test_netcat(syslog):
    host, port = address(syslog, "syslog_tcp")
    text = "".join(f"<34>Nov 22 10:00:{number:02} web-1 su[{number}]: line {number}\n" for number in range(60)) + "no end"
    subprocess.run(["nc", "-N", host, str(port)], input=text.encode(), check=True, timeout=30)
    udp = address(syslog, "syslog_udp")
    subprocess.run(["nc", "-u", "-w", "1", udp[0], str(udp[1])], input=b"<189>5: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured\n", check=True, timeout=30)
    eventually(lambda: syslog.one("select count(*) from logs") == 62)
    rows = syslog.sql("select body, attributes['syslog.procid'], resource_attributes['host.name'] from logs where service_name = 'su' order by time_unix_nano")
    assert rows == [(f"line {number}", str(number), "web-1") for number in range(60)]
    others = syslog.sql("select body, resource_attributes['host.name'], attributes['syslog.msgid'] from logs where service_name <> 'su' or service_name is null order by body")
    assert others == [("%SYS-5-CONFIG_I: Configured", "127.0.0.1", "SYS-5-CONFIG_I"), ("no end", "127.0.0.1", None)]


def test_half_frames_long_ones_and_strangers_cost_nobody(syslog):
    host, port = address(syslog, "syslog_tcp")
    good = b"<13>1 2026-11-22T10:00:00Z h good - - - one"
    with socket.create_connection((host, port)) as half, socket.create_connection((host, port)) as fine:
        half.sendall(b"500 <13>1 half of")
        for part in (b"%d " % len(good), good[:10], good[10:], b"<13>1 - h long - - - " + b"x" * (3 << 20) + b"\n", good + b"\n"):
            fine.sendall(part)
            time.sleep(0.05)
        with socket.create_connection((host, port)) as stranger:
            stranger.sendall(b"1073741824 <13>1 - - - - - - x")
            assert stranger.recv(1) == b"", "closed"
        with socket.create_connection((host, port)) as bytes_only:
            bytes_only.sendall(bytes(range(256)) * 40)
        eventually(lambda: syslog.one("select count(*) from logs where service_name = 'good'") == 2)
    # The half message, the long one, and what the stranger announced.
    eventually(lambda: syslog.metric("tyto_receive_rejected_records_total") == 3)
    assert syslog.one("select count(*) from logs where service_name = 'long'") == 0


def test_tls_clients_are_known(tmp_path, certificates):
    with Tyto(tmp_path / "data", "--syslog-tls", "127.0.0.1:0", "--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key",
              "--tls-client-ca", certificates / "ca.pem") as server:
        def send(known, text):
            context = ssl.create_default_context(cafile=certificates / "ca.pem")
            if known:
                context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
            with socket.create_connection(address(server, "syslog_tls")) as plain, context.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(text)
                stream.settimeout(2)
                try:
                    stream.recv(1)
                except TimeoutError:
                    pass

        send(True, b"<13>1 - h known - - - yes\n")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            send(False, b"<13>1 - h stranger - - - no\n")
        with socket.create_connection(address(server, "syslog_tls")) as plain:
            plain.sendall(b"<13>1 - h plain - - - no\n")
        eventually(lambda: server.sql("select service_name from logs") == [("known",)])
        eventually(lambda: server.metric("tyto_receive_tls_failures_total") == 2)


def test_many_senders_make_few_requests(syslog):
    host, port = address(syslog, "syslog_tcp")
    senders, each = 20, 500
    connections = [socket.create_connection((host, port)) for _ in range(senders)]
    for number in range(each):
        for sender, connection in enumerate(connections):
            connection.sendall(f"<14>1 2026-11-22T10:00:00.{number:06}Z h sender-{sender} - - - {number}\n".encode())
    for connection in connections:
        connection.close()
    eventually(lambda: syslog.one("select count(*) from logs") == senders * each, timeout=60)
    requests = syslog.metric("tyto_receive_requests_total")
    assert requests < senders * each / 5, requests
    rows = syslog.sql("select service_name, body from logs order by service_name, time_unix_nano")
    assert rows == [(f"sender-{sender}", str(number)) for sender in sorted(range(senders), key=str) for number in range(each)]


def test_what_was_stored_is_there_after_a_kill(tmp_path):
    options = ("--syslog-tcp", "127.0.0.1:0")
    with Tyto(tmp_path / "data", *options) as server:
        with socket.create_connection(address(server, "syslog_tcp")) as connection:
            connection.sendall(b"".join(b"<13>1 - h app - - - line %d\n" % number for number in range(1000)))
            eventually(lambda: server.one("select count(*) from logs") == 1000)
        server.kill()
    with Tyto(tmp_path / "data", *options) as server:
        assert server.one("select count(distinct body) from logs") == 1000
        with socket.create_connection(address(server, "syslog_tcp")) as connection:
            connection.sendall(b"<13>1 - h app - - - last\n")
            eventually(lambda: server.one("select count(*) from logs") == 1001)
        assert server.stop() == 0
