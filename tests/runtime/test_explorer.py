"""The explorer's file: what it holds, how large it is, and that a script gets out what was put in."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import vaegen
from vaegen import bundle
from vaegen.explorer import WEB, explorer_page

# Runs the script of the page with the little of a browser that it touches, and prints what it hands over.
NODE = """
const { readFileSync } = require("node:fs");
const { createHash } = require("node:crypto");
const html = readFileSync(process.argv[1]).toString("utf16le");
const boot = html.match(/<script>([^]*?)<\\/script>/)[1];
const [, bytes, textContent] = html.match(/id="packed" data-bytes="(\\d+)">([^]*?)<\\/script>/);
const listeners = {};
globalThis.window = globalThis;
globalThis.addEventListener = () => {};
globalThis.document = {
  addEventListener: (name, listener) => { listeners[name] = listener; },
  getElementById: () => ({ textContent, dataset: { bytes }, remove() {} }),
  createElement: () => ({ setAttribute() {} }),
  documentElement: { dataset: {} },
  querySelector: () => ({ appendChild: (notice) => console.log(notice.textContent) }),
  body: {
    appendChild: async (script) => {
      const digest = (file) => createHash("sha256").update(file).digest("hex");
      const bundles = Object.entries(globalThis.vaegenBundles).map(([name, files]) => [
        name, Object.fromEntries(Object.entries(files).map(([file, content]) => [file, digest(content)])),
      ]);
      console.log(JSON.stringify({ bundles: Object.fromEntries(bundles), code: await script.src.text() }));
    },
  },
};
URL.createObjectURL = (blob) => blob;
eval(boot);
listeners.DOMContentLoaded();
"""


class Page(HTMLParser):
    """What could lead out of a page: addresses in attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        values = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "data", "srcset"}]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""


@pytest.mark.parametrize("model", vaegen.models())
def test_the_page_of_a_shipped_model_is_small(model: str) -> None:
    assert len(explorer_page([model])) <= 3_500_000


def test_the_page_is_html_that_leads_nowhere(tiny: Path) -> None:
    text = explorer_page([tiny]).decode("utf-16")
    page = Page(text)
    assert page.addresses == ["data:,"]
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in page.policy
    assert f'content="vaegen {vaegen.__version__}"' in text
    # No unit of the text is half of a character, none changes where a line ends or a tag begins.
    packed = text.partition('data-bytes="')[2].partition(">")[2].partition("<")[0]
    assert len(packed) > 10_000
    assert not re.search("[^\u0100-\ud7ff\ue000-\ufdcf]", packed)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_script_gets_out_what_was_put_in(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(explorer_page(["discrete", tiny]))
    done = subprocess.run(["node", "-e", NODE, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unpacked = json.loads(done.stdout)
    assert list(unpacked["bundles"]) == ["discrete", "./tiny"]
    for folder, digests in zip((bundle.SHIPPED / "discrete", tiny), unpacked["bundles"].values(), strict=True):
        assert digests.pop("manifest.json")  # which lacks what was measured
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in digests}
        assert len(files) == 5
        assert digests == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}

    # All that are there lead to what makes the page, each once, after those that it imports from.
    code = unpacked["code"]
    names = re.findall(r"^const module\d+ = \(\(\) => \{ // (.+)$", code, re.MULTILINE)
    modules = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js")}
    assert sorted(names) == sorted(modules - {"page/boot.js"})
    for number, part in enumerate(re.split(r"^const module\d+ = ", code, flags=re.MULTILINE)[1:]):
        assert all(int(used) < number for used in re.findall(r"^const .* = module(\d+);", part, re.MULTILINE))
    assert not re.search(r"^(import|export)\b", code, re.MULTILINE)
    (tmp_path / "script.mjs").write_text(code, encoding="utf-8")
    subprocess.run(["node", "--check", tmp_path / "script.mjs"], check=True)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_an_old_browser_is_told_so(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(explorer_page([tiny]))
    program = f"delete globalThis.DecompressionStream; {NODE}"
    done = subprocess.run(["node", "-e", program, file], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"Your browser is too old for this page: it needs Chrome \d+, .+ or newer\.\n", done.stdout)


def test_what_a_page_cannot_be_made_of(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(vaegen.RequestError, match="no model is named; choose from continuous, discrete, joint"):
        explorer_page([])
    with pytest.raises(vaegen.RequestError, match="unknown model 'jiont'; choose from"):
        explorer_page(["jiont"])
    copy = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    with pytest.raises(
        vaegen.RequestError, match=r"two models are called '\./tiny'; name each once, or rename a folder"
    ):
        explorer_page([tiny, copy])
    graph = copy / "decoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(vaegen.IntegrityError, match=r"decoder\.onnx"):
        explorer_page([copy])
    (copy / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(vaegen.BundleError, match="schema"):
        explorer_page([copy])


def test_making_a_page_needs_the_standard_library_alone(tiny: Path) -> None:
    code = f"import sys; from vaegen.explorer import explorer_page; explorer_page([{str(tiny)!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime", "PIL", "click"} & set(done.stdout.split())
