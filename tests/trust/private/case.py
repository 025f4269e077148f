"""What a verifier is given: a file, what says who signed it, and whom to believe."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Unpack

from tests.trust.private.contents import Artifact, Content, Envelope
from tests.trust.private.edits import Edit
from tests.trust.private.encoding import Json
from tests.trust.private.identity import ISSUER, PERSON
from tests.trust.private.instance import How, Instance

ARTIFACT = b"the image\n"


class Files(NamedTuple):
    """Where a case was written."""

    artifact: Path
    bundle: Path
    trusted_root: Path


@dataclass(frozen=True, slots=True)
class Case:
    """Files, and whose signature is asked for."""

    artifact: bytes
    bundle: bytes
    trusted_root: bytes
    identity: str = PERSON
    issuer: str = ISSUER

    @property
    def digest(self) -> str:
        """How the artifact is named without its file."""
        return f"sha256:{sha256(self.artifact).hexdigest()}"

    def write(self, directory: Path) -> Files:
        """Write the three files, with names that people give them."""
        names = ("image.raw", "image.raw.sigstore.json", "trusted_root.json")
        files = Files(*(directory / name for name in names))
        for path, content in zip(
            files, (self.artifact, self.bundle, self.trusted_root), strict=True
        ):
            path.write_bytes(content)
        return files

    def words(self, directory: Path) -> list[str]:
        """Write the files; return the words that `snaproot` is to be given for them."""
        files = self.write(directory)
        asked = ["--identity", self.identity, "--issuer", self.issuer]
        given = ["--bundle", str(files.bundle), "--trusted-root", str(files.trusted_root)]
        return ["trust", "verify", str(files.artifact), *given, *asked]


Make = Callable[[Instance], Case]


def case(
    it: Instance,
    content: Content | None = None,
    *,
    edit: Edit | None = None,
    text: Callable[[bytes], bytes] | None = None,
    root: Json | None = None,
    artifact: bytes = ARTIFACT,
    identity: str = PERSON,
    issuer: str = ISSUER,
    **how: Unpack[How],
) -> Case:
    """Sign something, the artifact unless it is said, and put beside it what a verifier needs.

    `edit` changes the signed bundle, `text` what is written of it; `root` is another trusted root
    than the instance's.
    """
    bundle = deepcopy(it.sign(content or Artifact(ARTIFACT), **how))
    if edit is not None:
        edit(bundle)
    written = json.dumps(bundle).encode()
    trusted = json.dumps(root or it.trusted_root()).encode()
    return Case(artifact, text(written) if text else written, trusted, identity, issuer)


def statement(artifact: bytes = ARTIFACT, **more: object) -> Envelope:
    """Make an in-toto statement about an artifact: SLSA provenance, as much as matters here."""
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "image.raw", "digest": {"sha256": sha256(artifact).hexdigest()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"runDetails": {"builder": {"id": "https://ci.example/builder"}}},
        **more,
    }
    return Envelope(json.dumps(said).encode())
