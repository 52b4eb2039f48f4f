"""`make bench-bundle`: the unpacked size of predict's bundle for `prod`, and whether its Python imports the handler."""

import subprocess
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from bench import processes, small_model
from bench.predict_environment import environment, stand_in
from bench.report import ROOT, close, table
from infra.bundling import bundle, interpreter
from infra.stages import PROD

LIMIT_MB = 250
"""Lambda's limit, unpacked. Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def check_import(folder: Path) -> str:
    """Import the handler from the bundle with the stage's own Python; answer "yes", "no: …" or "not tried: …"."""
    if (python := interpreter(PROD.python)) is None:
        return f"not tried: no Python {PROD.python} here"
    data = small_model.build()
    with stand_in(data) as address:
        variables = environment(address, data) | {"PYTHONPATH": str(folder)}
        command = [python, "-c", "import functions.predict.handler as h; assert h.model is not None; h.capture.close()"]
        result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return "yes" if result.returncode == 0 else f"no: {result.stderr.strip().splitlines()[-1]}"


def main() -> int:
    package = bundle(ROOT, "predict", "flight-delay", python=PROD.python, vendored=True)
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(package.path) as archive:
        sizes: Counter[str] = Counter()
        for item in archive.infolist():
            sizes[item.filename.partition("/")[0]] += item.file_size
        bytecode = sum(item.filename.endswith(".pyc") for item in archive.infolist())
        archive.extractall(name)
        answer = check_import(Path(name))
    total = sum(sizes.values()) / 1e6
    table("predict's bundle for prod", ["what", "MB"], [(k, f"{v / 1e6:.2f}") for k, v in sizes.most_common()])
    print(f"unpacked {total:.1f} MB of {LIMIT_MB}, {bytecode} files of bytecode")
    print(f"Python {PROD.python} imports it: {answer}")
    close("bundle", {"mb": total, "zip_mb": package.path.stat().st_size / 1e6, "bytecode": bytecode})
    return 1 if total > LIMIT_MB or answer.startswith("no:") else 0


if __name__ == "__main__":
    processes.run(main)
