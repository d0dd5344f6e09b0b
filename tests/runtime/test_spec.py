"""What a manifest says of a model, read from anybody's file."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from vaegen import BundleError
from vaegen.manifest import interfaces
from vaegen.spec import LatentNames, LatentSpec, ModelSpec, Style, Thresholds

STYLE = Style((-30.0, *map(float, range(10))), (1.4, *map(float, range(2, 12))))
MODEL = ModelSpec(
    name="x",
    preset="default",
    latent=LatentSpec(3, (2, 10)),
    names=LatentNames(("hue", "saturation", "value"), ("digit", "code 0")),
    gumbel_temperature=0.5,
    prior_temperature=1.0,
    thresholds=Thresholds(0.8, 3.0, -1.5),
    style=STYLE,
)


@pytest.mark.parametrize(
    "model", [MODEL, MODEL._replace(style=None, gumbel_temperature=None, classes=tuple("abcdefghij"))]
)
def test_a_model_is_read_as_it_was_written(model: ModelSpec) -> None:
    assert ("classes" in model.to_dict()) == (model.classes is not None)  # what was written before stays as it is
    assert ModelSpec.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_only_a_prior_that_was_told_styles_takes_one() -> None:
    assert interfaces(MODEL, 1, 1)["prior"].inputs["style"].shape == ("n", 2)
    assert "style" not in interfaces(MODEL._replace(style=None), 1, 1)["prior"].inputs


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m["latent"]["names"]["continuous"].pop(), "continuous has 2 names; it must have 3"),
        (lambda m: m["latent"]["names"].update(categorical=["digit", "hue"]), "names holds 'hue' twice"),
        (lambda m: m["latent"]["names"].update(categorical=["digit", "a=b"]), "holds 'a=b'"),
        (lambda m: m["latent"]["names"].update(categorical=["digit", " a"]), "holds ' a'"),
        (lambda m: m["latent"]["names"].update(categorical=["digit", 3]), "holds 3"),
        (lambda m: m["latent"].pop("names"), "model.latent.names is None"),
        (lambda m: m.pop("thresholds"), "model.thresholds is None"),
        (lambda m: m["thresholds"].update(probability=1.5), "probability is 1.5; it must be a number from 0 to 1"),
        (lambda m: m["thresholds"].update(realism=float("nan")), "realism is nan; it must be a number from"),
        (lambda m: m["thresholds"].update(color_error=True), "color_error is True"),
        (lambda m: m["style"]["slant"].pop(), "it must be 11 numbers in order"),
        (lambda m: m["style"]["thickness"].reverse(), "it must be 11 numbers in order"),
        (lambda m: m["style"]["slant"].__setitem__(0, -100), "slant is -100; it must be a number from -90 to 90"),
        (lambda m: m.update(classes=["a"] * 10), "model.classes is .*; it must be ten different names"),
        (lambda m: m.update(classes=[*"abcdefghi", " j"]), "it must be ten different names"),
        (lambda m: m.update(classes=[*"abcdefghi", 3]), "it must be ten different names"),
        (lambda m: m.update(classes="abcdefghij"), "model.classes is 'abcdefghij'; it must be of type list"),
        (lambda m: m.update(style=[]), "model.style is \\[\\]; it must be of type dict"),
    ],
)
def test_what_cannot_be_a_model_is_refused(change: Callable[[dict[str, Any]], object], problem: str) -> None:
    data = MODEL.to_dict()
    change(data)
    with pytest.raises(BundleError, match=problem):
        ModelSpec.from_dict(data)
