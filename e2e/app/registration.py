"""Registers patients: PostgreSQL keeps them, SQS says so to whoever welcomes them, and the doctors' service is asked over HTTP.

Nothing here knows OpenTelemetry: `opentelemetry-instrument flask --app registration run` brings it.
"""

import json
import logging
import os

import boto3
import psycopg
import requests
from flask import Flask, request

app = Flask(__name__)
logging.basicConfig(level=logging.INFO)
log = logging.getLogger("registration")
doctors_url, database_url = os.environ["DOCTORS_URL"], os.environ["DATABASE_URL"]
consents = boto3.client("dynamodb")
sqs = boto3.client("sqs")


@app.post("/patients")
def register():
    name, clinic = request.json["name"], request.json["clinic"]
    with psycopg.connect(database_url) as database:
        [patient] = database.execute("INSERT INTO patients (name, clinic) VALUES (%s, %s) RETURNING id", (name, clinic)).fetchone()
    consents.put_item(TableName="consents", Item={"patient": {"S": str(patient)}, "given": {"BOOL": True}})
    queue = sqs.get_queue_url(QueueName="registrations")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"patient": patient, "name": name}))
    log.info("patient %d is registered in %s", patient, clinic)
    return {"patient": patient}, 201


@app.get("/patients/<int:patient>/doctor")
def doctor_of(patient):
    with psycopg.connect(database_url) as database:
        [clinic] = database.execute("SELECT clinic FROM patients WHERE id = %s", (patient,)).fetchone()
    answer = requests.get(f"{doctors_url}/clinics/{clinic}/doctor", timeout=10)
    if answer.status_code == 404:
        log.warning("patient %d has no doctor: %s", patient, answer.json()["error"])
    return answer.json(), answer.status_code
