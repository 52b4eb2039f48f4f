"""Environments of the peers: each its own, pinned by a file beside this, made when first asked for."""

import subprocess
import sys
from pathlib import Path

from bench.report import ROOT

HERE = Path(__file__).parent
MADE = ROOT / ".bench"


def environment(name: str) -> Path:
    """The Python of the environment that `<name>.txt` pins."""
    pins = HERE / f"{name}.txt"
    folder, done = MADE / name, MADE / name / ".installed"
    if not done.exists() or done.read_text(encoding="utf-8") != pins.read_text(encoding="utf-8"):
        print(f"installing {name}", file=sys.stderr)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", folder, "--no-deps", "-r", pins],
            check=True,
        )
        done.write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
    return folder / "bin" / "python"
