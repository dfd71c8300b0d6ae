"""A label with too many values, sent by the OpenTelemetry SDK, and since when its counters count."""

import time

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from server import Tyto

OVERFLOW = "__cardinality_overflow__"


def metrics_of(server, service):
    exporter = OTLPMetricExporter(endpoint=f"{server.url}/v1/metrics")
    resource = Resource.create({"service.name": service, "omd.business_service": "login", "omd.service": service})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], resource=resource)


def users(server, metric, service):
    parameters = {"match[]": f'{metric}{{service="{service}"}}'}
    return server.get("/api/v1/label/user/values", **parameters)["data"]


def test_only_the_offending_label_of_its_owner_overflows(tmp_path):
    with Tyto(tmp_path / "data", "--label-values-max", "50") as server:
        began = time.time()
        for service, count in [("auth", 80), ("profile", 20)]:
            meters = metrics_of(server, service)
            logins = meters.get_meter("e2e").create_counter("logins")
            for user in range(count):
                logins.add(1, {"user": f"user-{user}", "region": "eu"})
            assert meters.force_flush()
            # Series that came before are not looked at again.
            logins.add(1, {"user": "user-3", "region": "eu"})
            meters.shutdown()

        auth = users(server, "logins_total", "auth")
        assert len(auth) == 51 and OVERFLOW in auth and "user-49" in auth and "user-50" not in auth
        assert len(users(server, "logins_total", "profile")) == 20, "another owner's values are its own"
        regions = server.get("/api/v1/label/region/values", **{"match[]": "logins_total"})["data"]
        assert regions == ["eu"], "only the offending label goes"

        labels = server.get("/api/tyto/v1/cardinality", limit=5)["labels"]
        assert (labels[0]["business_service"], labels[0]["service"], labels[0]["label"]) == ("login", "auth", "user")
        # Two pushes told the thirty that are too many.
        assert labels[0]["overflows"] and 70 <= labels[0]["values"] <= 90 and labels[0]["replaced_series"] == 60
        assert not any(label["overflows"] for label in labels[1:])
        metrics = requests.get(server.url + "/metrics", timeout=60).text
        assert 'tyto_cardinality_overflowed_series_total{business_service="login"} 60' in metrics

        # The SDK says since when its counters count.
        found = server.get("/api/v1/query", query='start_timestamp(logins_total{user="user-3"})')["data"]["result"]
        assert len(found) == 2 and all(began - 1 <= float(series["value"][1]) <= time.time() for series in found)
