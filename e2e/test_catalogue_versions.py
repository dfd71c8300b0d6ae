"""The catalogue by versions: applied from repositories, followed in git, kept in SQLite and PostgreSQL, and what holds when these are away."""

import json
import os
import pathlib
import subprocess
import time

import pytest
import requests

from postgres import Postgres
from server import BINARY, Tyto, environment, eventually

POLL = ("--catalog-poll-interval-seconds", "1")


def omd(name, team=None, tier=2):
    return f"""business_services:
  - name: {name}
    tier: {tier}
    owners: [{{team: {team or name}, email: {team or name}@example.com}}]
    services:
      - name: {name}-service
        components:
          - {{name: {name}-api, match: [{{service.name: {name}-api}}]}}
"""


class Repository:
    """A checkout with a remote of its own, as a team has it."""

    def __init__(self, folder, remote="https://git.example/acme/shop.git"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", remote)

    def git(self, *arguments):
        settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *settings, *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def write(self, **files):
        for name, text in files.items():
            path = self.folder / {"omd": "omd.yaml"}.get(name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, **files):
        self.write(**files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")


def apply(server, folder, *arguments):
    command = [BINARY, "apply", *arguments, "--server", server.url]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(), timeout=60)


def send(server, component):
    records = [{"body": {"stringValue": "a line"}, "timeUnixNano": str(time.time_ns())}]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": component}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    response = requests.post(server.url + "/v1/logs", json=body, timeout=30)
    assert response.ok, response.text


def counts(server):
    return dict(server.sql("SELECT business_service, count(*) FROM logs GROUP BY 1"))


def status(server):
    return server.get("/api/tyto/v1/catalog/status")


def names(answer):
    return [business["name"] for business in answer["business_services"]]


@pytest.fixture
def server(tmp_path):
    with Tyto(tmp_path / "data", *POLL) as server:
        yield server


def test_repositories_apply_independently_and_what_was_in_force_is_known(server, tmp_path):
    shop = Repository(tmp_path / "shop")
    commit = shop.commit(omd=omd("shop"))
    play = Repository(tmp_path / "play", "git@git.example:acme/play.git")
    play.commit(omd=omd("play"))

    dry = apply(server, shop.folder, ".", "--dry-run")
    assert dry.returncode == 0 and "component shop/shop-service/shop-api is new" in dry.stdout, dry
    assert server.get("/api/tyto/v1/catalog")["version"] is None
    done = apply(server, shop.folder, ".")
    assert done.returncode == 0 and done.stdout.endswith("applied: acme/shop is in force as version 1\n"), done
    send(server, "shop-api")
    assert counts(server) == {"shop": 1}
    between = time.time()
    done = apply(server, tmp_path, play.folder)
    assert done.returncode == 0 and "acme/play is in force as version 2" in done.stdout, done

    again = apply(server, shop.folder, "omd.yaml")
    assert again.returncode == 0 and again.stdout == "unchanged: version 2 has the same files of acme/shop\n", again
    shop.write(omd=omd("shop", team="billing", tier=0))
    done = apply(server, shop.folder, ".")
    assert "business service shop: owners were shop, are billing; tier was 2, is 0\n" in done.stdout, done

    # A file that cannot be used is refused here already; one that others contradict is refused there. Both name the place.
    shop.write(omd=omd("shop").replace("tier", "teir"))
    here = apply(server, shop.folder, ".")
    assert here.returncode == 1 and 'omd.yaml:3:5: error[unknown-key]: cannot use key "teir"' in here.stdout, here
    shop.write(omd=omd("play"))
    there = apply(server, shop.folder, ".")
    assert there.returncode == 1 and "acme/play:/omd.yaml:2:" in there.stdout, there
    assert "omd.yaml:2:" in there.stdout and there.stdout.endswith("refused: what was in force stays, version 3\n"), there
    sent = {"source": "acme/shop", "files": [{"name": "omd.yaml", "text": "business_services: [{nme: x}]"}]}
    refused = requests.post(server.url + "/api/tyto/v1/catalog/apply", json=sent, timeout=30)
    [problem] = [problem for problem in refused.json()["problems"] if problem["check"] == "unknown-key"]
    assert refused.status_code == 422 and (problem["file"], problem["line"], problem["column"]) == ("omd.yaml", 1, 22), refused.text
    # A page of another site changes nothing.
    foreign = requests.post(server.url + "/api/tyto/v1/catalog/apply", json=sent, headers={"sec-fetch-site": "cross-site"}, timeout=30)
    assert foreign.status_code == 403, foreign.text

    page = server.get("/api/tyto/v1/catalog/versions", limit=2)
    assert [version["number"] for version in page["versions"]] == [3, 2] and page["next"] == 2
    [first] = server.get("/api/tyto/v1/catalog/versions", before=page["next"])["versions"]
    assert (first["source"], first["kind"], first["commit"], first["author"]) == ("acme/shop", "apply", commit, "Ada <ada@example.com>")
    assert first["superseded"] == page["versions"][1]["in_force_from"]
    then = server.get("/api/tyto/v1/catalog", at=between)
    assert (then["version"]["number"], names(then)) == (1, ["shop"])
    assert server.get("/api/tyto/v1/catalog", version=2)["business_services"][1]["tier"] == "2"
    assert sorted(names(server.get("/api/tyto/v1/catalog"))) == ["play", "shop"]
    assert requests.get(server.url + "/api/tyto/v1/catalog?at=1", timeout=10).status_code == 404
    words = [difference["words"] for difference in server.get("/api/tyto/v1/catalog/diff")["differences"]]
    assert words == ["business service shop: owners were shop, are billing; tier was 2, is 0"]

    # It is the same after a crash, and a part can go.
    server.kill()
    server.start()
    assert sorted(names(server.get("/api/tyto/v1/catalog"))) == ["play", "shop"] and status(server)["version"]["number"] == 3
    gone = apply(server, tmp_path, "--remove", "--source", "acme/play")
    assert gone.returncode == 0 and "business service play is gone" in gone.stdout, gone
    assert names(server.get("/api/tyto/v1/catalog")) == ["shop"]


def test_files_beside_the_server_are_versions_too_and_a_bad_one_never_replaces_a_good_one(tmp_path):
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "omd.yaml").write_text(omd("shop"))
    with Tyto(tmp_path / "data", "--catalog", folder, *POLL) as server:
        assert names(server.get("/api/tyto/v1/catalog")) == ["shop"] and server.metric("tyto_catalog_version") == 1
        (folder / "omd.yaml").write_text("business_services: [{nme: shop}]")
        assert requests.post(server.url + "/-/reload", timeout=30).status_code == 400
        assert server.metric("tyto_catalog_stale") == 1 and names(server.get("/api/tyto/v1/catalog")) == ["shop"]
        assert "files beside the server" in requests.get(server.url + "/-/ready", timeout=10).text
        server.stop()
        # Nor at a start, where one that was good is known.
        server.start()
        assert names(server.get("/api/tyto/v1/catalog")) == ["shop"] and status(server)["stale"]
        assert status(server)["sources"][0]["trouble"]["problems"][0]["line"] == 1
        (folder / "omd.yaml").write_text(omd("store"))
        assert requests.post(server.url + "/-/reload", timeout=30).ok
        assert not status(server)["stale"] and server.metric("tyto_catalog_version") == 2
    with Tyto(tmp_path / "data", *POLL) as server:
        assert names(server.get("/api/tyto/v1/catalog")) == [] and status(server)["version"]["number"] == 3


def test_a_repository_is_followed_and_a_bad_commit_is_its_authors(tmp_path):
    shop = Repository(tmp_path / "shop")
    first = shop.commit(**{"catalogue/omd.yaml": omd("shop"), "elsewhere/omd.yaml": "no: catalogue"})
    with Tyto(tmp_path / "data", "--catalog-git", f"file://{shop.folder}#main:catalogue", *POLL) as server:
        eventually(lambda: names(server.get("/api/tyto/v1/catalog")) == ["shop"])
        [source] = status(server)["sources"]
        assert (source["kind"], source["commit"], source["author"]) == ("git", first, "Ada <ada@example.com>")
        name = source["source"]
        assert name.endswith("/shop/catalogue")

        bad = shop.commit(**{"catalogue/omd.yaml": omd("shop").replace("tier", "teir")})
        eventually(lambda: status(server)["stale"])
        [source] = status(server)["sources"]
        trouble = source["trouble"]
        assert (source["commit"], trouble["commit"], trouble["author"]) == (first, bad, "Ada <ada@example.com>")
        assert trouble["problems"][0]["file"] == "catalogue/omd.yaml" and trouble["problems"][0]["line"] == 3
        assert names(server.get("/api/tyto/v1/catalog")) == ["shop"]
        assert server.metric("tyto_catalog_source_trouble") == 1
        assert any(bad in line and "Ada" in line for line in server.stderr)
        (tmp_path / "omd.yaml").write_text(omd("other"))
        taken = apply(server, tmp_path, "omd.yaml", "--source", name)
        assert taken.returncode == 2 and "the server follows file://" in taken.stderr, taken

        shop.commit(**{"catalogue/omd.yaml": omd("store")})
        eventually(lambda: names(server.get("/api/tyto/v1/catalog")) == ["store"])
        assert not status(server)["stale"] and server.metric("tyto_catalog_stale") == 0
        assert [version["number"] for version in server.get("/api/tyto/v1/catalog/versions")["versions"]] == [2, 1]
        # The repository goes away; what was in force stays, through a restart as well.
        shop.folder.rename(tmp_path / "gone")
        eventually(lambda: status(server)["stale"])
        server.kill()
        server.start()
        assert names(server.get("/api/tyto/v1/catalog")) == ["store"]
        eventually(lambda: status(server)["stale"])
        (tmp_path / "gone").rename(shop.folder)
        eventually(lambda: not status(server)["stale"])
        assert not list((tmp_path / "data").glob("catalogue-git/*")), "nothing of a checkout stays"


@pytest.mark.parametrize("address", ["ext::sh -c touch% hacked", "--upload-pack=touch hacked", "ssh://-oProxyCommand=touch/x", "https://host/a/b#-x"])
def test_an_address_that_would_run_something_is_refused(tmp_path, address):
    done = subprocess.run([BINARY, "serve", "--data-dir", tmp_path / "data", f"--catalog-git={address}"], capture_output=True, text=True,
                          env=environment(), cwd=tmp_path, timeout=60)
    assert done.returncode == 1 and "cannot follow" in done.stderr, done
    assert not (tmp_path / "hacked").exists()


def test_logs_keep_their_identity_while_postgres_is_away(tmp_path):
    shop = Repository(tmp_path / "shop")
    shop.commit(omd=omd("shop"))
    with Postgres() as postgres:
        store = ("--catalog-store", f"postgres://clinic@127.0.0.1:{postgres.port}/postgres")
        with Tyto(tmp_path / "one", *store, *POLL) as one, Tyto(tmp_path / "two", *store, *POLL) as two:
            assert apply(one, shop.folder, ".").returncode == 0
            # Others over the same database see it within the interval.
            eventually(lambda: names(two.get("/api/tyto/v1/catalog")) == ["shop"], timeout=10)
            send(two, "shop-api")

            postgres.kill()
            send(one, "shop-api")
            eventually(lambda: status(one)["stale"] and status(two)["stale"])
            assert one.metric("tyto_catalog_store_up") == 0 and "The catalogue may be old" in requests.get(one.url + "/-/ready", timeout=10).text
            shop.commit(omd=omd("shop", tier=0))
            away = apply(one, shop.folder, ".")
            assert away.returncode == 2 and "cannot reach the catalogue's postgres store" in away.stderr, away
            # A start waits for no database: the copy on its disk is in force.
            two.kill()
            two.start()
            assert two.seconds_to_ready < 30
            send(two, "shop-api")
            assert counts(one) == {"shop": 1} and counts(two) == {"shop": 2}

            postgres.start()
            eventually(lambda: not status(one)["stale"] and not status(two)["stale"])
            done = apply(two, shop.folder, ".")
            assert done.returncode == 0 and "in force as version 2" in done.stdout, done
            eventually(lambda: one.get("/api/tyto/v1/catalog")["business_services"][0]["tier"] == "0", timeout=10)


def test_a_database_that_cannot_be_opened_stops_nothing(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalogue.sqlite").write_bytes(b"this is no database" * 100)
    (tmp_path / "omd.yaml").write_text(omd("shop"))
    with Tyto(tmp_path / "data", "--catalog", tmp_path / "omd.yaml", *POLL) as server:
        send(server, "shop-api")
        assert counts(server) == {"shop": 1} and status(server)["stale"]
        assert json.dumps(status(server)).count("cannot") >= 1 and os.path.exists(tmp_path / "data" / "catalogue.sqlite")
