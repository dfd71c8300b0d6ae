"""Tyto asks CloudWatch (moto) for what a configuration file of YACE says."""

import datetime
import os
import signal

import boto3
import pytest
import requests

from s3 import S3, Line
from server import Tyto, eventually


@pytest.fixture
def aws(monkeypatch):
    with S3() as server:
        for key in [key for key in os.environ if key.startswith("AWS_")]:
            monkeypatch.delenv(key)
        line = Line(server.port)
        said = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
        for key, value in {**said, "AWS_ENDPOINT_URL": line.url}.items():
            monkeypatch.setenv(key, value)
        yield line


def put(client, namespace, name, values, minute, **dimensions):
    """One value a minute, from this one on."""
    dimensions = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": minute + datetime.timedelta(minutes=number)}
        for number, value in enumerate(values)
    ]
    client.put_metric_data(Namespace=namespace, MetricData=data)


def whole_minute(ago):
    now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
    return now - datetime.timedelta(minutes=ago)


FILE = """
apiVersion: v1alpha1
discovery:
  exportedTagsOnMetrics: {ECS/ContainerInsights: [team]}
  jobs:
  - type: ecs-containerinsights
    regions: [eu-west-1]
    period: 5
    length: 600
    statistics: [Average]
    searchTags: [{key: team, value: "^we"}]
    customTags: [{key: stage, value: test}]
    metrics: [{name: CpuUtilized}]
static:
- {name: hand, namespace: Shop, regions: [eu-west-1], dimensions: [{name: till, value: a}],
   metrics: [{name: Sold, statistics: [Sum], period: 5, length: 600, nilToZero: true}]}
customNamespace:
- {name: shop, namespace: Shop, regions: [eu-west-1], dimensionNameRequirements: [till],
   metrics: [{name: Sold, statistics: [Sum, Maximum], period: 5, length: 600}]}
"""


def test_metrics_come_once_with_their_tags(aws, tmp_path):
    cloudwatch, ecs = boto3.client("cloudwatch"), boto3.client("ecs")
    for name, team in [("web", "web"), ("other", "db")]:
        ecs.create_cluster(clusterName=name, tags=[{"key": "team", "value": team}, {"key": "Cost-Center", "value": "7"}])
    minute = whole_minute(8)
    for cluster in ["web", "other"]:
        put(cloudwatch, "ECS/ContainerInsights", "CpuUtilized", [1.5, 2.5, 3.5], minute, ClusterName=cluster)
    put(cloudwatch, "Shop", "Sold", [10, 20], minute, till="a")
    put(cloudwatch, "Shop", "Sold", [7], minute, till="a", item="x")
    config = tmp_path / "yace.yml"
    config.write_text(FILE)
    with Tyto(tmp_path / "data", "--cloudwatch-config", config, "--cloudwatch-interval-seconds", "2") as tyto:
        name = "aws_ecs_containerinsights_cpu_utilized_average"
        [series] = eventually(lambda: tyto.promql(f"sum_over_time({name}[30m])"))
        arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/web"
        assert series["metric"] == {
            "name": arn, "region": "eu-west-1", "account_id": "123456789012", "dimension_ClusterName": "web", "tag_team": "web",
            "custom_tag_stage": "test",
        }
        assert series["value"][1] == "7.5"
        [info] = eventually(lambda: tyto.promql("aws_ecs_containerinsights_info"))
        assert info["metric"] == {"__name__": "aws_ecs_containerinsights_info", "name": arn, "tag_team": "web", "tag_Cost_Center": "7"}
        points = lambda query: {series["metric"]["name"]: float(series["value"][1]) for series in tyto.promql(query)}
        eventually(lambda: points("sum_over_time(aws_shop_sold_sum[30m])") == {"hand": 30, "shop": 30})
        # Times are CloudWatch's, empty minutes are 0 where they are to be.
        times = tyto.promql("aws_shop_sold_sum{name='shop'}[30m]")[0]["values"]
        assert times == [[minute.timestamp(), "10"], [minute.timestamp() + 60, "20"]]
        assert points("count_over_time(aws_shop_sold_sum[30m])")["hand"] > 100

        # Further turns bring what is new, and nothing twice.
        polls = tyto.metric("tyto_cloudwatch_polls_total")
        eventually(lambda: tyto.metric("tyto_cloudwatch_polls_total") >= polls + 6)
        put(cloudwatch, "Shop", "Sold", [5], minute + datetime.timedelta(minutes=3), till="a")
        eventually(lambda: points("sum_over_time(aws_shop_sold_sum[30m])") == {"hand": 35, "shop": 35})
        assert points("count_over_time(aws_shop_sold_maximum[30m])") == {"shop": 3}

        # AWS throttles: it is counted, asked again later, and no point is missing.
        aws.mode = "slowdown"
        put_while = boto3.client("cloudwatch", endpoint_url=f"http://127.0.0.1:{aws.port}")
        put(put_while, "Shop", "Sold", [4], minute + datetime.timedelta(minutes=4), till="a")
        eventually(lambda: any("AWS says SlowDown" in line for line in tyto.stderr), timeout=60)
        text = requests.get(f"{tyto.url}/metrics", timeout=10).text
        assert 'result="throttled"' in text and 'operation="GetMetricData"' in text
        assert tyto.metric("tyto_cloudwatch_metrics_requested_total") > 0
        aws.mode = "pass"
        eventually(lambda: points("sum_over_time(aws_shop_sold_sum[30m])") == {"hand": 39, "shop": 39}, timeout=60)

        # Credentials end: that is said by its name, and made up for when there are others.
        aws.mode = "expired"
        put(put_while, "Shop", "Sold", [3], minute + datetime.timedelta(minutes=5), till="a")
        eventually(lambda: any("AWS says ExpiredToken" in line for line in tyto.stderr), timeout=60)
        aws.mode = "pass"
        eventually(lambda: points("sum_over_time(aws_shop_sold_sum[30m])") == {"hand": 42, "shop": 42}, timeout=60)

        # A broken file changes nothing; a job that is left out is asked for no more.
        config.write_text(FILE.replace("customNamespace", "customNamespaces"))
        refused = requests.post(f"{tyto.url}/-/reload", timeout=60)
        assert refused.status_code >= 400 and 'did you mean "customNamespace"?' in refused.json()["error"], refused.text
        assert tyto.metric("tyto_cloudwatch_jobs") == 3
        config.write_text(FILE[: FILE.index("customNamespace")])
        tyto.process.send_signal(signal.SIGHUP)
        eventually(lambda: tyto.metric("tyto_cloudwatch_jobs") == 2)
        assert tyto.stop() == 0


def test_a_job_that_fails_does_not_stop_others(aws, tmp_path):
    cloudwatch = boto3.client("cloudwatch")
    put(cloudwatch, "Shop", "Sold", [10], whole_minute(5), till="a")
    config = tmp_path / "yace.yml"
    config.write_text(FILE + "- {name: far, namespace: Shop, regions: ['no region'], metrics: [{name: Sold, statistics: [Sum]}]}\n")
    with Tyto(tmp_path / "data", "--cloudwatch-config", config, "--cloudwatch-interval-seconds", "1") as tyto:
        eventually(lambda: tyto.promql("last_over_time(aws_shop_sold_maximum[30m])"))
        assert tyto.stop() == 0
    config.write_text("discovery: {jobs: [{type: ec2, regions: [x], enhancedMetrics: [{name: a}], metrics: [{name: a, statistics: [Sum]}]}]}\n")
    with pytest.raises(RuntimeError, match="yace.yml:1:63: cannot use enhancedMetrics: Tyto does not have it yet"):
        Tyto(tmp_path / "data", "--cloudwatch-config", config).start()
