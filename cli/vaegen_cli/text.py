"""`vaegen sample --text`: digits side by side in one picture."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vaegen.subjects import call_facts, describe, read_colors

from vaegen_cli.console import Console, ExitCode, put
from vaegen_cli.libraries import loading
from vaegen_cli.misses import report, report_style
from vaegen_cli.output import Output
from vaegen_cli.sheets import show

if TYPE_CHECKING:
    from vaegen import Manifest


def run_text(
    console: Console,
    text: str,
    color_texts: Sequence[str],
    output: Output,
    warn: "Callable[[Manifest], None]",
    *,
    model: str,
    threads: int,
    start: int,
    as_json: bool,
    **how: Any,
) -> ExitCode:
    """Draw a text, write it, and say which digits did not come out as asked.

    Args:
        console: For messages.
        text: As typed.
        color_texts: Of --color.
        output: Where the sheet goes.
        warn: Says on stderr what is to be said of the model.
        model: Name or folder.
        threads: Inside the model.
        start: The first item of the seed.
        as_json: Whether to print what is known of each digit.
        how: What else `vaegen.texts.write` takes.

    Raises:
        VaegenError: As `vaegen sample` does.
    """
    needed = ("prior", "decoder") if how["tries"] == 1 else ("prior", "decoder", "judge")
    with loading(model, threads, needed) as loaded_model:
        from vaegen.color import RAINBOW
        from vaegen.texts import is_rainbow, plan_text, write

        subjects = plan_text(text, color_texts, seed=how["seed"], start=start)
    from vaegen.encoding import sheet
    from vaegen.sampling import ask

    with loaded_model() as loaded:
        spec = loaded.spec
        # What is asked for is looked at before the files that it would go to.
        first = subjects[0].digit, subjects[0].color.rgb, 1
        ask(spec, first, start=start, **how)
        output.plan(len(subjects), lambda: [f"{text}.{output.format}"])
        draw, items, how["hand"] = write(loaded, subjects, start=start, **how)
        call = call_facts(loaded.manifest, **how)
        warn(loaded.manifest)
    report_style(console, spec, slant=how["slant"], thickness=how["thickness"])
    show(console, draw.images)
    colors = RAINBOW if is_rainbow(color_texts) else ",".join(one.text for one in read_colors(color_texts))
    call |= {"index": start, "text": text, "color": colors or subjects[0].color.text}
    output.write([(sheet(draw.images, 1, len(subjects)), call)])
    report(console, draw, subjects, items, how["best"])
    if as_json:
        (file,) = set(output.files(len(subjects)))
        facts = ({"index": item, **describe(draw, row, subjects[row])} for row, item in enumerate(items))
        put(json.dumps({**call, "file": file, "images": list(facts)}))
    read_wrong = draw.judged is not None and bool((draw.judged != draw.digits).any())
    return ExitCode.SOME_FAILED if read_wrong else ExitCode.DONE
