"""Fluentd's Forward protocol, spoken by its real clients: what they sent is what is stored, and what is acknowledged stays."""

import gzip
import json
import pathlib
import socket
import subprocess
import threading

import msgpack
import pytest
from fluent import sender as fluent_sender

from server import Tyto, eventually
from test_syslog import make_certificates

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
TEN = 1_795_341_600


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def fluent(tmp_path):
    with Tyto(tmp_path / "data", "--fluent", "127.0.0.1:0") as server:
        yield server


def address(server, port="fluent"):
    host, number = server.ports[port].rsplit(":", 1)
    return host, int(number)


def connect(server, port="fluent"):
    connection = socket.create_connection(address(server, port), timeout=30)
    return connection


def answers(connection, count):
    """So many values out of a connection."""
    unpacker, found = msgpack.Unpacker(raw=False), []
    while len(found) < count:
        read = connection.recv(65536)
        assert read, f"closed after {found}"
        unpacker.feed(read)
        found.extend(unpacker)
    return found


def event_time(nanos):
    return msgpack.ExtType(0, (nanos // 10**9).to_bytes(4, "big") + (nanos % 10**9).to_bytes(4, "big"))


def node(server, count, port="fluent", **job):
    host, number = address(server, port)
    options = {"socket": {"host": host, "port": number, "timeout": 20_000}, **job.pop("options", {})}
    done = subprocess.run(["node", CLIENTS / "fluent.js", json.dumps({"options": options, "tag": "shop", "count": count, **job})],
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.strip(), done.stderr


def rows_of_node(server, count):
    rows = server.sql("select body, time_unix_nano - 1795341600000000000, severity_number, attributes['number'], attributes['ratio'], attributes['nested'], "
                      "attributes['fluent.tag'] from logs order by time_unix_nano")
    nested = '[{"key":"list","value":{"arrayValue":{"values":[{"intValue":"1"},{},{"stringValue":"x"}]}}}]'
    text = lambda number: str(number / 8).removesuffix(".0")
    return rows == [(f"line {number} é", number * 1000, 13, str(number), text(number), nested, "shop") for number in range(count)]


@pytest.mark.parametrize("mode", ["Message", "Forward", "PackedForward", "CompressedPackedForward"])
@pytest.mark.parametrize("ack", [True, False], ids=["ack", "no-ack"])
def test_node(fluent, mode, ack):
    code, out, error = node(fluent, 500, options={"eventMode": mode, **({"ack": {"ackTimeout": 20_000}} if ack else {})})
    assert (code, out) == (0, "sent 500"), error
    if not ack:
        eventually(lambda: fluent.one("select count(*) from logs") == 500)
    assert rows_of_node(fluent, 500)


@pytest.mark.parametrize("port", ["fluent", "fluent_tls"])
def test_only_who_knows_the_key_gets_in(tmp_path, certificates, port):
    with Tyto(tmp_path / "data", "--fluent", "127.0.0.1:0", "--fluent-tls", "127.0.0.1:0", "--tls-cert", certificates / "server.pem",
              "--tls-key", certificates / "server.key", "--fluent-shared-key", "hush", "--fluent-user", "ann:secret") as server:
        ca = {"ca": str(certificates / "ca.pem")} if port == "fluent_tls" else {}
        security = {"clientHostname": "web-1", "sharedKey": "hush", "username": "ann", "password": "secret"}
        code, out, error = node(server, 100, port, options={"security": security, "ack": {"ackTimeout": 20_000}}, **ca)
        assert (code, out) == (0, "sent 100"), error
        assert rows_of_node(server, 100)
        for wrong in ({"sharedKey": "guess"}, {"password": "guess"}, {"username": "bob"}):
            code, out, _ = node(server, 1, port, options={"security": {**security, **wrong}, "ack": {"ackTimeout": 1000}}, **ca)
            assert (code, out) != (0, "sent 1"), wrong
        if port == "fluent":
            with connect(server) as stranger:
                [helo] = answers(stranger, 1)
                assert helo[0] == "HELO" and len(helo[1]["nonce"]) == 32
                stranger.sendall(msgpack.packb(["tag", TEN, {"message": "let me in"}]))
                assert answers(stranger, 1)[0][:2] == ["PONG", False]
                assert stranger.recv(1) == b""
        assert server.one("select count(*) from logs") == 100
        assert server.metric("tyto_receive_connections_broken_total") >= 3
        assert not any("hush" in line or "secret" in line for line in server.stderr)


def test_python_logger(fluent):
    host, port = address(fluent)
    logger = fluent_sender.FluentSender("shop", host=host, port=port, nanosecond_precision=True)
    for number in range(300):
        assert logger.emit_with_time("cart", fluent_sender.EventTime(TEN + number / 8), {"message": f"line {number}", "user": {"id": number}}), logger.last_error
    logger.close()
    eventually(lambda: fluent.one("select count(*) from logs") == 300)
    rows = fluent.sql("select body, time_unix_nano, attributes['fluent.tag'] from logs order by time_unix_nano")
    assert rows == [(f"line {number}", TEN * 10**9 + number * 125_000_000, "shop.cart") for number in range(300)]
    assert fluent.metric("tyto_receive_requests_total") < 300


FIRELENS = {"container_id": "0123456789ab", "container_name": "/ecs-shop-7-web", "ecs_cluster": "prod", "ecs_task_definition": "shop:7",
            "ecs_task_arn": "arn:aws:ecs:eu-west-1:123456789012:task/prod/0a1b2c", "source": "stderr"}


def test_firelens_lines_are_joined_and_owned(fluent):
    lines = ["2026-11-22 10:00:00,123 ERROR failed", "java.lang.IllegalStateException: gone", "\tat a.B.c(B.java:1)", "next", '{"level":"warn","msg":"json"}']
    parts = [{"partial_message": "true", "partial_id": "p1", "partial_ordinal": str(ordinal + 1), "partial_last": "false" if ordinal < 2 else "true", "log": part}
             for ordinal, part in enumerate(["a" * 16384, "b" * 16384, "end"])]
    records = [{**FIRELENS, "log": line} for line in lines] + [{**FIRELENS, **part} for part in parts]
    entries = b"".join(msgpack.packb([event_time(TEN * 10**9 + index), record]) for index, record in enumerate(records))
    with connect(fluent) as connection:
        connection.sendall(msgpack.packb(["shop-firelens", gzip.compress(entries), {"compressed": "gzip", "size": len(records), "chunk": "c1"}]))
        assert answers(connection, 1) == [{"ack": "c1"}]
    rows = fluent.sql("select body, severity_number, service_name, resource_attributes['aws.ecs.task.family'], resource_attributes['aws.ecs.task.revision'], "
                      "resource_attributes['aws.ecs.cluster.arn'], resource_attributes['container.name'], attributes['log.iostream'] from logs order by time_unix_nano")
    owned = ("shop", "shop", "7", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "ecs-shop-7-web", "stderr")
    assert rows == [("\n".join(lines[:3]), 17, *owned), ("next", None, *owned), (lines[4], 13, *owned), ("a" * 16384 + "b" * 16384 + "end", None, *owned)]


def test_half_messages_bombs_and_strangers_cost_nobody(fluent):
    message = msgpack.packb(["t", TEN, {"message": "good"}, {"chunk": b"\x00\xff"}])
    with connect(fluent) as half, connect(fluent) as fine:
        half.sendall(message[:10])
        for byte in message:
            fine.sendall(bytes([byte]))
        assert msgpack.unpackb(fine.recv(100), raw=True) == {b"ack": b"\x00\xff"}
        bombs = [b"\x91" * 100_000, b"\xc1", b"GET / HTTP/1.1\r\n\r\n", msgpack.packb({"a": 1}), msgpack.packb(["t", "x", {"compressed": "gzip"}]),
                 msgpack.packb(["t", gzip.compress(bytes(300 << 20), 1), {"compressed": "gzip", "chunk": "bomb"}])]
        for bomb in bombs:
            with connect(fluent) as stranger:
                stranger.sendall(bomb)
                try:
                    assert stranger.recv(1) == b"", bomb[:20]
                except ConnectionResetError:
                    pass
        with connect(fluent) as liar:
            liar.sendall(b"\x93\xa1t\xdb\x7f\xff\xff\xff")
            fine.sendall(message)
            assert msgpack.unpackb(fine.recv(100), raw=True) == {b"ack": b"\x00\xff"}
    assert fluent.one("select count(*) from logs") == 2
    status = pathlib.Path(f"/proc/{fluent.process.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 1_500_000, status


def test_heartbeats_are_answered(fluent):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(10)
        probe.sendto(b"\0", address(fluent))
        assert probe.recv(10) == b"\0"
    with connect(fluent) as connection:
        connection.sendall(msgpack.packb(None) + msgpack.packb(["t", [[TEN, {"message": "x"}]], {"chunk": "c"}]))
        assert answers(connection, 1) == [{"ack": "c"}]


def test_what_is_acknowledged_is_there_after_a_kill(tmp_path):
    """Chunks are sent until the server is killed; those without an acknowledgement are sent again, as clients do."""
    server = Tyto(tmp_path / "data", "--fluent", "127.0.0.1:0").start()
    acked, tried = set(), iter(range(100_000))
    killed = threading.Timer(1.5, server.kill)
    killed.start()
    unsure = []
    try:
        with connect(server) as connection:
            for chunk in tried:
                unsure = [chunk]
                connection.sendall(msgpack.packb(["t", [[TEN, {"message": f"{chunk}-{line}"}] for line in range(10)], {"chunk": str(chunk)}]))
                assert answers(connection, 1) == [{"ack": str(chunk)}]
                acked.add(chunk)
    except (OSError, AssertionError):
        pass
    killed.join()
    with Tyto(tmp_path / "data", "--fluent", "127.0.0.1:0") as server:
        stored = dict(server.sql("select body, count(*) from logs group by body"))
        assert {f"{chunk}-{line}" for chunk in acked for line in range(10)} <= stored.keys() and len(acked) > 3
        # A chunk is there whole or not at all.
        assert len(stored) in (len(acked) * 10, len(acked) * 10 + 10) and set(stored.values()) == {1}
        with connect(server) as connection:
            for chunk in unsure:
                connection.sendall(msgpack.packb(["t", [[TEN, {"message": f"{chunk}-{line}"}] for line in range(10)], {"chunk": str(chunk)}]))
                assert answers(connection, 1) == [{"ack": str(chunk)}]
        assert server.one("select count(distinct body) from logs") == len(acked | set(unsure)) * 10
