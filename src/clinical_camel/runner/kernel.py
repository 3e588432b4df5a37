"""The kernel of a step: this interpreter's own. Imported when something is to be run."""

import os
import sys

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that the runner runs in, whatever kernelspecs are installed.

    A kernelspec named python3 in the user's folder may belong to another environment, or to one
    that has been deleted. CLINICAL_CAMEL_RUNNER marks the kernel as ours for `recovery`.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            env={"CLINICAL_CAMEL_RUNNER": str(os.getpid())},
            display_name="Python 3",
            language="python",
        )
