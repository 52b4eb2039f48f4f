"""Deployment by the CDK command line: its arguments, its output and its failures."""

import json
from pathlib import Path

import pytest

from penstock.local.host.cloud import CloudError, LaptopCloud
from penstock.local.host.deploy import deploy, destroy
from tests.local.conftest import Client, free_port

# Stands in for the CDK's command line. It asks the cloud over TLS as the CDK does, and writes what it was given.
CDK = """
const fs = require("fs"), https = require("https");
const arguments_ = process.argv.slice(2);
const call = JSON.stringify({arguments: arguments_, environment: process.env});
fs.appendFileSync(__dirname + "/../../calls.jsonl", call + "\\n");
https.get(process.env.AWS_ENDPOINT_URL + "/_penstock/health", (answer) => {
  answer.resume();
  console.log("the cloud answered " + answer.statusCode);
  console.error("said on the error stream");
  const outputs = arguments_.indexOf("--outputs-file");
  if (outputs >= 0) fs.writeFileSync(arguments_[outputs + 1], JSON.stringify({"penstock-lake": {"Bucket": "b"}}));
  if (fs.existsSync("broken")) { console.log("Resource handler returned message: no"); process.exit(7); }
});
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    binaries = tmp_path / "node_modules" / ".bin"
    binaries.mkdir(parents=True)
    (binaries / "cdk").write_text(CDK)
    return tmp_path


def calls(project: Path) -> list[dict[str, list[str] | dict[str, str]]]:
    return [json.loads(line) for line in (project / "calls.jsonl").read_text().splitlines()]


def test_a_deployment_bootstraps_once_and_gives_outputs(cloud: LaptopCloud, client: Client, project: Path) -> None:
    # Given a project that was never deployed
    lines: list[str] = []
    # When it is deployed
    outputs = deploy(cloud, project, progress=lines.append, context={"model": "delays"})
    # Then the CDK bootstraps and deploys the local stage at the cloud, and its outputs come back
    assert outputs == {"penstock-lake": {"Bucket": "b"}}
    assert "the cloud answered 200" in lines
    assert "said on the error stream" in lines
    bootstrap, deployment = calls(project)
    assert "bootstrap" in bootstrap["arguments"]
    assert {"deploy", "--all", "stage=local", "model=delays"} <= set(deployment["arguments"])
    environment = deployment["environment"]
    assert isinstance(environment, dict)
    assert environment["AWS_ENDPOINT_URL"] == cloud.url
    assert environment["CDK_DEFAULT_ACCOUNT"] == "000000000000"
    # And once the toolkit stack is there, it is not made again
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    client("cloudformation").create_stack(StackName="CDKToolkit", TemplateBody=template)
    client("cloudformation").get_waiter("stack_create_complete").wait(StackName="CDKToolkit", WaiterConfig={"Delay": 1})
    deploy(cloud, project, progress=lines.append)
    assert len(calls(project)) == 3
    client("cloudformation").delete_stack(StackName="CDKToolkit")


def test_a_failure_shows_the_last_lines_of_the_cdk(cloud: LaptopCloud, project: Path) -> None:
    # Given a project that cannot be destroyed
    (project / "broken").touch()
    # When it is tried, then the error carries the exit code and the CDK's own words
    with pytest.raises(CloudError, match=r"(?s)cdk destroy failed \(exit code 7\).*Resource handler returned"):
        destroy(cloud, project, progress=lambda _: None)


def test_a_missing_tool_is_named_with_the_command_that_installs_it(cloud: LaptopCloud, tmp_path: Path) -> None:
    # Given a project without the CDK, when it is deployed, then the error says how to get it
    with pytest.raises(CloudError, match="npm ci"):
        deploy(cloud, tmp_path, progress=lambda _: None)
    # And a cloud that does not run is named too
    with pytest.raises(CloudError, match="penstock up"):
        deploy(LaptopCloud(tmp_path / "none", port=free_port()), tmp_path, progress=lambda _: None)
