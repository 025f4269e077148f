"""All probes that the configuration asks for, wired."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from snaproot.errors import NeedsRecovery, Refused
from snaproot.health import Outcome, Probe, Result, Severity, disk, network, scripts, services
from snaproot.health.baseline import Baseline
from snaproot.health.settings import Health, Terms

_QUICK = 10.0  # seconds for what asks nobody else


@dataclass(frozen=True, slots=True)
class Places:
    """Where the probes look."""

    root: Path = Path("/")
    written: tuple[Path, ...] = (Path("/var"),)
    directories: scripts.Directories = field(default_factory=scripts.Directories)


def probes(
    settings: Health,
    *,
    baseline: Callable[[], Baseline],
    record: Callable[[], object] | None,
    places: Places | None = None,
) -> list[Probe]:
    """List the probes, none of which has been asked yet.

    `baseline` and `record` are called by the probes that need them: what they raise is those
    probes' answer. No record at all (an unadopted system): it is only told that there is none.
    Raises SnaprootError where a directory of scripts cannot be read.
    """
    where = places or Places()
    return [
        *_services(settings, baseline),
        *_disk(settings, baseline, where),
        *_network(settings),
        _own(record),
        *_scripts(settings, where),
    ]


def measure(environment: str, root: Path = Path("/")) -> Baseline:
    """Take the baseline from the system that runs; `environment` names its root.

    Raises SnaprootError where systemd or the filesystem does not tell.
    """
    return Baseline(
        failed_units=services.failed(),
        device_errors=disk.counted(root),
        recorded=datetime.now(UTC).replace(microsecond=0).isoformat(),
        environment=environment,
    )


def _services(settings: Health, baseline: Callable[[], Baseline]) -> Iterator[Probe]:
    terms, source = settings.services, "[health.services]"
    if not terms.enabled:
        return
    seconds = float(terms.timeout_seconds)
    failed = partial(services.nothing_new_failed, lambda: baseline().failed_units, seconds)
    yield _probe("services.failed", failed, terms, source)
    if terms.required_units:
        active = partial(services.all_active, terms.required_units, seconds)
        yield _probe("services.required", active, terms, source)


def _disk(settings: Health, baseline: Callable[[], Baseline], where: Places) -> Iterator[Probe]:
    terms, source = settings.disk, "[health.disk]"
    if not terms.enabled:
        return
    paths = [where.root, *(Path(path) for path in terms.paths)]
    writable = partial(disk.writable, where.root, where.written)
    unharmed = partial(disk.unharmed, where.root, lambda: baseline().device_errors)
    yield _probe("disk.writable", writable, terms, source)
    yield _probe("disk.space", partial(disk.roomy, paths, terms.free_mib), terms, source)
    yield _probe("disk.errors", unharmed, terms, source)


def _network(settings: Health) -> Iterator[Probe]:
    terms, source = settings.network, "[health.network]"
    if not terms.enabled:
        return
    seconds = float(terms.timeout_seconds)
    yield _probe("network.route", network.connected, terms, source)
    for name in dict.fromkeys(terms.names):
        yield _probe(f"network.name {name}", partial(network.resolves, name), terms, source)
    for endpoint in dict.fromkeys(terms.tcp):
        accepts = partial(network.accepts, endpoint, seconds)
        yield _probe(f"network.tcp {endpoint}", accepts, terms, source)
    for url in dict.fromkeys(terms.http):
        yield _probe(f"network.http {url}", partial(network.fetches, url, seconds), terms, source)


def _own(record: Callable[[], object] | None) -> Probe:
    severity = Severity.WANTED if record is None else Severity.REQUIRED
    asked = partial(readable, record)
    return Probe("own.record", asked, severity, _QUICK, retries=1, delay=1, source="built in")


def readable(record: Callable[[], object] | None) -> Outcome:
    """Tell whether this snaproot can read its record: else it could not even promote."""
    if record is None:
        return Outcome(Result.UNKNOWN, "this system is not adopted: there is no record")
    try:
        record()
    except (NeedsRecovery, Refused) as error:
        return Outcome(Result.BAD, str(error))
    return Outcome(Result.GOOD, "the record can be read")


def _scripts(settings: Health, where: Places) -> Iterator[Probe]:
    terms = settings.scripts
    if not terms.enabled:
        return
    for found in scripts.checks(where.directories):
        decides = {found.severity, terms.severity} == {Severity.REQUIRED}
        severity = Severity.REQUIRED if decides else Severity.WANTED
        asked = partial(scripts.ask, found.argv, float(terms.timeout_seconds))
        yield _probe(str(found.path), asked, terms, "[health.scripts]", severity)


def _probe(
    name: str,
    run: Callable[[], Outcome],
    terms: Terms,
    source: str,
    severity: Severity | None = None,
) -> Probe:
    return Probe(
        name=name,
        run=run,
        severity=severity or terms.severity,
        timeout=float(terms.timeout_seconds),
        retries=terms.retries,
        delay=float(terms.delay_seconds),
        source=source,
    )


def once(asked: Sequence[Probe]) -> list[Probe]:
    """Ask each probe only once, whatever it answers."""
    return [replace(probe, retries=0) for probe in asked]
