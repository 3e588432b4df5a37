"""The prompts of step 01 for a writer outside this program: see `teachers.recording`."""

from clinical_camel.dbke.plan import Plan
from clinical_camel.dbke.settings import Synthesis
from clinical_camel.dbke.synthesis import Synthesizer
from clinical_camel.teachers.recording import Writer
from clinical_camel.teachers.teacher import Query


def list_queries(plan: Plan, settings: Synthesis, model: str, prefix: str) -> dict[str, Query]:
    """Return the first query of each request by its key: the prefix and the request's number.

    Requests that must not go to a teacher (see `Synthesizer.check_request`) are left out.
    """
    synthesizer = Synthesizer(Writer(model), None, settings)
    return {
        f"{prefix}{n:02}": synthesizer.build_query(request, [])
        for n, request in enumerate(plan.requests)
        if not synthesizer.check_request(request)
    }
