"""The life of a relay: stand by until the lock is ours, lead until it is not, and leave with everything handed over."""

import asyncio
import time

import structlog
from sqlalchemy import Engine

from infra import db, retention
from infra.publisher import Publisher
from infra.relay import gauges
from infra.relay.clock import Clock
from infra.relay.disposal import Disposal
from infra.relay.duty import Duty, pause, perform
from infra.relay.expiry import Expiry
from infra.relay.facts import Facts
from infra.relay.gauges import Gauges
from infra.relay.holders import Holders
from infra.relay.hooks import Hooks
from infra.relay.leadership import Leadership, LostLeadership
from infra.relay.losses import Losses
from infra.relay.outlet import Outlet
from infra.relay.recorder import Recorder
from infra.relay.wakeups import Wakeups
from infra.settings import Settings
from infra.storage import Storage

log = structlog.get_logger()

# Without a tick for so long the process counts as stuck, without an answer for so long the database as away.
STUCK_SECONDS = 60.0
FRESH_SECONDS = 15.0


class Relay:
    """One relay process. The check methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = db.connect(settings.database_url.get_secret_value(), settings.database_pool, "reelmill-relay")
        self._publisher = Publisher(settings, "reelmill-relay")
        self._leadership = Leadership(settings)
        self._leads = False
        self._ticked = time.monotonic()
        self._recorder = Recorder(settings, self._engine)
        outlet = Outlet(settings, self._publisher)
        self._duties = _duties(settings, self._engine, self._leadership, outlet)

    def alive(self) -> bool:
        """Whether the main loop turns, and the recorder's."""
        return time.monotonic() - self._ticked < STUCK_SECONDS and self._recorder.alive()

    def reaches_database(self) -> bool:
        """Whether the database has answered lately."""
        return time.monotonic() - self._leadership.last_answer < FRESH_SECONDS

    def reaches_broker(self) -> bool:
        """Whether a message would go out now."""
        return self._publisher.connected and not self._publisher.blocked

    def about(self) -> dict[str, str]:
        """The role, for people who look."""
        return {"role": "leader" if self._leads else "standby"}

    async def run(self, stop: asyncio.Event) -> None:
        """Stand by and lead until told to stop."""
        await self._publisher.start()
        self._recorder.start()
        try:
            while not stop.is_set():
                self._ticked = time.monotonic()
                if await self._leadership.take():
                    await self._lead(stop)
                await pause(stop, self._settings.relay_tick_seconds)
        finally:
            await asyncio.to_thread(self._recorder.stop)
            await self._publisher.stop()
            await self._leadership.give_up()
            self._engine.dispose()

    async def _lead(self, stop: asyncio.Event) -> None:
        log.info("leading", action="relay.leading")
        self._leads = True
        gauges.begin()
        ended = asyncio.Event()
        tasks = [asyncio.create_task(perform(duty, ended), name=duty.name) for duty in self._duties]
        try:
            await self._hold(stop)
        except LostLeadership:
            log.warning("leadership lost", action="relay.lost_leadership")
        finally:
            ended.set()
            _, late = await asyncio.wait(tasks, timeout=self._settings.grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            await self._leadership.give_up()
            gauges.forget()
            self._leads = False

    async def _hold(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._leadership.beat()
            self._ticked = time.monotonic()
            await pause(stop, self._settings.relay_tick_seconds)


def _duties(settings: Settings, engine: Engine, leadership: Leadership, outlet: Outlet) -> tuple[Duty, ...]:
    """Everything a leader does, and how often, in seconds."""
    tick = settings.relay_tick_seconds
    clock = Clock(settings, engine)
    hooks = Hooks(settings, engine, leadership)
    holders = Holders(engine)
    disposal = Disposal(settings, engine, Storage(settings))
    return (
        Duty("promote", tick, clock.promote),
        Duty("rescue", tick, clock.rescue),
        Duty("holds", tick, clock.let_in),
        Duty("debts", tick, clock.pay),
        Duty("dependents", tick, clock.follow),
        Duty("schedules", tick, clock.recur),
        Duty("wakeups", tick, Wakeups(engine, outlet).publish),
        Duty("facts", tick, Facts(engine, leadership, outlet).publish),
        Duty("hooks", tick, hooks.collect),
        Duty("deliveries", tick, hooks.deliver),
        Duty("leases", tick, holders.sweep),
        Duty("tallies", tick * 4, holders.fold),
        Duty("expiry", 60, Expiry(settings, engine).retire),
        Duty("losses", max(tick, settings.republish_seconds / 4), Losses(settings, engine, outlet).find),
        Duty("gauges", tick * 10, Gauges(engine).look),
        Duty("retention", retention.period(retention.terms_of(settings)), clock.retire),
        Duty("exports", min(60, settings.export_seconds / 4 or 60), clock.expire),
        Duty("uploads", 60, clock.give_up),
        Duty("discard", tick * 10, disposal.discard),
        Duty("erase", tick * 10, disposal.erase),
        Duty("sweep", min(settings.orphan_seconds / 4, 3600), disposal.sweep),
    )
