"""What a notebook imports: parameters checked, results written, the run recorded.

    params_files   params/<study>/<step>.yaml, read strictly
    sweeps         params/<study>/sweep.yaml: arms and seeds become runs
    notebooks      the cells of a notebook, and the parameters that it declares
    schema         the settings class of each step, and the check against it
    record         the folder of a run, its tables and figures, run.json
    figures        whether a figure is readable where it is shown
    inputs         what another step must have made, with the command that makes it
    run_json       the record of a run, as others read it
    journal        finished pieces of work, each on disk at once
    process        seeds, theme, quiet libraries, SIGTERM
    exercise       the self-check at the end of a notebook
    launch         several processes of one launcher: main process and workers
    machine        versions, commit, device, peak memory
    energy         energy used, measured or estimated

`runner` executes notebooks.
"""

import lazy_loader

from clinical_camel.core.paths import path

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "exercise": ["self_check"],
        "journal": ["Journal"],
        "notebooks": ["ParamsError"],
        "params_files": ["load_params"],
        "record": ["Run", "start"],
        "sweeps": ["SweepRun", "list_runs"],
    },
)
__all__ += ["path"]
