"""OpenVINO tells nobody what effbench does."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="it is for x86-64 alone")

LINES = """
from effbench.hardware.openvino_setup import openvino
from openvino.tools.ovc import convert_impl, telemetry_utils
import sys
print(convert_impl.tm.__name__, telemetry_utils.tm.__name__, "openvino_telemetry" in sys.modules)
"""


def test_it_sends_nothing():
    done = subprocess.run((sys.executable, "-c", LINES), capture_output=True, text=True, check=True)
    stub = "openvino.tools.ovc.telemetry_stub"
    assert done.stdout.split() == [stub, stub, "False"]
