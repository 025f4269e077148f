"""Make packages again from a root in which they are installed, with higher versions.

What belongs together by exact versions, as all of systemd does, is raised together.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from snaproot.run import run

_DROPPED = ("Status", "Conffiles", "Config-Version")
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers", "shlibs")


def repacked(root: Path, sources: Collection[str], pool: Path, work: Path, mark: str) -> list[str]:
    """Build every installed package of some source packages into `pool`; return their names.

    `root` has its dpkg database where an adopted root has it; `mark` is added to each version.
    """
    paragraphs = [_fields(p) for p in _database(root, "status").read_text().split("\n\n")]
    chosen = [p for p in paragraphs if _source(p) in sources and "installed" in p["Status"].split()]
    versions = {p["Version"] for p in chosen}
    for number, paragraph in enumerate(chosen):
        tree = work / f"{number}"
        tree.mkdir()
        _copy_files(root, paragraph, tree)
        _describe(root, paragraph, tree / "DEBIAN", versions, mark)
        run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", str(tree), str(pool)])
        run(["rm", "-rf", "--", str(tree)])
    return [paragraph["Package"] for paragraph in chosen]


def _database(root: Path, name: str) -> Path:
    return root / "usr/lib/sysimage/dpkg" / name


def _fields(paragraph: str) -> Mapping[str, str]:
    found = re.findall(r"^([A-Z][\w-]*): ?(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
    return dict(found)


def _source(paragraph: Mapping[str, str]) -> str:
    said = paragraph.get("Source") or paragraph.get("Package", "")
    return said.split(" ")[0]


def _info(root: Path, paragraph: Mapping[str, str], kind: str) -> Path:
    name, architecture = paragraph["Package"], paragraph["Architecture"]
    qualified = _database(root, f"info/{name}:{architecture}.{kind}")
    return qualified if qualified.exists() else _database(root, f"info/{name}.{kind}")


def _copy_files(root: Path, paragraph: Mapping[str, str], tree: Path) -> None:
    """Copy files and links, and make directories; what is listed in `/var` are directories."""
    listed = _info(root, paragraph, "list").read_text().splitlines()
    paths = [path.lstrip("/") for path in listed if path not in {"/.", ""}]
    kept = [p for p in paths if (root / p).is_symlink() or (root / p).is_file()]
    for path in paths:
        if path.startswith("var/") or ((root / path).is_dir() and path not in kept):
            (tree / path).mkdir(parents=True, exist_ok=True)
    for start in range(0, len(kept), 500):
        some = kept[start : start + 500]
        run(["env", f"--chdir={root}", "cp", "-a", "--parents", "-t", str(tree), "--", *some])


def _describe(
    root: Path,
    paragraph: Mapping[str, str],
    place: Path,
    versions: Collection[str],
    mark: str,
) -> None:
    place.mkdir(mode=0o755)
    fields = {key: value for key, value in paragraph.items() if key not in _DROPPED}
    fields["Version"] += mark
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    for version in versions:
        text = text.replace(f"(= {version})", f"(= {version}{mark})")
    (place / "control").write_text(text)
    for kind in _SCRIPTS:
        script = _info(root, paragraph, kind)
        if script.exists():
            run(["cp", "-a", str(script), str(place / kind)])
    conffiles = [line.split()[0] for line in paragraph.get("Conffiles", "").splitlines() if line]
    there = [path for path in conffiles if (root / path.lstrip("/")).is_file()]
    (place / "conffiles").write_text("".join(f"{path}\n" for path in there))
