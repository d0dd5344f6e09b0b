"""JSON schemas of what the server takes and gives (JSON Schema 2020-12, as OpenAPI 3.1 has them)."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def _object(properties: Mapping[str, Schema], *optional: str) -> Schema:
    """Return the schema of an object that has no other properties, and all but some of these."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": {**properties}, "required": required, "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
YES: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
FILE: Schema = {"type": "string", "format": "binary"}
PNG_TEXT: Schema = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
ROW = {**_list(NUMBER), "description": "Z coordinates, then N one-hots of K classes."}

MADE_BY = {"model": TEXT, "bundle": {**TEXT, "description": "What stands for its weights."}, "version": TEXT}
SAMPLES = _object(
    {
        **MADE_BY,
        "seed": INTEGER,
        "temperature": NUMBER,
        "tries": INTEGER,
        "best": INTEGER,
        "slant": NUMBER,
        "thickness": NUMBER,
        "hand": INTEGER,
        "images": _list(
            _object(
                {
                    "index": INTEGER,
                    "digit": INTEGER,
                    "color": TEXT,
                    "rgb": _list(INTEGER),
                    "tries_used": INTEGER,
                    "judged": {**_or_null(INTEGER), "description": "The digit that the judge reads."},
                    "confidence": {**_or_null(NUMBER), "description": "Its probability of the digit asked for."},
                    "measured": {**_or_null(_list(NUMBER)), "description": "The stroke's color, 0 to 255."},
                    "color_error": {**_or_null(NUMBER), "description": "CIEDE2000 from the color asked for."},
                    "realism": {**_or_null(NUMBER), "description": "The critic's score, a logit."},
                    "accepted": _or_null(YES),
                    "rank": _or_null(NUMBER),
                    "png": PNG_TEXT,
                }
            )
        ),
    },
    "tries",
    "best",
    "slant",
    "thickness",
    "hand",
)
RECONSTRUCTION = _object(
    {
        "model": TEXT,
        "intake": {"enum": ["as-is", "ink", "unknown"], "description": "What was made of the picture."},
        "unlike": {**YES, "description": "Whether the picture looks unlike a digit on black."},
        "mae": {**NUMBER, "description": "Mean absolute error of all pixels, from 0 to 1."},
        "png": PNG_TEXT,
    }
)
LATENTS = _object(
    {
        "model": TEXT,
        "intake": RECONSTRUCTION["properties"]["intake"],
        "latents": _list(ROW),
        "mean": _list(_list(NUMBER)),
        "log_variance": _list(_list(NUMBER)),
        "logits": _list(_list(_list(NUMBER))),
    },
    "mean",
    "log_variance",
    "logits",
)
DECODED = _object(
    {**MADE_BY, "images": _list(_object({"index": INTEGER, "png": PNG_TEXT}))},
)
MODELS = _object(
    {
        "models": _list(
            _object(
                {
                    "name": TEXT,
                    "preset": TEXT,
                    "latent": {**ANYTHING, "description": "Z, N and K, and the names of the coordinates."},
                    "gumbel_temperature": _or_null(NUMBER),
                    "prior_temperature": NUMBER,
                    "thresholds": ANYTHING,
                    "style": {**_or_null(ANYTHING), "description": "The usual slant and thickness."},
                    "classes": {
                        **_list(TEXT),
                        "description": "Names of what is asked for as digit 0 to 9, if no digits.",
                    },
                    "kind": {"enum": ["continuous", "discrete", "joint"]},
                    "bytes": INTEGER,
                    "default": {**YES, "description": "Whether it answers where none is named."},
                    "quality": ANYTHING,
                },
                "classes",
            )
        )
    }
)
HEALTH = _object({"status": {"const": "ok"}, "version": TEXT, "models": _list(TEXT), "busy": INTEGER})

NAMED: Schema = {"type": "object", "additionalProperties": NUMBER, "description": "Parts of a latent by name."}


def latents(most: int) -> Schema:
    """Return the schema of what /decode takes, of so many latents at most."""
    entries = {"type": "array", "items": {"anyOf": [ROW, NAMED]}, "minItems": 1, "maxItems": most}
    return _object({"latents": entries})


def error(kinds: list[str]) -> Schema:
    """Return the schema of a refusal of one of some types."""
    return _object({"error": _object({"type": {"type": "string", "enum": kinds}, "message": TEXT})})
