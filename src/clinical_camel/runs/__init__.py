"""What a notebook imports: its parameters checked, its results written, its run recorded.

    params_files   params/<study>/<step>.yaml, read strictly
    notebooks      the cells of a notebook, and what its parameters cell declares
    schema         the settings class of each step, and the check against it
    record         the folder of a run, its tables and figures, run.json
    journal        finished pieces of work, on disk as they come
    exercise       the self-check at the end of a notebook
    launch         several processes of one launcher: the main one and the others
    machine        versions, commit, device, peak memory
    energy         energy used, measured or estimated

What executes notebooks is in `runner`.
"""

import lazy_loader

from clinical_camel.core.paths import path

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "exercise": ["self_check"],
        "journal": ["Journal"],
        "notebooks": ["Param", "ParamsError", "declared_params", "steps"],
        "params_files": ["load_params", "studies"],
        "record": ["Run", "collect", "costs", "start"],
        "schema": ["check_params", "require_params", "settings_class"],
    },
)
__all__ += ["path"]
