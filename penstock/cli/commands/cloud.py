"""`up`, `down`, `status`: start, stop and inspect the laptop cloud."""

from dataclasses import asdict
from typing import Annotated

import typer

from penstock.cli.options import Json
from penstock.cli.output import as_json, console
from penstock.cli.target import laptop_cloud, project_root
from penstock.contract.odcs import read_contract
from penstock.features.group import feature_group
from penstock.local.host.deploy import deploy
from penstock.spec.consistency import agree
from penstock.spec.model import model_folders, read_model

IMAGE = "penstock-training"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    *,
    no_deploy: Annotated[bool, typer.Option("--no-deploy", help="Start the cloud only.")] = False,
) -> None:
    """Start the laptop cloud and deploy this project to it with the CDK command line."""
    root = project_root()
    for folder in model_folders(root):
        spec, contract = read_model(folder), read_contract(folder)
        agree(folder, spec, contract)
        feature_group("local", spec, contract)
    cloud = laptop_cloud(root)
    was_running = cloud.status().running
    with console.status("starting the laptop cloud"):
        state = cloud.up(images={IMAGE: root})
    console.print(f"the laptop cloud {'runs already' if was_running else 'is up'} at {state.url} (pid {state.pid})")
    if no_deploy:
        return
    with console.status("deploying") as spinner:
        stacks = deploy(cloud, root, progress=lambda line: spinner.update(f"deploying: {line[:100]}"))
    console.print(f"deployed {', '.join(stacks)}")


def down() -> None:
    """Stop the laptop cloud; its data stays in .penstock/."""
    was_running = laptop_cloud(project_root()).down()
    console.print("the laptop cloud is down" if was_running else "the laptop cloud was not running")


def status(*, json: Json = False) -> None:
    """Say whether the laptop cloud runs. Exit code 3 if it does not."""
    state = laptop_cloud(project_root()).status()
    if json:
        as_json(asdict(state))
    elif state.running:
        console.print(
            f"up at {state.url} since {state.started_at}, pid {state.pid}, {state.jobs} SageMaker jobs in progress"
        )
    else:
        console.print("down: start it with `penstock up`")
    if not state.running:
        raise typer.Exit(3)
