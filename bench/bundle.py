"""`make bench-bundle`: `prod`'s bundle of predict, unpacked: sizes, modules, and whether its Python imports it."""

import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from bench.report import ROOT, close, table
from bench.served import environment, model, stand_in
from infra.bundling import bundle, interpreter
from infra.stages import PROD

LIMIT_MB = 250
"""What Lambda takes, unpacked. Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def imports(folder: Path) -> str:
    """Whether the stage's own Python starts the handler from the bundle; without one here nobody knows."""
    if (python := interpreter(PROD.python)) is None:
        return f"not tried: no Python {PROD.python} here"
    data = model()
    with stand_in(data) as address:
        about = environment(address, data) | {"PYTHONPATH": str(folder)}
        command = [python, "-c", "import functions.predict.handler as h; assert h.model is not None; h.capture.close()"]
        done = subprocess.run(command, env=about, capture_output=True, text=True, check=False)
    return "yes" if done.returncode == 0 else f"no: {done.stderr.strip().splitlines()[-1]}"


def main() -> None:
    made = bundle(ROOT, "predict", "flight-delay", python=PROD.python, vendored=True)
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(made.path) as archive:
        sizes: Counter[str] = Counter()
        for item in archive.infolist():
            sizes[item.filename.partition("/")[0]] += item.file_size
        bytecode = sum(item.filename.endswith(".pyc") for item in archive.infolist())
        archive.extractall(name)
        started = imports(Path(name))
    total = sum(sizes.values()) / 1e6
    table("predict's bundle for prod", ["what", "MB"], [(k, f"{v / 1e6:.2f}") for k, v in sizes.most_common()])
    print(f"unpacked {total:.1f} MB of {LIMIT_MB}, {bytecode} files of bytecode")
    print(f"Python {PROD.python} imports it: {started}")
    close("bundle", {"mb": total, "zip_mb": made.path.stat().st_size / 1e6, "bytecode": bytecode})
    sys.exit(total > LIMIT_MB or started.startswith("no:"))


if __name__ == "__main__":
    main()
