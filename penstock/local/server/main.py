"""The server process of the laptop cloud: `python -m penstock.local.server.main --home … --port …`.

MiniStack reads its settings from the environment at import, so this module sets them before it imports MiniStack. It
listens on 127.0.0.1 only.
"""

import argparse
import asyncio
import asyncio.constants
import logging
import os
import resource
import secrets
from pathlib import Path
from typing import Any

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.host.home import CloudHome
from penstock.local.host.tls import Certificates, ensure_certificates


def main() -> None:
    """Run the server until a signal stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", default=f"penstock-{secrets.token_hex(8)}")
    arguments = parser.parse_args()
    home = CloudHome(arguments.home.resolve())
    home.create()
    files = ensure_certificates(home.tls)
    os.environ.update(_settings(home, arguments.port, files))
    for name in ("PYTHONPATH", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)
    _raise_file_limit()
    asyncio.run(_serve(home, arguments.port, arguments.token, files))


async def _serve(home: CloudHome, port: int, token: str, files: Certificates) -> None:
    # Only now: MiniStack reads the settings from the environment at import.
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    from penstock.local.server.application import build  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = str(files.server), str(files.key)
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    # An open client connection must not delay the stop: by default TLS waits 30 s for its closing message.
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 0.5
    config.shutdown_timeout = 30
    config.loglevel = "WARNING"
    logging.getLogger("ministack").setLevel(logging.WARNING)
    application: Any = build(home, port, token)
    await serve(application, config)


def _settings(home: CloudHome, port: int, files: Certificates) -> dict[str, str]:
    trusted = {name: str(files.bundle) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")}
    return {
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "MINISTACK_HOST": "localhost",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home.objects),
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(files.server),
        "MINISTACK_SSL_KEY": str(files.key),
        "NODE_EXTRA_CA_CERTS": str(files.authority),
        **trusted,
        # A laptop with Docker must behave like one without, and MiniStack removes containers at start.
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{home.root}/no-docker.sock",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # MiniStack's root key, used only by its services for requests to each other.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        # Firehose is a thread of this process: on a busy laptop it answers late, and a capture would be dropped.
        "PENSTOCK_CAPTURE_SECONDS": "10",
        "LOG_LEVEL": os.environ.get("PENSTOCK_CLOUD_LOG_LEVEL", "INFO"),
    }


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))
        except (ValueError, OSError) as error:
            logging.getLogger(__name__).info("The limit of open files stays at %s: %s", soft, error)


if __name__ == "__main__":
    main()
