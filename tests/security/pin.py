"""Write the SHA-256 of the shipped manifests into vaegen's code, after models were exported or measured anew.

python tests/security/pin.py
"""

import hashlib
import re
from pathlib import Path

from vaegen import bundle


def main() -> None:
    file = Path(bundle.__file__)
    text = file.read_text(encoding="utf-8")
    for name, pinned in bundle.PINNED.items():
        digest = hashlib.sha256((bundle.SHIPPED / name / "manifest.json").read_bytes()).hexdigest()
        print(f"{name}: {digest}{'' if digest == pinned else ' (new)'}")
        text = re.sub(f'("{name}": )"[0-9a-f]*"', rf'\1"{digest}"', text)
    file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
