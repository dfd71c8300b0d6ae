"""Starts the app of e2e/app with all that it talks to: PostgreSQL, and moto for AWS."""

import os
import pathlib
import socket
import subprocess
import sys

import boto3
import psycopg
import requests

from postgres import Postgres
from s3 import S3
from server import ROOT, environment, eventually

APP = ROOT / "e2e" / "app"
CLIENTS = ROOT / "e2e" / "clients"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}


class Clinic:
    """`server` takes the telemetry."""

    def __init__(self, server, folder, **settings):
        self.server, self.folder, self.settings = server, pathlib.Path(folder), settings
        self.processes, self.logs = [], []

    def __enter__(self):
        self.postgres, self.aws = Postgres(), S3()
        self.postgres.__enter__()
        try:
            self.aws.__enter__()
            self.furnish()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def furnish(self):
        """What the app finds there: tables, a queue, and no table for the doctors of the south."""
        with psycopg.connect(self.database) as database:
            database.execute("CREATE TABLE patients (id serial PRIMARY KEY, name text, clinic text)")
            database.execute("CREATE TABLE welcomes (patient int)")
        common = {"endpoint_url": self.aws.url, "region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        dynamodb = boto3.client("dynamodb", **common)
        for table, key in [("consents", "patient"), ("doctors-north", "shift")]:
            dynamodb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                                  AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}])
        dynamodb.put_item(TableName="doctors-north", Item={"shift": {"S": "day"}, "doctor": {"S": "Dr. Minot"}})
        boto3.client("sqs", **common).create_queue(QueueName="registrations")

    @property
    def database(self):
        return f"postgresql://clinic@localhost:{self.postgres.port}/postgres"

    def start(self):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            ports = [listener.getsockname()[1] for listener in (one, two)]
        self.url, doctors = [f"http://127.0.0.1:{port}" for port in ports]
        common = {
            **environment(), **AWS, "AWS_ENDPOINT_URL": self.aws.url, "DATABASE_URL": self.database,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.server.otlp_http}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            # So that a test need not wait for what a batch waits for.
            "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "1000", **self.settings,
        }
        self.run("doctors-api", ["node", "--require", "@opentelemetry/auto-instrumentations-node/register", APP / "doctors.js"],
                 {**common, "OTEL_SERVICE_NAME": "doctors-api", "PORT": str(ports[1]), "NODE_PATH": CLIENTS / "node_modules"}, CLIENTS)
        instrument = pathlib.Path(sys.executable).with_name("opentelemetry-instrument")
        self.run("registration-api", [instrument, pathlib.Path(sys.executable).with_name("flask"), "--app", "registration", "run", "--port", str(ports[0])],
                 {**common, "OTEL_SERVICE_NAME": "registration-api", "DOCTORS_URL": doctors}, APP)
        # By their ports alone: a request would be on the map.
        for port in ports:
            eventually(lambda: self.listens(port), timeout=120)

    def run(self, name, command, variables, folder):
        log = open(self.folder / f"{name}.log", "w")
        self.logs.append(log)
        self.processes.append(subprocess.Popen(command, env={key: str(value) for key, value in variables.items()}, cwd=folder, stdout=log, stderr=log))

    def listens(self, port):
        for process, log in zip(self.processes, self.logs):
            assert process.poll() is None, pathlib.Path(log.name).read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    def register(self, name, clinic):
        answer = requests.post(f"{self.url}/patients", json={"name": name, "clinic": clinic}, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.json()["patient"]

    def doctor_of(self, patient):
        return requests.get(f"{self.url}/patients/{patient}/doctor", timeout=30)

    def welcomed(self):
        with psycopg.connect(self.database) as database:
            return database.execute("SELECT count(*) FROM welcomes").fetchone()[0]

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        for log in self.logs:
            log.close()
        if self.aws.process:
            self.aws.__exit__()
        self.postgres.__exit__()
