"""Targets that an API lists: Kubernetes (a stand-in that lists and watches), EC2 and ECS (moto)."""

import http.server
import os
import threading

import boto3
import pytest
import requests

from kubernetes import Kubernetes, pod
from s3 import S3
from server import Tyto, eventually


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = b"# TYPE sold counter\nsold 40\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def targets(tyto):
    return {
        target["scrapePool"]: target["discoveredLabels"] for target in tyto.get("/api/v1/targets")["data"]["activeTargets"]
    }


def test_pods_come_change_and_go(shop, tmp_path):
    config, token = tmp_path / "prometheus.yml", tmp_path / "token"
    token.write_text("open sesame\n")
    with Kubernetes("open sesame") as kubernetes:
        config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{{role: pod, api_server: "{kubernetes.url}", authorization: {{credentials_file: token}}, namespaces: {{names: [shop]}}}}]
  relabel_configs:
  - {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}}
  - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}
  - {{regex: "__meta_kubernetes_pod_label_(.+)", action: labelmap}}
- job_name: slices
  kubernetes_sd_configs: [{{role: endpointslice, api_server: "{kubernetes.url}", bearer_token_file: token}}]
  relabel_configs: [{{source_labels: [__meta_kubernetes_service_name, __meta_kubernetes_pod_name], target_label: behind}}]
""")
        scraped = {"annotations": {"prometheus.io/scrape": "true"}}
        # More than one page, and one in another namespace.
        for number in range(3):
            kubernetes.put("pods", "shop", f"web-{number}", **pod(f"web-{number}", shop, {"app": "web"}, **scraped))
        kubernetes.put("pods", "other", "web-9", **pod("web-9", shop, {"app": "web"}, **scraped))
        kubernetes.put("pods", "shop", "quiet", **pod("quiet", shop, {"app": "web"}))
        kubernetes.put("services", "shop", "web", spec={"ports": None})
        kubernetes.put(
            "endpointslices", "shop", "web-x", addressType="IPv4", metadata={"labels": {"kubernetes.io/service-name": "web"}},
            ports=[{"port": int(shop.split(":")[1])}],
            endpoints=[{"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-1"}}],
        )
        with Tyto(tmp_path / "data", "--scrape-config", config) as tyto:
            series = lambda job="pods": {
                (sample["metric"].get("pod") or sample["metric"].get("behind"), sample["metric"].get("app"))
                for sample in tyto.promql(f'sold{{job="{job}"}}')
            }
            web = {(f"web-{number}", "web") for number in range(3)}
            eventually(lambda: series() == web)
            eventually(lambda: series("slices") == {("web;web-1", None)})

            # Added, changed, deleted; what is there no more ends at once, not after the five minutes of the look-back.
            kubernetes.put("pods", "shop", "till-0", **pod("till-0", shop, {"app": "till"}, **scraped))
            eventually(lambda: series() == web | {("till-0", "till")})
            kubernetes.put("pods", "shop", "till-0", **pod("till-0", shop, {"app": "desk"}, **scraped))
            eventually(lambda: series() == web | {("till-0", "desk")})
            kubernetes.delete("pods", "shop", "till-0")
            eventually(lambda: series() == web)

            # A watch that ends goes on where it was; a version that is gone asks for a new list.
            lists = lambda: sum("/namespaces/shop/pods?limit" in path for path in kubernetes.asked)
            before = lists()
            kubernetes.hang_up()
            kubernetes.put("pods", "shop", "till-1", **pod("till-1", shop, {"app": "till"}, **scraped))
            eventually(lambda: series() == web | {("till-1", "till")})
            assert lists() == before, kubernetes.asked
            kubernetes.delete("pods", "shop", "web-0")
            kubernetes.forget()
            web.remove(("web-0", "web"))
            eventually(lambda: series() == web | {("till-1", "till")})
            eventually(lambda: lists() > before)

            # Who is not let in keeps the targets it has, and comes back by itself.
            kubernetes.token = "another"
            kubernetes.hang_up()
            eventually(lambda: any("Kubernetes says 401 Unauthorized: Unauthorized" in line for line in tyto.stderr))
            assert tyto.metric("tyto_scrape_discovery_failures_total") > 0
            assert series() == web | {("till-1", "till")}
            token.write_text("another")
            kubernetes.delete("pods", "shop", "till-1")
            eventually(lambda: series() == web, timeout=60)
            assert tyto.stop() == 0


@pytest.fixture
def aws(monkeypatch):
    with S3() as server:
        for key in [key for key in os.environ if key.startswith("AWS_")]:
            monkeypatch.delenv(key)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        for key, value in {**keys, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url}.items():
            monkeypatch.setenv(key, value)
        yield server


def run(ec2, count, **tags):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    launched = ec2.run_instances(ImageId=image, MinCount=count, MaxCount=count, InstanceType="t3.small", TagSpecifications=tags)
    return [instance["InstanceId"] for instance in launched["Instances"]]


def test_instances_of_ec2(aws, tmp_path):
    ec2 = boto3.client("ec2")
    shop, _ = run(ec2, 2, app="shop", **{"cost-center": "7"}), run(ec2, 1, app="other")
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
scrape_configs:
- job_name: shop
  ec2_sd_configs:
  - {{region: eu-west-1, endpoint: "{aws.url}", access_key: test, secret_key: test, port: 9100, refresh_interval: 1s,
     filters: [{{name: "tag:app", values: [shop]}}, {{name: instance-state-name, values: [running]}}]}}
  relabel_configs: [{{source_labels: [__meta_ec2_instance_id], target_label: instance}}]
- job_name: all
  aws_sd_configs: [{{role: ec2, refresh_interval: 1s}}]
""")
    with Tyto(tmp_path / "data", "--scrape-config", config) as tyto:
        active = lambda pool: [target for target in tyto.get("/api/v1/targets")["data"]["activeTargets"] if target["scrapePool"] == pool]
        eventually(lambda: {target["labels"]["instance"] for target in active("shop")} == set(shop) and len(active("all")) == 3)
        [described] = ec2.describe_instances(InstanceIds=shop[:1])["Reservations"][0]["Instances"]
        [found] = [target["discoveredLabels"] for target in active("shop") if target["labels"]["instance"] == shop[0]]
        zones = {zone["ZoneName"]: zone["ZoneId"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
        zone = described["Placement"]["AvailabilityZone"]
        expected = {
            "__address__": f"{described['PrivateIpAddress']}:9100",
            "__meta_ec2_ami": described["ImageId"],
            "__meta_ec2_architecture": described["Architecture"],
            "__meta_ec2_availability_zone": zone,
            "__meta_ec2_availability_zone_id": zones[zone],
            "__meta_ec2_instance_id": shop[0],
            "__meta_ec2_instance_state": "running",
            "__meta_ec2_instance_type": "t3.small",
            "__meta_ec2_owner_id": "123456789012",
            "__meta_ec2_primary_subnet_id": described["SubnetId"],
            "__meta_ec2_private_dns_name": described["PrivateDnsName"],
            "__meta_ec2_private_ip": described["PrivateIpAddress"],
            "__meta_ec2_public_dns_name": described["PublicDnsName"],
            "__meta_ec2_public_ip": described["PublicIpAddress"],
            "__meta_ec2_region": "eu-west-1",
            "__meta_ec2_subnet_id": f",{described['SubnetId']},",
            "__meta_ec2_tag_app": "shop",
            "__meta_ec2_tag_cost_center": "7",
            "__meta_ec2_vpc_id": described["VpcId"],
        }
        assert {name: found.get(name) for name in expected} == expected
        ec2.terminate_instances(InstanceIds=shop[:1])
        eventually(lambda: {target["labels"]["instance"] for target in active("shop")} == set(shop[1:]))
        # AWS is away: the targets stay.
        aws.process.kill()
        eventually(lambda: tyto.metric("tyto_scrape_discovery_failures_total") > 0, timeout=60)
        assert {target["labels"]["instance"] for target in active("shop")} == set(shop[1:])
        assert tyto.metric("tyto_aws_requests_total") > 0
        assert tyto.stop() == 0


def test_tasks_of_ecs(aws, tmp_path):
    ec2, ecs = boto3.client("ec2"), boto3.client("ecs")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    tags = lambda value: [{"key": "cost-center", "value": value}]
    ecs.create_cluster(clusterName="shop", tags=tags("a"))
    ecs.register_task_definition(
        family="web", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
        containerDefinitions=[{"name": "web", "image": "web:1", "memory": 512}],
    )
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    [task] = ecs.run_task(cluster="shop", taskDefinition="web", launchType="FARGATE", networkConfiguration=network, tags=tags("c"))["tasks"]
    config = tmp_path / "prometheus.yml"
    config.write_text("""
scrape_configs:
- job_name: fargate
  ecs_sd_configs: [{clusters: [shop], port: 8080, refresh_interval: 1s}]
- job_name: all
  aws_sd_configs: [{role: ecs, refresh_interval: 1s}]
""")
    with Tyto(tmp_path / "data", "--scrape-config", config) as tyto:
        eventually(lambda: set(targets(tyto)) == {"fargate", "all"})
        found = targets(tyto)["fargate"]
        details = {detail["name"]: detail["value"] for detail in task["attachments"][0]["details"]}
        expected = {
            "__address__": f"{details['privateIPv4Address']}:8080",
            "__meta_ecs_cluster": "shop",
            "__meta_ecs_cluster_arn": task["clusterArn"],
            "__meta_ecs_ip_address": details["privateIPv4Address"],
            "__meta_ecs_launch_type": "FARGATE",
            "__meta_ecs_network_mode": "awsvpc",
            "__meta_ecs_region": "eu-west-1",
            "__meta_ecs_subnet_id": subnet,
            "__meta_ecs_tag_cluster_cost_center": "a",
            "__meta_ecs_tag_task_cost_center": "c",
            "__meta_ecs_task_arn": task["taskArn"],
            "__meta_ecs_task_definition": task["taskDefinitionArn"],
        }
        assert {name: found.get(name) for name in expected} == expected
        assert tyto.stop() == 0


def test_keys_that_are_refused_and_files_that_cannot_be_used(aws, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text("""scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{role: pods, own_namespace: true}]
- job_name: rds
  aws_sd_configs: [{role: rds}]
- job_name: ec2
  ec2_sd_configs: [{filter: [], basic_auth: {username: a}}]
""")
    with pytest.raises(RuntimeError) as refused:
        Tyto(tmp_path / "data", "--scrape-config", config).start()
    for line in [
        'prometheus.yml:3:34: cannot use role: "pods": write node, service, pod',
        'prometheus.yml:3:40: cannot use key "own_namespace" in a Kubernetes discovery',
        "prometheus.yml:5:27: cannot discover targets by AWS role rds: Tyto does not have it yet",
        'prometheus.yml:7:21: cannot use key "filter" in an EC2 discovery: did you mean "filters"?',
        "cannot use basic_auth with AWS: who asks is said by AWS's own keys",
    ]:
        assert line in str(refused.value), str(refused.value)
    assert requests.get(aws.url, timeout=5).ok
