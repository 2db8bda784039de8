"""The local platform: all ports on one data folder, all functions called in this process."""

import asyncio
import gc
import importlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

# There is no CloudWatch or X-Ray on one machine.
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "ANC")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "anc")
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "WARNING")
warnings.filterwarnings("ignore", "No application metrics", UserWarning)

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from anc.headset_records import Device, Status
from anc.memory_limits import MemoryLimits
from anc.noise import ModelError
from anc.ports import Dependencies
from anc.services.headsets import fleet
from anc.services.sound import detection, jobs
from anc.settings import BadSetting, Settings
from anc.tables import TABLES
from functions.routes import ARRIVALS, FUNCTIONS, QUEUES, SECRETS
from local import logs
from local.alerts import LoggedAlerts
from local.auth.certificates import Authority
from local.auth.issuer import Issuer, discard_published_key
from local.auth.login_links import LoginLinks
from local.auth.users import LocalUsers
from local.configuration import DEFAULTS, LaunchSettings
from local.data_folder import lock_folder, prepare
from local.http import console
from local.http.connection_limits import ConnectionLimiter, http_connections_allowed, proxies_of
from local.http.gateway import Gateway, LocalSockets
from local.http.http_limits import BoundedHttp
from local.http.signed_urls import SignedUrls
from local.http.transfers import Transfers
from local.lambda_context import LocalContext
from local.listen_ports import listen, mqtt_taken
from local.live_workers import LiveWorkers
from local.ml_endpoint import HttpEndpoint
from local.mqtt.broker import Broker
from local.mqtt.claims import ClaimProvisioning
from local.mqtt.jobs import LocalJobs
from local.mqtt.message_rates import MessageRates
from local.mqtt.shadows import LocalShadows
from local.mqtt.things import LocalThings
from local.process import open_as_many_files_as_allowed
from local.public_address import PublicAddress
from local.storage import schema_version
from local.storage.counters import FLUSH_S, SqliteCounters
from local.storage.database import Database
from local.storage.fleet_index import SqliteFleetIndex
from local.storage.objects import FileObjects, arrival_event
from local.storage.queues import QueueWorker, SqliteQueue
from local.storage.tables import SqliteTable, open_tables
from local.tracing import tracing_of

SWEEP_INTERVAL_S = 300.0
ROLLOUT_STEP_S = 5.0  # a minute on AWS
SYNC_S = 1.0  # commits that a power cut can lose
MAX_WEBSOCKET_BYTES = 128 * 1024  # the gateway refuses frames over 32 KB itself, with the close code of AWS
SHUTDOWN_S = 5
IN_USE = "stop it, or choose another folder with --data and another --port"
SWITCH_INTERVAL_S = 0.001  # keeps the event loop responsive while another thread computes


class LocalPlatform:
    """The platform on one machine.

    Parameters
    ----------
    data : Path
        Data folder; stored data survives a kill at any time.
    address : PublicAddress
        Where to listen, and how clients and headsets reach this machine.
    settings : Settings
    tls_files : tuple of Path, optional
        Certificate chain and key for REST and WebSocket; by default, of the platform's own authority.
    live_workers : int
        Number of worker processes for live blocks; 0 filters them in this process.
    launch : LaunchSettings
        Where to send traces.

    Attributes
    ----------
    notices : list of str
        Notices for the owner of the data folder, one sentence each.
    login_links : LoginLinks
    headset_jobs : LocalJobs

    Raises
    ------
    UnusableFolder
    BadSetting
        When the configured model cannot be used, or a trusted proxy is not an address.
    """

    def __init__(
        self,
        data: Path,
        address: PublicAddress,
        settings: Settings,
        tls_files: tuple[Path, Path] | None = None,
        live_workers: int = 0,
        launch: LaunchSettings = DEFAULTS,
    ) -> None:
        port = address.port
        _check_model(settings)
        self._is_proxy = proxies_of(settings.trusted_proxies)
        # Before anything is opened or a thread is started
        self._live = LiveWorkers.fork(live_workers, data, settings, launch)
        self.notices = prepare(data)
        self._lock = lock_folder(data, f"the platform on port {port}", IN_USE)
        self.notices += filter(None, [discard_published_key(data), address.warning])
        self._database = database = Database(data / "anc.db")
        with database.writing() as connection:  # before the stores add what an earlier release lacked
            schema_version.mark(connection)
        self._address = address
        self._data = data
        address.save(data)
        self._counters = SqliteCounters(database)
        self._tracing = tracing_of(launch)
        certificates = data / "certificates"
        authority = Authority(certificates, address.names)
        own_files = certificates / "server.pem", certificates / "server.key"
        self._tls_files = (tls_files or own_files) if address.tls else None
        things = LocalThings(database, authority, port + 1, address.endpoint)
        shadows = LocalShadows(database)
        self.headset_jobs = LocalJobs(database)
        sockets = LocalSockets()
        issuer = Issuer(data, settings)
        queues = {
            route.name: SqliteQueue(
                database,
                route.name,
                route.max_receives,
                route.visibility_s,
                max_per_thing=route.max_per_thing,
                dropped=lambda name: self._counters.add(f"messages_dropped_{name}"),
                died=lambda name: self._counters.add(f"messages_dead_{name}"),
                tracing=self._tracing,
            )
            for route in QUEUES
        }
        tables = open_tables(database)
        self._statuses: SqliteTable[Status] = tables["statuses"]
        self._devices: SqliteTable[Device] = tables["devices"]
        self._fleet_index = SqliteFleetIndex(database)
        self._expiring = [tables[spec.name] for spec in TABLES if spec.expires]
        links = SignedUrls.of(data, address.url)
        self._objects = FileObjects(data / "objects", links, self._on_upload)
        self.deps = Dependencies(
            **tables,
            settings=settings,
            tracing=self._tracing,
            backlogs=lambda: {name: queue.backlog() for name, queue in queues.items()},
            updates=queues["updates"],
            recordings=queues["recordings"],
            shadows=shadows,
            things=things,
            fleet_index=self._fleet_index,
            headset_jobs=self.headset_jobs,
            sockets=sockets,
            alerts=LoggedAlerts(),
            objects=self._objects,
            keys=issuer,
            users=LocalUsers(database, issuer),
            counters=self._counters,
            limits=MemoryLimits(),
            reclassifications=queues["reclassifications"],
            endpoint=HttpEndpoint(settings.ml_endpoint_url, settings.ml_endpoint_timeout_s),
        )
        self._handlers = {name: _handler(name) for name in FUNCTIONS}
        self._queues = queues
        self._workers: list[QueueWorker] = []
        claims = ClaimProvisioning(things, authority, partial(self.invoke, "provisioner"))
        self._broker = Broker(
            port + 1,
            authority,
            things,
            shadows,
            self.headset_jobs,
            queues,
            claims,
            self.deps.count,
            address.host,
            MessageRates(settings.headset_messages_per_s, settings.headset_bytes_per_s),
        )
        attempts = max(1, round(SECRETS * settings.rate_limit_scale))
        self.login_links = LoginLinks(data, issuer, limits=self.deps.limits, per_minute=attempts)
        keys = Route("/.well-known/jwks.json", _json_endpoint(issuer.jwks), methods=["GET"])
        routes = [
            keys,
            *Transfers(self._objects, links, partial(jobs.may_transfer, deps=self.deps)).routes(),
            *self.login_links.routes(),
            *console.routes(),
        ]
        self._gateway = Gateway(
            self.invoke,
            sockets,
            routes,
            self._live,
            self.deps.count,
            strict_transport=tls_files is not None,
        )

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Call a function's handler, as Lambda does."""
        with self._tracing.span(
            function,
            resource=event.get("resource", ""),
            method=event.get("httpMethod", ""),
        ):
            return self._handlers[function](event, LocalContext(function), self.deps)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until interrupted; call `ready` when all services are up. Raises PortUnavailable."""
        logs.start(self._data, "platform", self._tracing)
        gc.collect()
        gc.freeze()  # keeps imported modules out of garbage collections, which delay requests
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        open_as_many_files_as_allowed()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: Callable[[], None]) -> None:
        listener = listen(self._address.host, self._address.port)
        self._mark_all_offline()
        self._complete_fleet_index()
        try:
            await self._broker.start()
        except OSError as fault:
            raise mqtt_taken(self._address.port, fault) from fault
        self._start_workers()
        await self._live.connect()
        allowed = http_connections_allowed()
        connections = ConnectionLimiter(allowed, allowed // 2, self._is_proxy)
        server = uvicorn.Server(
            uvicorn.Config(
                self._gateway.app,
                http=partial(BoundedHttp, connections=connections),  # type: ignore[arg-type]  # a factory is enough
                proxy_headers=bool(self.deps.settings.trusted_proxies),
                forwarded_allow_ips=self.deps.settings.trusted_proxies,
                log_config=None,  # as the other loggers
                log_level="warning",
                access_log=False,
                ws_max_size=MAX_WEBSOCKET_BYTES,
                ws_per_message_deflate=False,  # base64 audio compresses poorly
                lifespan="off",
                timeout_graceful_shutdown=SHUTDOWN_S,
                ssl_certfile=self._tls_files[0] if self._tls_files else None,
                ssl_keyfile=self._tls_files[1] if self._tls_files else None,
            )
        )
        background = asyncio.gather(
            self._run_maintenance(server, ready),
            self._flush_counters(),
            self._take_rollout_steps(),
            self._sync_database(),
        )
        try:
            await server.serve([listener])
        finally:
            background.cancel()
            for worker in self._workers:
                await asyncio.to_thread(worker.stop)
            await self._broker.stop()
            await self._live.stop()
            self._counters.flush()
            await asyncio.to_thread(self._tracing.stop)
            with suppress(asyncio.CancelledError):  # otherwise it is logged at the end of the process
                await background

    def _mark_all_offline(self) -> None:
        # After a power cut there were no disconnect events.
        for status in self._statuses.all():
            if status.online:
                self._statuses.put(status.replace(online=False, since=time.time()))
        self._fleet_index.mark_all_offline(time.time())

    def _complete_fleet_index(self) -> None:
        # Headsets that an earlier version registered are not in the index yet.
        known = self._fleet_index.things()
        for device in self._devices.all():
            if device.key not in known and not device.removed:
                fleet.record_registration(device, self.deps)

    def _start_workers(self) -> None:
        for route in QUEUES:
            queue = self._queues[route.name]
            queue.release()
            worker = QueueWorker(queue, route, partial(self.invoke, route.function))
            worker.start()
            self._workers.append(worker)

    async def _run_maintenance(self, server: uvicorn.Server, ready: Callable[[], None]) -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        ready()
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        for table in self._expiring:
            with self.deps.best_effort("sweeps_failed", "deleting expired records"):
                table.sweep()
        with self.deps.best_effort("sweeps_failed", "deleting expired files"):
            self._objects.sweep(time.time())

    async def _take_rollout_steps(self) -> None:
        while True:
            await asyncio.sleep(ROLLOUT_STEP_S)
            with self.deps.best_effort("rollouts_failed", "steps of rollouts"):
                await asyncio.to_thread(self.invoke, "rollout_manager", {})

    async def _sync_database(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            with self.deps.best_effort("", "forcing the database to the disk"):
                await asyncio.to_thread(self._database.sync)
                await asyncio.to_thread(self._database.checkpoint)

    async def _flush_counters(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await asyncio.to_thread(self._counters.flush)

    def _on_upload(self, key: str, size: int) -> None:
        if key.startswith(ARRIVALS.prefix):
            job = self.deps.jobs.get(jobs.job_of(key))
            owner = {"owner": job.group} if job else {}
            self._queues[ARRIVALS.queue].put({**arrival_event(key, size), **owner})


def _handler(function: str) -> Callable[..., Any]:
    handler: Callable[..., Any] = importlib.import_module(f"functions.{function}.handler").handler
    return handler


def _check_model(settings: Settings) -> None:
    # Load the model now, not on the first snapshot. Without one every headset would be in transparency
    # mode, so a wrong path is an error at the start.
    try:
        detection.load_classifier(settings)
    except ModelError as fault:
        if settings.ml_model_path:
            raise BadSetting(f"ML_MODEL_PATH: {fault}") from fault
        logging.getLogger(__name__).error("%s", fault)


def _json_endpoint(document: Callable[[], dict[str, Any]]) -> Callable[[Request], JSONResponse]:
    return lambda request: JSONResponse(document())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not on every system
    except ImportError:
        logging.getLogger(__name__).info("uvloop is not available")
        return None
    return uvloop.new_event_loop
