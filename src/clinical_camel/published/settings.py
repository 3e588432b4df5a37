"""The settings of step 10."""

from collections.abc import Iterator

from pydantic import Field

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Float, StepSettings, Text
from clinical_camel.core.values import nearest, show


class Published(StepSettings):
    """Which published systems are compared with which studies of ours, and whose recipes."""

    study: Text = Field("published", description="params folder; results go to outputs/<study>/")
    systems: dict[str, Text] = Field(
        {
            "clinical_camel:13b": "clinical_camel_13b",
            "clinical_camel:70b": "clinical_camel_70b",
            "medalpaca_lora:7b": "medalpaca_7b",
            "medalpaca_lora_8bit:13b": "medalpaca_13b_lora8bit",
            "clinicalgpt:7b": "clinicalgpt_7b",
        },
        min_length=1,
        description="published model, as system:size (see published.csv): "
        "the study that reproduces it",
    )
    recipes: list[Text] = Field(
        [
            "mini_camel",
            "clinical_camel_13b",
            "clinical_camel_70b",
            "medalpaca_7b",
            "medalpaca_13b_lora8bit",
            "clinicalgpt_7b",
            "clinmed_llama3_8b",
        ],
        min_length=1,
        description="studies whose training recipes are compared",
    )
    hourly_rate: Float = Field(
        2.5, ge=0, le=1000, description="price of a rented GPU in dollars per hour; assumed"
    )

    def check_together(self) -> Iterator[str]:
        published_systems = data.list_published_systems()
        for system in self.systems:
            if system not in published_systems:
                hint = nearest(system, published_systems)
                yield f"systems: {show(system)} is not in published.csv{hint}"
        studies = sorted(folder.name for folder in (root() / "params").glob("*/"))
        for name, listed in (("systems", self.systems.values()), ("recipes", self.recipes)):
            for study in listed:
                if study not in studies:
                    yield f"{name}: {show(study)} is no folder of params/{nearest(study, studies)}"
        for study in self.recipes:
            if study in studies and not (root() / f"params/{study}/02_sft_qlora.yaml").is_file():
                yield f"recipes: {study} trains nothing: it has no 02_sft_qlora.yaml"
