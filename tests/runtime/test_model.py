"""What a loaded model answers, and that it answers the same however it is asked."""

import array
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen import Model, RequestError

BLACK = np.zeros((2, 28, 28, 3), np.uint8)


def test_a_red_three_is_red_and_a_three(model: Model) -> None:
    images = model.sample(digit=3, color="red", count=16, seed=0)
    assert images.shape == (16, 28, 28, 3)
    assert images.dtype == np.uint8
    assert (model.judge(images).argmax(1) == 3).all()
    stroke = images.max((1, 2))
    assert (stroke[:, 0] > 250).all()
    assert (stroke[:, 1:] < 5).all()


def test_sequences_of_digits_and_colors_go_image_by_image(model: Model) -> None:
    colors: list[str | tuple[int, int, int]] = ["red", (0, 255, 0), "#00f"]
    images = model.sample([1, 2, 3], colors)
    assert (model.judge(images).argmax(1) == [1, 2, 3]).all()
    assert (images.max((1, 2)).argmax(1) == [0, 1, 2]).all()
    assert model.sample(range(10), "gold").shape[0] == 10
    assert model.sample(np.arange(10), np.full((10, 3), 200)).shape[0] == 10
    assert model.sample([4], ["red"], 3).shape[0] == 3
    assert model.sample(4, (255, 0, 0)).shape[0] == 1
    red = model.sample(4, "red")
    colors_alike = [[255, 0, 0]], np.array([255, 0, 0], np.uint8), array.array("i", [255, 0, 0]), np.array(["red"])
    for same in colors_alike:
        assert (model.sample(4, same) == red).all()
    for digit in (np.uint8(4), np.array(4), np.array([4], ">i2"), array.array("b", [4]), iter([4])):
        assert (model.sample(digit, "red") == red).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("tries", [1, 8])
def test_image_i_of_a_seed_does_not_depend_on_how_it_is_asked_for(model: Model, tries: int) -> None:
    digits = np.arange(1100) % 10
    colors = np.random.default_rng(0).integers(60, 256, (1100, 3))
    whole = model.draw(digits, colors, seed=5, tries=tries)
    for start, count in ((0, 1), (0, 7), (3, 64), (1099, 1), (500, 100), (511, 2), (100, 1000)):
        part = slice(start, start + count)
        few = model.draw(digits[part], colors[part], seed=5, start=start, tries=tries)
        np.testing.assert_array_equal(few.images, whole.images[part])
        np.testing.assert_array_equal(few.latents, whole.latents[part])
        np.testing.assert_array_equal(few.tries_used, whole.tries_used[part])
    for index in range(40):
        one = model.sample(int(digits[index]), colors[index], seed=5, start=index, tries=tries)
        np.testing.assert_array_equal(one[0], whole.images[index])


def test_seeds_differ_and_the_default_is_zero(model: Model) -> None:
    assert (model.sample(3, "teal", 50) == model.sample(3, "teal", 50, seed=0)).all()
    assert (model.sample(3, "teal", 50) != model.sample(3, "teal", 50, seed=1)).any()
    model.sample(3, "red", seed=2**64 - 1, start=2**62)


def test_temperature_defaults_to_the_model_s_and_is_heard(model: Model) -> None:
    raw = {
        temperature: model.draw(3, "teal", 400, temperature=temperature, tries=1).latents[:, :3].std(0).mean()
        for temperature in (None, 1.0, 0.5, 0.01)
    }
    assert raw[None] == raw[1.0] > raw[0.5] > raw[0.01]


def test_batches_of_any_size_give_the_rows_of_one(model: Model) -> None:
    images = model.sample(np.arange(1030) % 10, "orchid", seed=1)
    answers: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "encode": lambda x, _: model.encode(x),
        "judge": lambda x, _: model.judge(x),
        "reconstruct": lambda x, _: model.reconstruct(x),
        "stochastic": lambda x, at: model.reconstruct(x, stochastic=True, seed=9, start=at),
        "decode": lambda x, _: model.decode(model.encode(x)),
        "mean": lambda x, _: model.posterior(x).mean,  # type: ignore[dict-item, return-value]
        "logits": lambda x, _: model.posterior(x).logits,  # type: ignore[dict-item, return-value]
    }
    for name, answer in answers.items():
        whole = answer(images, 0)
        for start, count in ((0, 1), (1, 2), (5, 7), (100, 64), (500, 530), (1029, 1)):
            part = answer(images[start : start + count], start)
            np.testing.assert_array_equal(part, whole[start : start + count], err_msg=name)


def test_encoding_finds_the_digit_and_decoding_brings_it_back(model: Model) -> None:
    images = model.sample(range(10), "gold")
    latents = model.encode(images)
    assert latents.shape == (10, 23)
    assert latents.dtype == np.float32
    assert (latents[:, 3:13].argmax(1) == range(10)).all()
    assert abs(model.decode(latents).astype(int) - images).max() <= 1
    assert (model.reconstruct(images) == model.decode(latents)).all()


def test_the_deterministic_path_is_the_mean_and_the_largest_logits(model: Model) -> None:
    images = model.sample(range(10), "gold")
    posterior = model.posterior(images)
    assert posterior.mean is not None
    assert posterior.log_variance is not None
    assert posterior.logits is not None
    assert posterior.mean.shape == posterior.log_variance.shape == (10, 3)
    assert posterior.logits.shape == (10, 2, 10)
    one_hots = np.eye(10, dtype=np.float32)[posterior.logits.argmax(2)].reshape(10, 20)
    np.testing.assert_array_equal(model.encode(images), np.concatenate([posterior.mean, one_hots], axis=1))


def test_the_stochastic_path_follows_its_seed(model: Model) -> None:
    images = np.repeat(model.sample(3, "teal"), 200, axis=0)
    first = model.reconstruct(images, stochastic=True, seed=1)
    assert (first == model.reconstruct(images, True, 1)).all()
    assert (first != model.reconstruct(images, stochastic=True, seed=2)).any()
    assert len(np.unique(first.reshape(200, -1), axis=0)) > 50
    assert (model.reconstruct(images, stochastic=False, seed=1) == model.reconstruct(images)).all()


def test_a_prior_that_gives_no_numbers_is_named(bundle: Path, vouch: Callable[[Path, str, bytes], None]) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    data = (bundle / "prior.onnx").read_bytes()
    for value in (np.nan, -np.inf):
        prior = onnx.load_from_string(data)
        (last,) = [node for node in prior.graph.node if "latent" in node.output]
        last.output[0] = "inner"
        prior.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(value), "factor"))
        prior.graph.node.append(onnx.helper.make_node("Mul", ["inner", "factor"], ["latent"]))
        vouch(bundle, "prior", prior.SerializeToString())
        with pytest.raises(vaegen.BundleError, match="latents that are no numbers; try a temperature nearer to 1"):
            vaegen.load(bundle).sample(3, "red")


def test_a_latent_is_chosen_by_names(model: Model) -> None:
    latent = model.latent({})
    assert latent.shape == (1, 23)
    assert latent.dtype == np.float32
    image = model.decode(latent)
    assert model.judge(image).argmax() == 3
    assert image.max((0, 1, 2)).tolist() == pytest.approx([255, 0, 0], abs=3)
    chosen = model.latent({"digit": 7, "place": 8, "green": 1.5})
    assert model.judge(model.decode(chosen)).argmax() == 7
    assert chosen[0, 1] == 1.5
    assert chosen[0, 3:].nonzero()[0].tolist() == [7, 10 + 8]
    assert (chosen[0, [0, 2]] == latent[0, [0, 2]]).all()


def test_judge_gives_probabilities(model: Model) -> None:
    probabilities = model.judge(model.sample(range(10), "gold"))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities >= 0).all()


def test_no_images_give_no_results(model: Model) -> None:
    none = BLACK[:0]
    assert model.encode(none).shape == (0, 23)
    assert model.reconstruct(none).shape == (0, 28, 28, 3)
    assert model.reconstruct(none, stochastic=True).shape == (0, 28, 28, 3)
    assert model.judge(none).shape == (0, 10)
    assert model.decode(np.empty((0, 23), np.float32)).shape == (0, 28, 28, 3)


def test_any_memory_layout_is_read(model: Model) -> None:
    images = model.sample(range(10), "gold")
    expected = model.encode(images)
    for same_images in (np.asfortranarray(images), np.repeat(images, 2, axis=0)[::2], list(images)):
        np.testing.assert_array_equal(model.encode(same_images), expected)
    latents = model.encode(images)
    wide = latents.astype(np.float64), latents.astype(np.longdouble), latents.astype(">f4"), latents.tolist()
    for same_latents in (np.asfortranarray(latents), np.repeat(latents, 2, axis=1)[:, ::2], *wide):
        np.testing.assert_array_equal(model.decode(same_latents), model.decode(latents))
    half = latents.astype(np.float16)
    np.testing.assert_array_equal(model.decode(half), model.decode(half.astype(np.float32)))
    half.flags.writeable = False
    model.decode(half)


def test_arguments_are_left_as_they_were(model: Model) -> None:
    images = model.sample(range(10), "gold")
    latents = model.encode(images)
    before = images.copy(), latents.copy()
    model.reconstruct(images, stochastic=True)
    model.decode(latents)
    model.judge(images)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(latents, before[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample(10, "red"), "digit 10 .* 0 to 9"),
        (lambda m: m.sample(-1, "red"), "digit -1"),
        (lambda m: m.sample("3", "red"), "digit '3'"),
        (lambda m: m.sample(3.0, "red"), "digit 3.0"),
        (lambda m: m.sample(True, "red"), "digit True"),
        (lambda m: m.sample([1, [2]], "red"), r"digit \[2\]"),
        (lambda m: m.sample(b"\x03", "red"), r"digit b'\\x03' .* 0 to 9"),
        (lambda m: m.sample(bytearray([3, 4]), "red"), "digit bytearray"),
        (lambda m: m.sample(memoryview(b"\x03"), "red"), "digit <memory"),
        (lambda m: m.sample({3}, "red"), r"digit \{3\}"),
        (lambda m: m.sample({3: "red"}, "red"), r"digit \{3: 'red'\}"),
        (lambda m: m.sample(np.array([3.0]), "red"), "digit 3.0"),
        (lambda m: m.sample(np.array([True]), "red"), "digit True"),
        (lambda m: m.sample(3, b"red"), "color b'red' is not usable; give a name or three integers"),
        (lambda m: m.sample(3, [b"red"]), "color b'red' is not usable"),
        (lambda m: m.sample(3, np.array([b"red"])), "color b'red' is not usable"),
        (lambda m: m.sample(3, bytearray(b"red")), "color bytearray"),
        (lambda m: m.sample(3, memoryview(b"red")), "color <memory"),
        (lambda m: m.sample(3, {255, 0, 1}), r"color \{.*\} is not usable; give a name"),
        (lambda m: m.sample(3, [frozenset({255, 0, 1})]), "color frozenset"),
        (lambda m: m.sample(3, {"red": 1}), r"color \{'red': 1\}"),
        (lambda m: m.sample(3, "x" * 10**6), r"unknown color 'x+\.\.\.x+'; "),
        (lambda m: m.sample(3, "red", np.nan), "count nan"),
        (lambda m: m.sample([], "red"), "0 digits for 1 images"),
        (lambda m: m.sample(3, []), "0 colors for 1 images"),
        (lambda m: m.sample([1, 2], "red", 3), "2 digits for 3 images; give one, or one for each"),
        (lambda m: m.sample(1, ["red", "blue"], 1), "2 colors for 1 images"),
        (lambda m: m.sample([1, 2, 3], ["red", "blue"]), "2 colors for 3 images"),
        (lambda m: m.sample(3, "rde"), "unknown color 'rde'"),
        (lambda m: m.sample(3, ["red", "rde"]), "unknown color 'rde'"),
        (lambda m: m.sample(3, (255, 0)), "red, green and blue"),
        (lambda m: m.sample(3, "black"), "too dark"),
        (lambda m: m.sample(3, "red", 0), "count 0"),
        (lambda m: m.sample(3, "red", 2.0), "count 2.0"),
        (lambda m: m.sample(3, "red", seed=-1), "seed -1"),
        (lambda m: m.sample(3, "red", seed=2**64), "seed 1844"),
        (lambda m: m.sample(3, "red", start=-1), "start -1"),
        (lambda m: m.sample(3, "red", temperature=0), "temperature 0"),
        (lambda m: m.sample(3, "red", temperature=float("nan")), "temperature nan"),
        (lambda m: m.sample(3, "red", temperature="1"), "temperature '1'"),
        (lambda m: m.sample(3, "red", tries=0), "tries 0"),
        (lambda m: m.sample(3, "red", slant=61), "slant 61 .* from -60 to 60 degrees"),
        (lambda m: m.sample(3, "red", slant=True), "slant True"),
        (lambda m: m.sample(3, "red", thickness=float("nan")), "thickness nan .* from 0.5 to 8 pixels"),
        (lambda m: m.sample(3, "red", 1, thickness=[2, 3]), "2 numbers of thickness for 1 images"),
        (lambda m: m.sample(3, "red", slant=[]), "0 numbers of slant for 1 images"),
        (lambda m: m.sample(3, "red", hand=-1), "hand -1"),
        (lambda m: m.sample(3, "red", hand=1.0), "hand 1.0"),
        (lambda m: m.latent({"hue": 0.5}), "unknown latent 'hue'; choose from red, green, blue, digit, place"),
        (lambda m: m.latent({"digit": 10}), "digit 10 .* from 0 to 9"),
        (lambda m: m.latent({"place": 1.0}), "place 1.0"),
        (lambda m: m.latent({"red": float("inf")}), "red inf"),
        (lambda m: m.latent([("red", 1)]), "dictionary"),
        (lambda m: m.encode(BLACK / 255), "float64; they must be uint8"),
        (lambda m: m.encode(BLACK[0]), r"\(28, 28, 3\).*use images\[None\]"),
        (lambda m: m.encode(BLACK[..., 0]), r"shape \(2, 28, 28\)"),
        (lambda m: m.judge(BLACK.transpose(0, 3, 1, 2)), r"shape \(2, 3, 28, 28\)"),
        (lambda m: m.encode("image.png"), "images are"),
        (lambda m: m.encode([BLACK[0], BLACK[0, 0]]), "common shape"),
        (lambda m: m.decode(np.zeros((1, 22), np.float32)), r"\(1, 22\); it must be \(n, 23\)"),
        (lambda m: m.decode(np.zeros(23, np.float32)), r"\(n, 23\)"),
        (lambda m: m.decode(np.zeros((1, 23), int)), "int64; they must be float32"),
        (lambda m: m.decode(np.full((1, 23), np.nan)), "finite"),
        (lambda m: m.decode(np.full((1, 23), np.inf)), "finite"),
        (lambda m: m.decode(np.full((1, 23), -np.inf, np.float16)), "finite"),
        (lambda m: m.decode(np.full((1, 23), np.nan, np.float16)), "finite"),
        (lambda m: m.decode(np.full((1, 23), 1e300)), "finite"),
        (lambda m: m.decode_unrounded(np.full((1, 23), np.inf, ">f4")), "finite"),
        (lambda m: m.decode(np.ma.masked_array(np.zeros((1, 23)), np.eye(23, dtype=bool)[:1])), "masked"),
        (lambda m: m.encode(np.ma.masked_array(BLACK, BLACK == 0)), "masked"),
        (lambda m: m.reconstruct(BLACK, True, items=b"ab"), "1 items for 2"),
        (lambda m: m.reconstruct(BLACK, True, items=[0, 1.0]), "item 1.0"),
        (lambda _: vaegen.load(b"joint"), "unknown model b'joint'; choose from"),  # type: ignore[arg-type]
        (lambda _: vaegen.load("joint", session_options={"threads": 2}), "must be onnxruntime.SessionOptions"),
        (lambda m: m.reconstruct(BLACK, True, seed="x"), "seed 'x'"),
        (lambda m: m.reconstruct(BLACK, True, start=-1), "start -1"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_line(
    model: Model, call: Callable[[Model], object], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as refusal:
        call(model)
    assert isinstance(refusal.value, ValueError)
    assert "\n" not in str(refusal.value)


def test_a_model_shows_what_it_is(tiny: Path) -> None:
    assert repr(vaegen.load(tiny)) == "<vaegen.Model 'tiny': joint, latent of 23>"


def test_one_run_of_the_encoder_gives_latent_and_posterior(model: Model) -> None:
    images = model.sample(np.arange(150) % 10, "orchid", seed=1)
    posterior = model.posterior(images)
    np.testing.assert_array_equal(posterior.latent, model.encode(images))
    assert posterior.mean is not None
    np.testing.assert_array_equal(posterior.mean, posterior.latent[:, : model.spec.latent.continuous])


def test_a_sampled_posterior_decodes_to_the_stochastic_reconstruction(model: Model) -> None:
    images = model.sample(np.arange(150) % 10, "orchid", seed=1)
    latents = model.sample_posterior(model.posterior(images), seed=3, start=7)
    np.testing.assert_array_equal(model.decode(latents), model.reconstruct(images, stochastic=True, seed=3, start=7))
    items = list(range(149, -1, -1))
    again = model.sample_posterior(model.posterior(images[::-1]), seed=3, items=[7 + item for item in items])
    np.testing.assert_array_equal(again[::-1], latents)


def test_a_posterior_of_another_model_is_refused(model: Model) -> None:
    posterior = model.posterior(BLACK)
    assert posterior.mean is not None
    several = {"mean": np.zeros((3, 3), np.float32)}, {"mean": posterior.mean.tolist()}, {"latent": None}
    for changes in ({"mean": None}, {"mean": np.zeros((2, 1), np.float32)}, {"log_variance": BLACK}, *several):
        with pytest.raises(RequestError, match="does not fit this model"):
            model.sample_posterior(dataclasses.replace(posterior, **changes))
    with pytest.raises(RequestError, match="mean must be finite"):
        model.sample_posterior(dataclasses.replace(posterior, mean=posterior.mean + np.float32(np.inf)))
    with pytest.raises(RequestError, match="3 items for 2"):
        model.sample_posterior(posterior, items=[1, 2, 3])


def test_unrounded_pixels_round_to_the_image(model: Model) -> None:
    latents = model.encode(model.sample(np.arange(150) % 10, "orchid", seed=1))
    floats = model.decode_unrounded(latents)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(np.rint(floats.clip(0, 1) * np.float32(255)).astype(np.uint8), model.decode(latents))
