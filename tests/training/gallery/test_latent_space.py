import re

import numpy as np
import pytest
from vaegen.spec import LatentSpec
from vaegen_training.gallery import latent_space

SPEC = LatentSpec(4, (6, 5))


def random_latents(n: int, seed: int = 0) -> latent_space.Floats:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 5, (n, 6))
    return latent_space.join(random.standard_normal((n, 4)).astype(np.float32), classes, SPEC)


def test_latents_come_apart_and_together_again() -> None:
    latents = random_latents(20)
    coordinates, classes = latent_space.split(latents, SPEC)
    assert (coordinates.shape, classes.shape) == ((20, 4), (20, 6))
    np.testing.assert_array_equal(latent_space.join(coordinates, classes, SPEC), latents)


@pytest.mark.parametrize("spec", [LatentSpec(3), LatentSpec(0, (2, 4))])
def test_a_part_that_is_not_there_stays_away(spec: LatentSpec) -> None:
    latents = np.eye(spec.size, dtype=np.float32)[:1]
    assert latent_space.join(*latent_space.split(latents, spec), spec).shape == (1, spec.size)


def test_a_walk_goes_from_one_latent_to_the_other_over_latents() -> None:
    start, end = random_latents(2)
    steps = latent_space.walk(start, end, 13, SPEC, seed=3)
    np.testing.assert_allclose(steps[0], start, atol=1e-6)
    np.testing.assert_allclose(steps[-1], end, atol=1e-6)
    _, classes = latent_space.split(steps, SPEC)
    one_hots = steps[:, 4:].reshape(13, 6, 5)
    np.testing.assert_array_equal(one_hots.sum(2), 1)
    assert set(np.unique(one_hots)) == {0.0, 1.0}
    # Each categorical is switched once, and no two at a time while there are steps enough.
    switched = (classes[1:] != classes[:-1]).sum(1)
    assert switched.max() == 1
    assert switched.sum() == (classes[0] != classes[-1]).sum()
    np.testing.assert_array_equal(steps, latent_space.walk(start, end, 13, SPEC, seed=3))


def test_coordinates_of_equal_length_keep_it_on_their_walk() -> None:
    spec = LatentSpec(4)
    ends = random_latents(2)[:, :4]
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    steps = latent_space.walk(ends[0], ends[1], 9, spec, seed=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1, atol=1e-5)
    apart = np.linalg.norm(np.diff(steps, axis=0), axis=1)
    np.testing.assert_allclose(apart, apart[0], rtol=1e-3)


@pytest.mark.parametrize("scale", [0.0, -1.0, 2.0])
def test_a_walk_without_an_arc_is_a_line(scale: float) -> None:
    start = np.array([1, 2, 0, 0], np.float32)
    steps = latent_space.walk(start, scale * start, 5, LatentSpec(4), seed=0)
    np.testing.assert_allclose(steps, np.linspace(1, scale, 5)[:, None] * start, atol=1e-6)


def test_two_coordinates_are_their_own_plane() -> None:
    points = random_latents(50)[:, :2]
    plane = latent_space.plane(points, "coordinate")
    assert plane.names == ("coordinate 0", "coordinate 1")
    np.testing.assert_array_equal(plane.project(points), points)
    np.testing.assert_array_equal(plane.lift(plane.project(points)), points)


def test_one_coordinate_is_a_line() -> None:
    points = random_latents(50)[:, :1]
    plane = latent_space.plane(points, "coordinate")
    np.testing.assert_array_equal(plane.project(points), np.concatenate([points, 0 * points], axis=1))
    np.testing.assert_array_equal(plane.lift(plane.project(points)), points)


def test_the_plane_of_many_coordinates_holds_the_most_variance() -> None:
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.standard_normal((6, 6)))
    points = (random.standard_normal((4000, 6)) * [1, 5, 1, 3, 1, 1] @ turn + 7).astype(np.float32)
    plane = latent_space.plane(points, "coordinate")
    places = plane.project(points)
    np.testing.assert_allclose(places.std(0), [5, 3], rtol=0.05)
    np.testing.assert_allclose(places.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(plane.project(plane.lift(places)), places, atol=1e-4)
    assert re.fullmatch(r"principal component 1 \(6[4-7]% of variance\)", plane.names[0])


def test_traversals_move_one_coordinate_and_switches_one_categorical() -> None:
    latents = random_latents(500)
    anchor = latents[0]
    moved = latent_space.traversals(anchor, latents, np.array([2, 0]), 7)
    assert moved.shape == (2, 7, SPEC.size)
    for row, coordinate in enumerate((2, 0)):
        rest = np.delete(moved[row], coordinate, axis=1)
        np.testing.assert_array_equal(rest, np.repeat(np.delete(anchor, coordinate)[None], 7, 0))
        low, high = np.quantile(latents[:, coordinate], [0.01, 0.99])
        np.testing.assert_allclose(moved[row, [0, -1], coordinate], [low, high], rtol=1e-5)
    switched = latent_space.switches(anchor, np.array([4]), SPEC)
    assert switched.shape == (1, 5, SPEC.size)
    _, classes = latent_space.split(switched[0], SPEC)
    np.testing.assert_array_equal(classes[:, 4], range(5))
    np.testing.assert_array_equal(np.delete(switched[0], slice(4 + 20, 4 + 25), 1)[0], np.delete(anchor, slice(24, 29)))
