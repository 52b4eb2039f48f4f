"""A virtual environment for each peer, pinned by a file in this folder and created at its first use."""

import subprocess
import sys
from pathlib import Path

from bench.report import ROOT

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".bench"


def environment(name: str) -> Path:
    """Return the Python of the environment that `<name>.txt` pins, installing it where it is missing or outdated."""
    pins = HERE / f"{name}.txt"
    folder = ENVIRONMENTS / name
    marker = folder / ".installed"
    if not marker.exists() or marker.read_text(encoding="utf-8") != pins.read_text(encoding="utf-8"):
        print(f"installing {name}", file=sys.stderr)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", folder, "--no-deps", "-r", pins],
            check=True,
        )
        marker.write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
    return folder / "bin" / "python"
