"""Of hostile bundles with right checksums, each is refused: unread where it can be, else by what it does in a child."""

import shutil
import time
from pathlib import Path

import pytest
import vaegen
from vaegen import BundleError, verification
from vaegen.spec import GRAPHS
from vaegen.verification import verify

from tests.security.attacks import SECRET, TINY, Attack, apply, attacks

ALL = list(attacks())


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: f"{attack.kind}: {attack.name}")
def test_it_is_refused(attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    apply(attack, bundle)
    (tmp_path / SECRET).write_bytes(b"-----BEGIN PRIVATE KEY-----" + bytes(200))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verification, "SECONDS", 6)
    began = time.process_time()
    (check,) = verify(bundle).problems
    assert check.problem is not None
    assert attack.refused in f"{check.file}: {check.problem}"
    assert (check.file.partition(".")[0], check.name) == (attack.graph, attack.step)
    assert check.problem.isprintable()
    assert len(check.problem) < 1000
    if attack.step in ("format", "schema") and not attack.loads:
        with pytest.raises(BundleError) as refusal:
            vaegen.load(bundle, warm_up=GRAPHS)
        assert str(refusal.value).isprintable()
        assert time.process_time() - began < 10
