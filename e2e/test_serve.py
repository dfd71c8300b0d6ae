"""Starting, refusing to start, ending, and asking from the command line."""

import json
import socket
import statistics
import subprocess

import pytest
import requests

from server import BINARY, Tyto, environment


def run(*arguments, **keywords):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment(), **keywords)


def push(server, lines, labels=None, start=1_700_000_000_000_000_000):
    values = [[str(start + index), line] for index, line in enumerate(lines)]
    body = {"streams": [{"stream": labels or {"app": "shop"}, "values": values}]}
    response = requests.post(server.url + "/loki/api/v1/push", json=body, timeout=30)
    assert response.status_code == 204, response.text


def test_cold_start_is_quick(tmp_path):
    seconds = []
    for attempt in range(5):
        with Tyto(tmp_path / str(attempt)) as server:
            seconds.append(server.seconds_to_ready)
    assert statistics.median(seconds) < 0.5, seconds


def test_health_and_own_metrics(tyto):
    for path in ["/-/healthy", "/-/ready"]:
        assert requests.get(tyto.url + path, timeout=5).status_code == 200
    push(tyto, ["one", "two"])
    assert tyto.metric("tyto_receive_records_total") == 2
    assert tyto.metric("process_resident_memory_bytes") > 1 << 20


def test_sigterm_flushes_and_exits_0(tmp_path):
    with Tyto(tmp_path) as server:
        push(server, ["kept"])
        assert server.stop() == 0
    with Tyto(tmp_path) as server:
        assert server.metric("tyto_recovered_frames_total") == 0, "the head was flushed at the end"
        assert server.one("select body from logs") == "kept"


@pytest.mark.parametrize("option", ["--http", "--otlp-grpc", "--otlp-http"])
def test_an_exposed_address_is_refused_unless_insecure(tmp_path, option):
    refused = run("serve", "--data-dir", tmp_path, option, "0.0.0.0:0")
    assert refused.returncode == 1
    assert "no authentication" in refused.stderr and "--insecure" in refused.stderr
    assert refused.stdout == ""


def test_an_address_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        refused = run("serve", "--data-dir", tmp_path, "--http", address)
    assert refused.returncode == 1 and f"http={address}" in refused.stderr


def test_two_servers_do_not_share_a_folder(tmp_path):
    with Tyto(tmp_path):
        with pytest.raises(RuntimeError, match="lock|use"):
            Tyto(tmp_path).start()


def test_configuration_file_and_environment(tmp_path):
    config = tmp_path / "tyto.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\nhttp = "127.0.0.1:0"\notlp_grpc = "127.0.0.1:0"\n')
    process = subprocess.Popen(
        [BINARY, "serve", "--config", config], stdout=subprocess.PIPE, text=True,
        env={**environment(), "TYTO_OTLP_HTTP": "127.0.0.1:0"},
    )
    assert process.stdout.readline().startswith("tyto ready http=127.0.0.1:")
    process.terminate()
    assert process.wait(30) == 0

    config.write_text("data_dirr = 1")
    refused = run("serve", "--config", config)
    assert refused.returncode == 1 and "data_dirr" in refused.stderr


def test_asking_a_server_and_a_folder(tyto):
    push(tyto, ["GET /a 200", "GET /b 500"])
    for where in [["--server", tyto.url], ["--data-dir", tyto.data_dir]]:
        answer = run("sql", "select count(*) as n from logs", *where, "-o", "json")
        assert json.loads(answer.stdout) == [{"n": 2}], answer.stderr
        answer = run("logql", '{app="shop"} |= "500"', *where, "--start", "2023-11-14T22:00:00Z", "--end", "2023-11-14T23:00:00Z", "-o", "csv")
        assert answer.stdout.splitlines()[1:] == ['2023-11-14T22:13:20.000000001Z,"{app=""shop""}",GET /b 500'], answer.stderr
        answer = run("promql", "1 + 1", *where)
        assert answer.stdout.splitlines()[2].split()[-1] == "2", answer.stderr
    refused = run("sql", "selec 1", "--server", tyto.url)
    assert refused.returncode == 1 and "selec" in refused.stderr.lower()
    assert run("sql", "drop table logs", "--server", tyto.url).returncode == 1
