"""What docs/performance.md tells: which runs of chat-load there are, which of their figures stand in its table, and
which in its plots. `scripts/measure` makes the runs, `scripts/plot` shows them; what neither table nor plots use is
not kept."""

import pathlib
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "performance"


@dataclass(frozen=True)
class Run:
    """One call of chat-load."""

    name: str
    arguments: str
    # About how long it takes, in seconds.
    seconds: int
    # What makes it a matter of seconds with the same connections.
    quick: str = "--seconds 1"


def fanout(name, seconds, arguments):
    return Run(name, f"fanout {arguments} --rounds 2", seconds, "--seconds 1 --rounds 1")


MEMORY = [1_000, 2_000, 5_000, 10_000, 19_000]
RATES = [1, 10, 100]
SIZES = [10, 100, 1_000, 10_000]
# The run for each size of a room; a room of 1,000 is one of those under load, too.
BY_SIZE = {10: "room-10", 100: "room-100", 1_000: "load-10", 10_000: "room-10000"}

RUNS = [
    *(
        Run(f"idle-{n}", f"idle --connections {n}" + ("" if n >= 10_000 else " --seconds 10"), n // 400 + (75 if n >= 10_000 else 25))
        for n in MEMORY
    ),
    *(fanout(f"load-{rate}", 60, f"--connections 1000 --rate {rate} --seconds 8") for rate in RATES),
    fanout("load-full", 45, "--connections 1000 --saturate --seconds 8"),
    *(fanout(f"room-{n}", 65, f"--connections {n} --rate 10 --seconds 10") for n in (10, 100)),
    fanout("room-10000", 110, "--connections 10000 --rate 1 --seconds 15"),
    Run("ack", "durable --audience 10,100,1000,10000 --rate 4 --seconds 25", 120),
    Run("ack-10", "durable --audience 10,10000 --rate 10 --seconds 15", 45),
    Run("rtt", "rtt --rounds 2", 25, "--seconds 1 --rounds 1"),
    Run("durable", "durable --senders 64,512 --store", 50),
    Run("resume", "resume --missed 300 --times 500", 15, "--times 20"),
    Run("storm", "reconnect-storm --connections 10000", 60, "--seconds 4"),
    Run("slow", "slow-readers --connections 100 --stalled 1", 75),
    Run("many-rooms", "many-rooms --connections 10000 --rooms 1000 --rate 1000 --seconds 600", 630),
]


@dataclass(frozen=True)
class Row:
    """One promise. Figures are named by run and by what chat-load calls them."""

    what: str
    run: str
    # What is held against the target.
    judged: str
    # What is shown as measured, where that is something else.
    shown: str = ""
    # What is shown beside it, and what that is called.
    beside: tuple = ()
    # The ratio of both, where it is not what is judged.
    ratio: str = ""
    # Where chat-load knows no target of it.
    most: float | None = None
    least: float | None = None


# In the place of a figure's name: what was lost, repeated or out of order in the whole run.
FAULTS = "lost, repeated, out of order"

ROWS = [
    Row("memory of an idle connection, authenticated and in one room, 10,000 of them", "idle-10000", "memory a connection"),
    Row("CPU of an idle connection in a second, heartbeats every 25 s", "idle-10000", "CPU a second and connection"),
    Row(
        "CPU a delivery, 1,000 subscribers, 10 messages/s",
        "load-10",
        "CPU a delivery, ratio to floor",
        "server: CPU a delivery",
        ("floor", "floor: CPU a delivery"),
    ),
    Row(
        "CPU a delivery, 1,000 subscribers, full load",
        "load-full",
        "CPU a delivery at full load",
        beside=("coalescing floor", "coalescing floor: CPU a delivery"),
        ratio="CPU a delivery, ratio to coalescing floor",
    ),
    *(
        Row(
            f"sender's ack, p99, 10,000 members online, fsync, {rate} messages/s",
            run,
            "audience of 10000: ack, p99 in ms",
            beside=("room of 10", "audience of 10: ack, p99 in ms"),
        )
        for run, rate in (("ack", 4), ("ack-10", 10))
    ),
    Row(
        "last of 10,000 members reached, p50, 1 message/s",
        "room-10000",
        "last member, ratio to floor",
        "server: last member, p50",
        ("floor", "floor: last member, p50"),
    ),
    *(
        Row(
            f"acked and fsynced messages, {senders} senders",
            "durable",
            f"{senders} senders: of the bare store",
            f"{senders} senders: acked a second",
            ("bare store", f"{senders} senders: bare store, committed a second"),
        )
        for senders in (64, 512)
    ),
    Row("CPU of a connect by a known user", "idle-10000", "CPU a connect"),
    Row(
        "round trip, p50, one sender, one receiver, durability none",
        "rtt",
        "round trip, p50",
        beside=("floor", "floor: round trip, p50"),
        ratio="p50, ratio to floor",
    ),
    Row("resume of 300 missed entries, p99", "resume", "caught up, p99 in ms"),
    Row("10,000 clients cut at once: all back and caught up", "storm", "all back and caught up"),
    Row("10,000 clients cut at once: lost, repeated or out of order", "storm", FAULTS, most=0),
    Row("10,000 members, 1,000 messages/s over 1,000 rooms, 10 minutes: latency, p99", "many-rooms", "latency, p99 in ms"),
    Row("the same 10 minutes: lost, repeated or out of order", "many-rooms", FAULTS, most=0),
    Row(
        "one stalled reader of 100: p99 of the others, more by",
        "slow",
        "others' p99, more by",
        "latency, others, p99",
        ("all read", "latency, all read, p99"),
    ),
    Row("one stalled reader of 100: memory", "slow", "memory grown a stalled reader, beyond that"),
    Row("connections in one process", "idle-19000", "connections", least=19_000),
]


@dataclass(frozen=True)
class Line:
    """One line of a plot: (x, run, figure) for each of its points."""

    name: str
    # How it looks: by whose it is, and which of theirs.
    style: str
    points: tuple


@dataclass(frozen=True)
class Chart:
    """One plot. What is in microseconds is divided by `scale`."""

    file: str
    title: str
    x: str
    y: str
    lines: tuple
    ticks: dict
    log_y: bool = False
    scale: float = 1
    # Horizontal lines: (value, what it is).
    marks: tuple = field(default=())


def number(value):
    return f"{value:,}"


def by_rate(figure, full=True):
    points = [(rate, f"load-{rate}", figure) for rate in RATES]
    return tuple(points + [(1_000, "load-full", figure)] if full else points)


def by_size(figure):
    return tuple((size, BY_SIZE[size], figure) for size in SIZES)


RATE_TICKS = {**{rate: number(rate) for rate in RATES}, 1_000: "full load"}
SIZE_TICKS = {size: number(size) for size in SIZES}

CHARTS = [
    Chart(
        "memory",
        "Memory of a connection",
        "connections",
        "KiB a connection",
        (
            Line("anonymous memory", "server", tuple((n, f"idle-{n}", "memory a connection") for n in MEMORY)),
            Line(
                "all memory (Pss)",
                "server second",
                tuple((n, f"idle-{n}", "share of all memory a connection (Pss)") for n in MEMORY),
            ),
        ),
        {n: number(n) for n in MEMORY},
        marks=((6, "target"), (4, "aim")),
    ),
    Chart(
        "latency-by-load",
        "Latency, 1,000 subscribers",
        "messages a second, each to 1,000",
        "ms",
        (
            Line("server, p50", "server", by_rate("server: latency, p50")),
            Line("server, p99", "server second", by_rate("server: latency, p99")),
            Line("floor, p50", "floor", by_rate("floor: latency, p50", full=False)),
            Line("floor, p99", "floor second", by_rate("floor: latency, p99", full=False)),
        ),
        RATE_TICKS,
        log_y=True,
        scale=1e3,
    ),
    Chart(
        "cpu-by-load",
        "CPU of a delivery, 1,000 subscribers",
        "messages a second, each to 1,000",
        "µs a delivery",
        (
            Line("server", "server", by_rate("server: CPU a delivery")),
            Line("floor", "floor", by_rate("floor: CPU a delivery", full=False)),
            Line("coalescing floor", "coalescing", by_rate("coalescing floor: CPU a delivery")),
        ),
        RATE_TICKS,
    ),
    Chart(
        "cpu-by-room",
        "CPU of a delivery by the size of the room",
        "members",
        "µs a delivery",
        (
            Line("server", "server", by_size("server: CPU a delivery")),
            Line("floor", "floor", by_size("floor: CPU a delivery")),
            Line("coalescing floor", "coalescing", by_size("coalescing floor: CPU a delivery")),
        ),
        SIZE_TICKS,
        log_y=True,
    ),
    Chart(
        "last-by-room",
        "Until the last member has a message, p50",
        "members",
        "ms",
        (
            Line("server", "server", by_size("server: last member, p50")),
            Line("floor", "floor", by_size("floor: last member, p50")),
            Line("coalescing floor", "coalescing", by_size("coalescing floor: last member, p50")),
        ),
        SIZE_TICKS,
        log_y=True,
        scale=1e3,
    ),
    Chart(
        "ratio-by-room",
        "Ratio to the floor by the size of the room",
        "members",
        "times the floor's",
        (
            Line("CPU a delivery", "server", by_size("CPU a delivery, ratio to floor")),
            Line("until the last member, p50", "server second", by_size("last member, ratio to floor")),
        ),
        SIZE_TICKS,
        log_y=True,
        marks=((1.2, "target"), (1, "floor")),
    ),
    Chart(
        "ack-by-room",
        "The sender's ack by the size of the room, fsync",
        "members online, 4 messages a second",
        "ms",
        (
            Line("p50", "server", tuple((n, "ack", f"audience of {n}: ack, p50") for n in SIZES)),
            Line("p99", "server second", tuple((n, "ack", f"audience of {n}: ack, p99") for n in SIZES)),
        ),
        SIZE_TICKS,
        log_y=True,
        scale=1e3,
        marks=((15, "target"),),
    ),
]


def kept(run):
    """The figures of a run that are shown anywhere."""
    names = {name for chart in CHARTS for line in chart.lines for _, of, name in line.points if of == run}
    for row in ROWS:
        if row.run == run:
            names |= {row.judged, row.shown, row.ratio, *row.beside[1:]} - {"", FAULTS}
    return names
