"""Pictures that say how they were made: shown, made anew, and taken as an example."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import vaegen
from click.core import ParameterSource
from vaegen.errors import ImageError, RequestError, quoted

from vaegen_cli.output import MAX_ENLARGED

if TYPE_CHECKING:
    from vaegen import Manifest, Model
    from vaegen.facts import Facts, Recipe
    from vaegen.verification import Verification

SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".svg")
LONGEST = 80  # characters of a text that are shown
CLOSE = 1  # of 255: what another processor or engine may make of a pixel
CLOSE_MEAN = 2 + CLOSE  # of what strokes of another size come to when they are scaled down again


def names_picture(place: str) -> bool:
    """Return whether a place is a picture's file, there or not, and no model."""
    if place in vaegen.models() or os.path.isdir(place):  # noqa: PTH112, Path.is_dir raises where a name is too long
        return False
    return os.path.isfile(place) or Path(place).suffix.lower() in SUFFIXES  # noqa: PTH113, likewise


def read(place: str) -> "Facts":
    """Return what a picture's file says of it.

    Raises:
        ImageError: It cannot be read, or says nothing.
    """
    from vaegen.facts import read_facts

    facts = read_facts(place)
    if not facts.texts:
        raise ImageError(
            f"'{place}' does not say how it was made: it is no picture of `vaegen sample` or `decode`, or a program "
            "that saved it has dropped its texts"
        )
    return facts


def verify_picture(place: str, model: str | None) -> "Verification":
    """Make a picture anew, and compare: what its file says, whose bundle made it, and its pixels.

    Raises:
        ImageError: It cannot be read, or does not say how it was made.
        RequestError: Its model is not installed, and none is given.
        BundleError: The model cannot be used.
    """
    from vaegen.facts import DECODED, check_names, read_margin, read_recipe, read_size
    from vaegen.verification import Check, Verification

    facts, file = read(place), Path(place).name
    texts = facts.texts
    recipe: Recipe | None = None
    try:
        if "seed" in texts:
            recipe = read_recipe(texts)
        else:
            check_names(texts, DECODED)
        size, margin = read_size(texts), read_margin(texts)
    except RequestError as error:
        return Verification(Path(place), None, (Check(file, "texts", str(error)),))
    if recipe is not None and recipe.ends:
        import shlex  # which `sample` need not load

        name = shlex.quote(place)
        raise ImageError(f"'{place}' is of a walk; make it anew to compare: vaegen sample --like {name} -o again.png")
    if recipe is None and "latent" not in texts:
        raise ImageError(f"'{place}' was decoded from a file of latents, which it does not hold; it cannot be verified")
    with vaegen.load(model or its_model(place, texts)) as loaded:
        checks = [Check(file, "texts", None), Check(file, "bundle", _other_bundle(texts, loaded.manifest))]
        if checks[-1].problem is None:
            checks.append(Check(file, "pixels", _compare(place, facts, loaded, recipe, size, margin)))
        return Verification(Path(place), loaded.spec, tuple(checks))


def its_model(place: str, texts: "dict[str, str]") -> str:
    """Return the name of the shipped model that a picture says made it; raises RequestError where there is none."""
    name = texts.get("model")
    if name not in vaegen.models():
        what = "does not say which model made it" if name is None else f"was made by {name!r}, which is not installed"
        raise RequestError(f"'{place}' {what}; give the folder of its bundle: --model FOLDER")
    return name


def _other_bundle(texts: dict[str, str], here: "Manifest") -> str | None:
    """Say that another bundle made a picture; a file that does not say which may be any one's."""
    its = texts.get("bundle", here.identity)
    if its == here.identity:
        return None
    return (
        f"made by the bundle {quoted(its[:12])}, and {here.model.name!r} is {here.identity[:12]!r} here; "
        "give the folder of the other: --model FOLDER"
    )


def _compare(
    place: str,
    facts: "Facts",
    model: "Model",
    recipe: "Recipe | None",
    size: int | None,
    margin: tuple[int, int],
) -> str | None:
    """Say how a picture differs, beside its labels, from what its texts ask for; None where all pixels agree."""
    import numpy as np
    from PIL import Image
    from vaegen.decoding import decode, image_errors, read_bytes, to_rgb
    from vaegen.encoding import enlarged
    from vaegen.enlarging import enlarge_sheet
    from vaegen.facts import remake
    from vaegen.spec import CHANNELS, SIDE

    (left, top), texts = margin, facts.texts
    width, height = facts.width - left, facts.height - top
    across, down = (SIDE, SIDE) if recipe is None else recipe.extent
    if size is not None:
        across, down = across // SIDE * size, down // SIDE * size
    scale = 1 if size is not None else width // across
    if scale < 1 or (width, height) != (across * scale, down * scale):
        more = ", or as many times as large" if size is None else ""
        return f"{width} x {height} pixels; its texts ask for {across} x {down}{more}"
    if facts.width * facts.height * CHANNELS > MAX_ENLARGED:
        return f"{width} x {height} pixels are more than vaegen writes"
    try:
        with image_errors():
            found = np.asarray(to_rgb(decode(read_bytes(place), SIDE, facts.width * facts.height)))[top:, left:]
        if recipe is None:
            from vaegen_cli.latent_files import read_latent

            made = model.decode([read_latent(texts["latent"], model)])[0]
        else:
            made = remake(model, recipe)
    except (ImageError, RequestError) as error:
        return str(error)
    large = enlarged(made, scale) if size is None else enlarge_sheet(made, size)
    apart = np.abs(found.astype(np.int16) - large).max(2)
    if (others := int((apart > CLOSE).sum())) == 0:
        return None
    advice = ""
    if size is not None:  # where pixels of a digit differ by 1, smooth strokes differ by more here and there
        height, width, _ = made.shape
        small = np.asarray(Image.fromarray(np.ascontiguousarray(found)).resize((width, height), Image.Resampling.BOX))
        if np.abs(small.astype(np.int16) - made).max() <= CLOSE_MEAN:
            advice = "; scaled down it is, as where another processor drew it"
    return f"{others} of {apart.size} pixels are not what its texts ask for, by up to {apart.max()} of 255{advice}"


class Like(NamedTuple):
    """A picture whose request is taken, but for what is given."""

    place: str
    texts: dict[str, str]

    def its(self, context: click.Context, model: str) -> str:
        """Return the model: the one that is given, or the picture's; raises RequestError where that is not shipped."""
        return model if is_typed(context, "model") else its_model(self.place, self.texts)

    def unless_typed(self, context: click.Context, *others: str, **values: Any) -> list[Any]:
        """Return the values of options that exclude each other and the others, None for what gives way to one typed."""
        typed = [name for name in (*others, *values) if is_typed(context, name)]
        return [value if name in typed or not typed else None for name, value in values.items()]

    def warning(self, context: click.Context, here: "Manifest") -> str | None:
        """Say that a model of the picture's name is not the one that made it."""
        problem = None if is_typed(context, "model") else _other_bundle(self.texts, here)
        return problem and f"vaegen: warning: '{self.place}' was {problem}"


def is_typed(context: click.Context, name: str) -> bool:
    """Return whether an option was given, and is not taken from a picture or a default."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _take(context: click.Context, _parameter: click.Parameter, place: str | None) -> Like | None:
    """Make what a picture was asked for with the default of each option."""
    if place is None or context.resilient_parsing:
        return None
    from vaegen.facts import read_margin, read_recipe, read_size

    facts = read(place)
    if "seed" not in facts.texts:
        raise RequestError(f"'{place}' is a picture of `vaegen decode`; --like takes those of `vaegen sample`")
    try:
        recipe, size, margin = read_recipe(facts.texts), read_size(facts.texts), read_margin(facts.texts)
    except RequestError as error:
        raise RequestError(f"'{place}' cannot be an example: {error}") from error
    lists = {
        "digits": [",".join(map(str, recipe.digits))],
        "color_texts": [recipe.color_text or ",".join(color.text for color in recipe.colors)],
    }
    names = ("count", "grid", "seed", "start", "temperature", "tries", "best", "slant", "thickness", "hand")
    values = {name: getattr(recipe, name) for name in names}
    context.default_map = {
        **{name: texts for name, texts in lists.items() if texts != [""]},  # what was drawn from the seed is drawn
        **{name: value for name, value in values.items() if value is not None},
        **({"text": recipe.text} if recipe.text else {}),
        **({"walk": recipe.ends, "frames": recipe.frames} if recipe.ends else {}),
        **({"labels": True} if "labels" in facts.texts else {}),
        **({"scale": max((facts.width - margin[0]) // recipe.extent[0], 1)} if size is None else {"size": size}),
    }
    return Like(place, facts.texts)


like_option = click.option(
    "--like",
    type=click.Path(),
    is_eager=True,
    callback=_take,
    metavar="FILE.png",
    help="Take all that is not given from a picture of `vaegen sample`.",
)


def lines_of(place: str, facts: "Facts") -> Iterator[str]:
    """Yield what a picture's file says, line by line."""
    texts = facts.texts
    yield f"{place}: {facts.width} x {facts.height} pixels"
    width = max(map(len, texts))
    for name, text in texts.items():
        yield f"  {name:<{width}}  {text if len(text) <= LONGEST else f'{text[:LONGEST]}... ({len(text)} characters)'}"
    import shlex

    name = shlex.quote(place)
    if "seed" in texts:
        yield f"another like it: vaegen sample --like {name} --color teal"
    if "walk" not in texts:
        yield f"to check it:     vaegen verify {name}"
