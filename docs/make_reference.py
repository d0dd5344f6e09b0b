"""Write what the pages take from the program: docs/reference.md from the help texts, and figures from the manifests.

    python docs/make_reference.py

Run it when a help text or a shipped model has changed; tests/docs/test_reference.py finds pages that are behind.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import vaegen
from vaegen.bundle import read_manifest
from vaegen.manifest import Manifest
from vaegen_cli.app import VERBS, cli
from vaegen_training.evaluate import Figure
from vaegen_training.evaluate.table import FORMS, to_cell

DOCS = Path(__file__).parent
WIDTH = 100
HEAD = """# Reference

All verbs with all options, as `vaegen VERB -h` shows them. Every verb also takes `-v` (show details), `-q` (show no
messages but errors), `--debug` (show the traceback of an error) and `-h`.
"""
COMMON = {"--verbose", "--quiet", "--debug"}

FIGURES = {
    "digits read right, first draws, %": ("digit_accuracy", "raw"),
    "digits read right, verified, %": ("digit_accuracy", "verified"),
    "digits read right, reconstructed, %": ("digit_accuracy", "reconstruction"),
    "color error, verified, median": ("color_error_median", "verified"),
    "color error, verified, 95th percentile": ("color_error_p95", "verified"),
    "coverage, first draws": ("coverage", "raw"),
    "coverage, verified": ("coverage", "verified"),
    "train on them, test on real, %": ("classification_accuracy_score", "verified"),
    "told from real digits": ("told_from_real", "verified"),
    "told from real digits, at half brightness": ("told_from_real_shape", "verified"),
    "told from reconstructions": ("told_from_reconstructions", "verified"),
    "digit right by one latent, %": ("by_one_latent", "digit"),
    "hue right by one latent, %": ("by_one_latent", "hue"),
    "slant off by, degrees": ("style_error", "slant"),
    "thickness off by, pixels": ("style_error", "thickness"),
}
"""Each row of the table, with the metric and the images whose figures it holds."""

OUTPUTS = (
    "encoder.latent",
    "sampler.latent",
    "prior.latent",
    "decoder.image",
    "judge.probabilities",
    "judge.color_error",
)


def reference() -> str:
    """Return the page of all help texts."""
    verbs = {f"vaegen {verb}": cli.get_command(click.Context(cli), verb) for verb in VERBS}
    sections = [_section(name, command) for name, command in {"vaegen": cli, **verbs}.items() if command]
    return "\n".join([HEAD, *sections])


def _section(name: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=[]
    )
    shown = command.params
    command.params = [option for option in shown if not COMMON & {*option.opts}]
    try:
        return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"
    finally:
        command.params = shown


def figures(manifests: Sequence[Manifest]) -> str:
    """Return the table of the shipped models' figures."""

    def cell(manifest: Manifest, metric: str, images: str) -> str:
        figure = manifest.quality["figures"][metric].get(images)
        return to_cell(Figure(**figure), FORMS[metric]) if figure else ""

    return _table(manifests, ([title, *(cell(one, *place) for one in manifests)] for title, place in FIGURES.items()))


def parity(manifests: Sequence[Manifest]) -> str:
    """Return the table of the largest differences between onnxruntime and torch."""
    rows = (
        [f"`{output}`", *(f"{one.parity['largest_difference'][output]:.2g}" for one in manifests)] for output in OUTPUTS
    )
    return _table(manifests, rows)


def _table(manifests: Sequence[Manifest], rows: Iterable[Sequence[str]]) -> str:
    head = ["", *(manifest.model.kind for manifest in manifests)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def pages() -> dict[Path, str]:
    """Return each page that is made here, or has a part that is, as it should be."""
    manifests = [read_manifest(vaegen.load(name).path) for name in vaegen.models()]
    made = {DOCS / "reference.md": reference()}
    for name, part, table in (
        ("evaluation.md", "figures", figures(manifests)),
        ("train.md", "parity", parity(manifests)),
    ):
        before, begin, rest = (DOCS / name).read_text(encoding="utf-8").partition(f"<!-- made: {part} -->\n")
        made[DOCS / name] = f"{before}{begin}{table}\n{rest[rest.index('<!-- end -->') :]}"
    return made


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path)
