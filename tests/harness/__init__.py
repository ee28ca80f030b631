"""What tests need to drive the real programs: starting and stopping them, calling the API, running
commands, waiting, and finding sanitizer reports and leaked secrets.

PST_BUILD names the build directory (default build/dev), so that one suite runs plain, under
ASan+UBSan and under TSan.
"""
from .api import Api, Problem
from .programs import Program, Server, Simulator, binary, slowness
from .wait import instant, wait_until

__all__ = ["Api", "Problem", "Program", "Server", "Simulator", "binary", "instant", "slowness", "wait_until"]
