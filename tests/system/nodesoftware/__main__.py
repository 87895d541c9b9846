"""Becomes one of the scripts: ``python -m tests.system.nodesoftware SCRIPT ARGUMENT...``."""

import os
import sys

from tests.system.nodesoftware import command

if __name__ == "__main__":
    program = command(*sys.argv[1:])
    os.execvp(program[0], program)
