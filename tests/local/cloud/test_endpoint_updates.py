"""Endpoint updates: no request fails during one, and a failed update keeps the old configuration."""

import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from penstock.local.host import processes
from penstock.local.host.cloud import LaptopCloud
from tests.local.cloud.hosted import endpoint, invoke, model, role_for_models, settled, variant, write_server
from tests.local.conftest import Client, client_for, free_port, until


@pytest.fixture(scope="module")
def role(cloud: LaptopCloud, client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    cloud.up(images={"tinyserver": write_server(tmp_path_factory.mktemp("server"))})
    return role_for_models(client, "hosting-updates")


def configure(client: Client, role: str, name: str, **environment: str) -> None:
    """Create a model and an endpoint configuration of it."""
    model(client, role, name, Environment=environment)
    variants = [variant("AllTraffic", name)]
    client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)


def updated(client: Client, name: str) -> tuple[str, str, str]:
    """Wait for an update; return status, configuration and failure."""
    describe = client("sagemaker").describe_endpoint
    until(lambda: describe(EndpointName=name)["EndpointStatus"] != "Updating", 30)
    description = describe(EndpointName=name)
    return description["EndpointStatus"], description["EndpointConfigName"], description.get("FailureReason", "")


def test_an_update_takes_over_when_it_answers(client: Client, role: str) -> None:
    # Given an endpoint that is asked all the time
    endpoint(client, role, "changing", {"COLOUR": "blue"})
    assert settled(client, "changing")["EndpointStatus"] == "InService"
    configure(client, role, "changed", COLOUR="green")
    before, answers, over = invoke(client, "changing")["pid"], [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(invoke(client, "changing")["colour"])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    # When it is given another configuration
    client("sagemaker").update_endpoint(EndpointName="changing", EndpointConfigName="changed")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        client("sagemaker").delete_endpoint(EndpointName="changing")
    assert updated(client, "changing") == ("InService", "changed", "")
    assert invoke(client, "changing")["colour"] == "green"
    over.set()
    thread.join()
    # Then every request was answered, by the old and then by the new, and the old process has ended
    assert answers == sorted(answers)
    assert set(answers) <= {"blue", "green"}
    until(lambda: not processes.exists(before))


def test_an_update_that_fails_changes_nothing(client: Client, role: str) -> None:
    # Given an endpoint and a configuration whose container ends
    endpoint(client, role, "steady", {"COLOUR": "blue"})
    assert settled(client, "steady")["EndpointStatus"] == "InService"
    configure(client, role, "unsteady", MODE="dies")
    pid = invoke(client, "steady")["pid"]
    # When it is updated with that
    client("sagemaker").update_endpoint(EndpointName="steady", EndpointConfigName="unsteady")
    status, config, reason = updated(client, "steady")
    # Then it says why, and goes on as before
    assert (status, config) == ("InService", "steady")
    assert "the weights do not fit, exit code: 1" in reason
    assert invoke(client, "steady")["pid"] == pid


def test_weights_count_at_once(client: Client, role: str) -> None:
    # Given an endpoint of two variants, of which one has all
    model(client, role, "weighed-blue", Environment={"COLOUR": "blue"})
    model(client, role, "weighed-red", Environment={"COLOUR": "red"})
    variants = [variant("blue", "weighed-blue"), variant("red", "weighed-red", InitialVariantWeight=0.0)]
    client("sagemaker").create_endpoint_config(EndpointConfigName="weighed", ProductionVariants=variants)
    client("sagemaker").create_endpoint(EndpointName="weighed", EndpointConfigName="weighed")
    assert settled(client, "weighed")["EndpointStatus"] == "InService"
    # When the weights change places
    weights = [{"VariantName": "blue", "DesiredWeight": 0.0}, {"VariantName": "red", "DesiredWeight": 1.0}]
    change = client("sagemaker").update_endpoint_weights_and_capacities
    change(EndpointName="weighed", DesiredWeightsAndCapacities=weights)
    # Then the other one answers
    assert {invoke(client, "weighed")["colour"] for _ in range(8)} == {"red"}
    # And a variant that is not there is named
    with pytest.raises(ClientError, match='Could not find variant "green"'):
        change(EndpointName="weighed", DesiredWeightsAndCapacities=[{"VariantName": "green", "DesiredWeight": 1.0}])


def test_an_updated_endpoint_is_back_after_a_restart(tmp_path: Path) -> None:
    # Given a cloud of its own with an endpoint whose update is under way when the cloud stops
    (tmp_path / "server").mkdir()
    cloud = LaptopCloud(tmp_path / "home", port=free_port())
    cloud.up(images={"tinyserver": write_server(tmp_path / "server")})
    try:
        client = client_for(cloud)
        role = role_for_models(client)
        endpoint(client, role, "kept", {"COLOUR": "blue"})
        assert settled(client, "kept")["EndpointStatus"] == "InService"
        configure(client, role, "later", COLOUR="green")
        client("sagemaker").update_endpoint(EndpointName="kept", EndpointConfigName="later")
        cloud.down()
        # When the cloud is up again
        cloud.up()
        # Then the update comes to its end
        client = client_for(cloud)
        assert updated(client, "kept") == ("InService", "later", "")
        assert invoke(client, "kept")["colour"] == "green"
    finally:
        cloud.down()
