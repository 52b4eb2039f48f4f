"""Run a command; print its last line, and the largest memory that it held (kB)."""

import resource
import subprocess
import sys

done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=False)
print(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "")
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
