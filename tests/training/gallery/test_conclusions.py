import pytest
from vaegen.spec import Kind
from vaegen_training.evaluate import Figure
from vaegen_training.gallery.conclusions import WAYS, Judgement, judge


def figure(value: float, half: float = 0.01) -> Figure:
    return Figure(value, value - half, value + half, 100)


def model(color: float, saturation: float, kept: float, bce: float, spread: float, picked: float) -> dict[str, Figure]:
    found = {"spread_prior": figure(spread), "picked_digit": figure(picked), "picked_hue": figure(picked)}
    for way in WAYS:
        found |= {
            f"color_error_{way}": figure(color),
            f"saturation_{way}": figure(saturation),
            f"color_kept_{way}": figure(kept),
            f"excess_bce_{way}": figure(bce),
            f"spread_{way}": figure(spread),
            f"requests_met_{way}": figure(picked),
        }
    return found


REAL = figure(0.66)  # the saturation of real digits


def as_the_report_has_it() -> dict[Kind, dict[str, Figure]]:
    joint = model(17, 0.4, 0.6, 91, 70, 0.9)
    joint |= {f"color_error_discrete_half_{way}": figure(11) for way in WAYS}
    joint |= {f"excess_bce_discrete_half_{way}": figure(68) for way in WAYS}
    return {
        "continuous": model(32, 0.07, 0.01, 157, 14, 0.1),
        "discrete": model(10, 0.6, 0.9, 66, 43, 0.6),
        "joint": joint,
    }


def verdicts(found: list[Judgement], way: str = "sampled") -> list[str]:
    return [judgement.verdict(way) for judgement in found]


def test_what_the_report_says_is_confirmed_by_figures_that_say_so() -> None:
    judged = judge(as_the_report_has_it(), REAL)
    for way in WAYS:
        assert verdicts(judged, way) == ["confirmed"] * 5


def test_the_opposite_is_refuted() -> None:
    good = model(0.5, 0.66, 1.0, 10, 66, 0.5)
    found: dict[Kind, dict[str, Figure]] = {
        "continuous": good,
        "discrete": model(2, 0.6, 0.9, 20, 66, 0.5),
        "joint": good | {"spread_prior": figure(60)},
    }
    assert verdicts(judge(found, REAL)) == ["refuted"] * 5


def test_models_that_are_level_confirm_nothing() -> None:
    found: dict[Kind, dict[str, Figure]] = {
        "continuous": model(1, 0.66, 0.99, 10, 66, 0.8),
        "discrete": model(1, 0.66, 0.99, 10, 66, 0.8),
        "joint": model(1, 0.66, 0.99, 10, 66, 0.8),
    }
    judged = judge(found, REAL)
    # Except that a saturation of 0.66 is clearly not below half of 0.66.
    assert verdicts(judged) == ["undecided", "refuted", "undecided", "undecided", "undecided"]
    assert {finding.outcome for finding in judged[3].findings["sampled"]} == {"level"}


@pytest.mark.parametrize(
    ("number", "kind", "name"),
    [
        (0, "discrete", "saturation"),
        (1, "continuous", "color_kept"),
        (2, "joint", "excess_bce_discrete_half"),
        (3, "discrete", "spread"),
        (4, "joint", "requests_met"),
    ],
)
def test_one_figure_that_says_otherwise_makes_it_partly(number: int, kind: Kind, name: str) -> None:
    """And in its own way through the model alone."""
    found = as_the_report_has_it()
    contrary = {
        "saturation": 0.3,
        "color_kept": 0.5,
        "excess_bce_discrete_half": 95.0,
        "spread": 80,
        "requests_met": 0.7,
    }
    found[kind][f"{name}_sampled"] = figure(contrary[name])
    judged = judge(found, REAL)
    assert judged[number].verdict("sampled") == "partly confirmed"
    assert judged[number].verdict("deterministic") == "confirmed"


def test_without_the_run_the_halves_are_left_out() -> None:
    found = as_the_report_has_it()
    found["joint"] = {name: value for name, value in found["joint"].items() if "half" not in name}
    hindered = judge(found, REAL)[2]
    assert [list(finding.figures) for finding in hindered.findings["sampled"]] == [["joint", "discrete"]] * 2
