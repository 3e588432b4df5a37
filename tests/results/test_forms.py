"""Figure 1's table: the controlled comparison where it has a form, else the control study."""

from tests.support import toy_results

from clinical_camel import results


def test_without_a_result_the_table_is_empty(settings):
    assert results.tabulate_forms(settings).empty


def test_the_control_study_gives_one_training_each(project, settings):
    toy_results.save_control(project)
    forms = results.tabulate_forms(settings)
    assert forms["form"].unique().tolist() == ["plain text", "options listed"]
    assert forms["model"].tolist() == ["base model", "raw articles", "dialogues"] * 2
    assert set(forms["seeds"]) == {1}
    first = forms.iloc[2]
    assert (first["accuracy"], first["n"], first["chance"]) == (0.5, 300, 0.25)
    assert first["table"] == "outputs/mini_camel_raw/03_eval_fewshot/scores.csv"


def test_the_controlled_comparison_comes_first_and_lacks_a_form(project, settings):
    toy_results.save_control(project)
    toy_results.save_comparison(project)
    forms = results.tabulate_forms(settings).set_index(["form", "model"])
    assert forms.loc[("plain text", "dialogues"), "accuracy"] == 0.49
    assert forms.loc[("plain text", "dialogues"), "seeds"] == 10
    assert forms.loc[("options listed", "dialogues"), "seeds"] == 1
    text = results.describe_forms(forms.reset_index())
    assert "*plain text* (n = 260, chance 25 %, 10 trainings each): base model 25.0 % [21" in text
    assert "*options listed* (n = 300, chance 25 %, one training each)" in text
