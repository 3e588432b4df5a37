"""The kernel of a step: a process of this interpreter. Imported only to run something."""

import os
import sys

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


class OwnKernel(AsyncKernelManager):
    """A kernel of the runner's interpreter, whatever kernelspecs are installed.

    A kernelspec named python3 in the user's folder may belong to another or a deleted environment.
    CLINICAL_CAMEL_RUNNER marks the kernel as the runner's, for `recovery`.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            env={
                "CLINICAL_CAMEL_RUNNER": str(os.getpid()),
                # as in a kernel by default; a backend with windows fails without a screen
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            },
            display_name="Python 3",
            language="python",
        )
