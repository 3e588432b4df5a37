"""The plan of a sweep: one run of each arm, multiplied."""

from clinical_camel import cli, estimate

SWEEP = """\
base: mini_camel
steps: [01_dbke, 02_sft_qlora]
seeds: [[0, 0], [0, 1], [1, 2]]
arms:
  short: {02_sft_qlora: {num_epochs: 1.0}}
  long: {02_sft_qlora: {num_epochs: 4.0}}
"""


def test_the_plan_multiplies_one_run_of_each_arm(fresh_project, capsys):
    file = fresh_project / "params/many/sweep.yaml"
    file.parent.mkdir()
    file.write_text(SWEEP)
    assert cli.main(["plan", "many", "--rate", "2.0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    header, short, long, total = (line.split() for line in lines[:4])
    assert header[-1] == "cost"
    assert [row[:2] for row in (short, long, total)] == [
        ["short", "3"],
        ["long", "3"],
        ["total", "6"],
    ]
    jobs = {job.study: job for job in estimate.sweeps.load_sample("many")}
    seconds = {
        name: sum(estimate.estimate_step(job).seconds.values()) for name, job in jobs.items()
    }
    training, shared = seconds["many/short_d0_t0"], seconds["many/short_d0"]
    assert float(short[2]) == round((training + shared) / 60, 1)
    assert float(short[3]) == round((3 * training + 2 * shared) / 3600, 2)  # two seeds of step 01
    assert float(long[3]) == round(3 * seconds["many/long_d0_t0"] / 3600, 2)
    assert abs(float(total[2]) - float(short[3]) - float(long[3])) <= 0.011  # two decimals
    assert abs(float(total[-1]) - 2 * float(total[2])) <= 0.02


def test_a_first_step_counts_in_the_arm_of_its_name_although_that_has_fewer_pairs(
    fresh_project, capsys
):
    file = fresh_project / "params/many/sweep.yaml"
    file.parent.mkdir()
    file.write_text(SWEEP.replace("arms:", "pairs: {short: 1}\narms:"))
    assert cli.main(["plan", "many"]) == 0
    lines = capsys.readouterr().out.splitlines()
    _, short, long, _ = (line.split() for line in lines[:4])
    assert (short[1], long[1]) == ("1", "3")
    jobs = {job.study: job for job in estimate.sweeps.load_sample("many")}
    training, shared = (
        sum(estimate.estimate_step(jobs[name]).seconds.values())
        for name in ("many/short_d0_t0", "many/short_d0")
    )
    assert float(short[3]) == round((training + 2 * shared) / 3600, 2)  # two seeds of step 01


def test_options_of_one_model_are_not_for_a_sweep(fresh_project, capsys):
    file = fresh_project / "params/many/sweep.yaml"
    file.parent.mkdir()
    file.write_text(SWEEP)
    assert cli.main(["plan", "many", "--tokens-per-second", "9"]) == 2
    assert "not for sweeps; plan one run" in capsys.readouterr().err
