"""The explorer as one file: the page, the client and the models asked for, in an HTML file that needs nothing else.

Half of a model's bytes are noise, which base64 would make a third longer. So the page is written in UTF-16, and what it
holds as digits of base 62,672: as many of the 65,536 code units stand in an HTML file as what they are. That costs
0.4%. UTF-16 comes with a byte order mark, which outranks whatever encoding a server claims. `web/page/boot.js` undoes
all of this.
"""

import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from graphlib import TopologicalSorter
from os import PathLike
from pathlib import Path, PurePosixPath

import vaegen
from vaegen import bundle
from vaegen.errors import RequestError
from vaegen.manifest import GRAPHS, Manifest

WEB = Path(__file__).with_name("web")
_MAIN = PurePosixPath("page/main.js")
# At the beginning of a line, which is where the client and the page have them; not the types in comments.
_IMPORT = re.compile(r'^(import|export) (\{[^}]*\}|\* as \w+) from "(\.[^"]+)";', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
# What a machine does not read: comments that have their lines to themselves, types in the midst of lines, comments
# behind code, and indents.
_UNREAD = re.compile(
    r"^ */\*\*.*?\*/\n|^ *//[^\n]*\n|/\*\* @[^\n]*?\*/ ?|(?<=[;,{}()\]]) // [^\n\"'`]*$|^ +", re.MULTILINE | re.DOTALL
)

_CHARSET = '<meta charset="utf-8">'
_GENERATOR = '<meta name="generator" content="vaegen">'
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n')
_SCRIPT = '<script type="module" src="main.js"></script>'

_FIRST = 0x100  # below are the characters that HTML and its line ends have a use for
_SURROGATES = range(0xD800, 0xE000)
_END = 0xFDD0  # from here on Unicode has code units that are no characters, and the byte order mark
_BASE = _END - _FIRST - len(_SURROGATES)


def explorer_page(models: Sequence[str | PathLike[str]]) -> bytes:
    """Return the explorer as an HTML file, about 3.4 MB with one of the shipped models.

    Args:
        models: Names of shipped models, or bundles' folders; the page shows the first one first. A folder is called by
            its own name, such as "./my-bundle".

    Raises:
        RequestError: None is named, one is unknown, or two have the same name.
        BundleError: A folder is not a bundle, or not one this version can use.
        IntegrityError: A file of a bundle is not the one its manifest records.
    """
    if not models:
        raise RequestError(f"no model is named; choose from {', '.join(vaegen.models())}, or give a bundle's folder")
    bundles = {}
    for model in models:
        path = bundle.find(model)
        name = path.name if path.parent == bundle.SHIPPED else f"./{path.resolve().name}"
        if name in bundles:
            raise RequestError(f"two models are called {name!r}; name each once, or rename a folder")
        bundles[name] = bundle.read(path)
    head = {
        "script": _script(),
        "bundles": {
            name: {
                "manifest": _facts(one.manifest),
                "graphs": [(one.manifest.graphs[graph].file, len(one.graphs[graph])) for graph in GRAPHS],
            }
            for name, one in bundles.items()
        },
    }
    graphs = [one.graphs[graph] for one in bundles.values() for graph in GRAPHS]
    return _html(_packed(json.dumps(head).encode(), graphs)).encode("utf-16-le")


def _facts(manifest: Manifest) -> str:
    """Return a manifest without what was measured at the export and after it, which no page reads."""
    return json.dumps({**json.loads(manifest.to_json()), "parity": {}, "golden": {}, "quality": {}})


def _script() -> str:
    """Return main.js and all modules that it needs as one: a browser takes a millisecond or two for each.

    Each becomes a function that is called once, after those that it imports from, and returns what it exports.
    """
    codes: dict[PurePosixPath, str] = {}
    imports: dict[PurePosixPath, list[PurePosixPath]] = {}
    waiting = [_MAIN]
    while waiting:
        place = waiting.pop()
        if place not in codes:
            codes[place] = _UNREAD.sub("", _read(place))
            imports[place] = [_resolved(place, target) for _, _, target in _IMPORT.findall(codes[place])]
            waiting += imports[place]
    order = list(TopologicalSorter(imports).static_order())
    return "".join(_function(place, codes[place], order) for place in order)


def _function(place: PurePosixPath, code: str, order: Sequence[PurePosixPath]) -> str:
    """Return a module as a constant with what it exports; those that it imports from have their numbers in `order`."""
    exports = [name for _, name in _EXPORT.findall(code)]

    def taken(found: re.Match[str]) -> str:
        kind, names, target = found.groups()
        source = f"module{order.index(_resolved(place, target))}"
        if kind == "export":
            exports.extend(re.findall(r"(\w+)\s*[,}]", names))
        names = names.removeprefix("* as ").replace(" as ", ": ")
        return f"const {names} = {source};"

    body = _EXPORT.sub(r"\1", _IMPORT.sub(taken, code))
    number = order.index(place)
    return f"const module{number} = (() => {{ // {place}\n{body}return {{ {', '.join(exports)} }};\n}})();\n"


def _resolved(place: PurePosixPath, target: str) -> PurePosixPath:
    """Return the place of what a module imports by a relative path."""
    return PurePosixPath((WEB / place.parent / target).resolve().relative_to(WEB.resolve()).as_posix())


def _packed(head: bytes, graphs: Sequence[bytes]) -> bytes:
    """Return all parts compressed: of 16-bit weights, sign and exponent repeat, and the rest is noise; so not mixed."""
    whole = b"".join(graph + bytes(len(graph) % 2) for graph in graphs)
    # The settings that make the shipped models smallest.
    stream = zlib.compressobj(level=9, memLevel=7, strategy=zlib.Z_FILTERED)
    parts = (struct.pack("<I", len(head)), head, whole[::2], whole[1::2])
    return b"".join([*map(stream.compress, parts), stream.flush()])


def _digits(data: bytes) -> str:
    """Return bytes as digits, each a character, from which boot.js makes them again.

    That is an asymmetric numeral system (J. Duda, arXiv:0902.0271) whose symbols are equally probable: the state takes
    in 16 bits, or none, and gives a digit; the reader, going backwards, multiplies, adds, and knows by the state's
    size whether 16 bits came in.
    """
    words = array("H", data + bytes(len(data) % 2))
    if sys.byteorder == "big":
        words.byteswap()
    units = array("H")
    state = 1
    for word in reversed(words):
        if state >= _BASE:
            state, digit = divmod(state, _BASE)
            units.append(digit)
        state, digit = divmod(state << 16 | word, _BASE)
        units.append(digit)
    units.extend((state % _BASE, state // _BASE))
    gap = _SURROGATES.start - _FIRST
    return "".join([chr(unit + (_FIRST if unit < gap else _FIRST + len(_SURROGATES))) for unit in reversed(units)])


def _html(packed: bytes) -> str:
    """Return the page with everything in it, beginning with a byte order mark."""
    html, boot = _read("page/index.html"), _read("page/boot.js")
    style = "".join(map(_read, (f"page/{name}" for name in _STYLE.findall(html))))
    # Whatever a link or a bundle holds, the page can neither run it nor send anything away.
    policy = (
        f"default-src 'none'; script-src {_source(boot)} blob:; style-src {_source(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    head, body = _STYLE.sub("", html).split("</head>")
    head = head.replace(_CHARSET, f'{_CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy}">')
    head = head.replace(_GENERATOR, f'{_GENERATOR[:-2]} {vaegen.__version__}">')
    head = f"{head}<style>{style}</style>\n<script>{boot}</script>\n"
    script = f'<script type="text/plain" id="packed" data-bytes="{len(packed)}">{_digits(packed)}</script>'
    return f"\ufeff{head}</head>{body.replace(_SCRIPT, script)}"


def _source(text: str) -> str:
    """Return what a Content-Security-Policy allows a script or style of this text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str | PurePosixPath) -> str:
    return (WEB / name).read_text(encoding="utf-8")
