"""Run a command; print its last line, and its peak memory in kB."""

import resource
import subprocess
import sys

result = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=False)
print(result.stdout.strip().splitlines()[-1] if result.stdout.strip() else "")
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(result.returncode)
